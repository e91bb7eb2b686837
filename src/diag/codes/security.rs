//! VC14xx: confinement.
super::codes! {
    /// Codes of confinement.
    security {
        SECLABEL = "VC1401" "wrong-seclabel" "The `<seclabel>` elements contradict each other or lack something.\n\nThere is one for each security driver, named by `model` when there are several. `type='static'` needs a `<label>`; `type='dynamic'` always relabels, `type='none'` never.\n\n```xml\n<seclabel type='static' model='dac'><label>+107:+107</label></seclabel>\n```";
        BAD_LABEL = "VC1402" "not-a-label" "A label is not of the form that its security driver reads.\n\nSELinux: `user:role:type:range`, such as `system_u:system_r:svirt_t:s0:c1,c2`. DAC: `user:group`, names or `+numbers`. AppArmor: the name of a profile.";
        FORBIDDEN_LABEL = "VC1403" "label-without-confinement" "The label would let the guest do what confinement is there to prevent: an unconfined type, the root user, or all categories. The host facts may allow it.";
        FORBIDDEN_PATH = "VC1404" "path-no-guest-may-have" "The domain would give the guest a part of the host's own system: its configuration, its programs, its kernel interfaces, or the socket of a daemon that has all rights. A guest that breaks out of QEMU could then take over the host, so that virtc refuses it.\n\nFor example, `<source file='/etc/shadow'/>`. Give the guest a copy, in a place of its own. The host facts may allow a path: `security { allow-path \"/srv/special\"; }`.";
        FORBIDDEN_OPTION = "VC1405" "option-against-confinement" "`<qemu:commandline>` hands through an option or a variable that takes the guest's confinement apart, runs other programs, or breaks the unit.\n\nFor example, `<qemu:arg value='-sandbox'/>` with `off`. Leave it out.";
        SHARED_IMAGE = "VC1406" "image-of-two-disks" "Two disks of the domain write the same image, and it is not marked as shareable. Both would overwrite what the other has written.";
    }
}
