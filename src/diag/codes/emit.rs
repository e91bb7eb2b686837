//! VC11xx: a value cannot be written to an output.
super::codes! {
    /// Codes of the emitters.
    emit {
        NOT_EXPRESSIBLE = "VC1101" "not-expressible" "A value holds a character that the output's language cannot express. It is refused rather than changed.

For example, a path with a newline can stand in no AppArmor rule and no unit: `/images/a&#10;b.img`. Rename the file.\n\nbefore: <source file='/images/a&#10;b.img'/>\nafter:  <source file='/images/a-b.img'/>";
        OUT_OF_RANGE = "VC1102" "out-of-range-for-the-host" "The host would not take this value as it is meant: systemd drops a line whose value is out of its range and starts the unit all the same, so that the guest would run without the limit, or without the device rule.

For example, `<hard_limit>0</hard_limit>` would become `MemoryMax=0`, which systemd ignores. Leave the element out, or give a value in the range that the message names.\n\nbefore: <hard_limit>0</hard_limit>\nafter:  <hard_limit unit='GiB'>4</hard_limit>";
        RUNNER_ONLY = "VC1103" "not-by-a-unit" "systemd can limit a service as a whole, not single threads of it. The setting is in plan.json, and `virtc run` applies it; the generated unit does not.

For example, `<vcpupin vcpu='0' cpuset='2'/>` pins one thread. The unit only gets `AllowedCPUs=` with the CPUs of all threads together.\n\nbefore: virtc build vm.xml && systemctl start virtc-vm\nafter:  virtc build vm.xml && virtc run …/plan.json, where pinning counts";
        CREDENTIAL = "VC1804" "secret-as-credential" "A unit gets the value of a secret as a credential of systemd: it lies on the host encrypted, is decrypted at the start, and only the processes of the unit can read it. No file that virtc writes holds it. `systemd-creds encrypt` makes it; its name is `virtc.` and the UUID of the secret, or its use and name, with other characters than letters, digits, `-` and `.` as _XX.

A unit of a user gets it as it is, from ~/.config/credstore. `virtc run` reads /etc/virtc/secrets instead.\n\nbefore: systemctl start virtc-vm, whose disk has <secret type='passphrase' uuid='6f63…'/>\nafter:  systemd-creds encrypt --name=virtc.6f63… key /etc/credstore.encrypted/virtc.6f63… && systemctl start virtc-vm";
        BAD_TEMPLATE = "VC1104" "bad-template" "A template of `--templates DIR` does not parse, or asks for a field that this output does not have. The built-in templates, in `templates/` of the source, show the fields.\n\nbefore: Description={{desription}} in DIR/slice.hbs\nafter:  Description={{description}}";
        SAME_FILE = "VC1105" "two-outputs-one-file" "Two domains of one build would write the same file with different contents. Domains need names, UUIDs and file names of their own.\n\nbefore: virtc build a.xml copy-of-a.xml -o out\nafter:  the copy has another <name> and <uuid>";
    }
}
