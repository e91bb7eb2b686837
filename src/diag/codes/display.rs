//! VC07xx: graphics, video, audio, sound, input.
super::codes! {
    /// Codes of display, sound and input.
    display {
        GRAPHICS = "VC0701" "graphics" "The graphics configuration cannot be expressed for this QEMU: one display of each type, one that renders on the GPU, VNC ports from 5900.\n\nbefore: <graphics type='vnc' port='80'/>\nafter:  <graphics type='vnc' port='5900'/>";
        LISTEN = "VC0702" "listen" "`<listen>` says where a display waits for clients. The older attributes listen and socket of `<graphics>` must say the same, or better nothing.\n\nbefore: <graphics type='vnc' listen='127.0.0.1'><listen type='address' address='::1'/></graphics>\nafter:  <graphics type='vnc'><listen type='address' address='::1'/></graphics>";
        SPICE_TLS = "VC0703" "spice-channels" "A channel of SPICE is to be encrypted (or not), but the display has no port for that.\n\nEncryption needs spice { tls #true } in the host facts and a tlsPort or autoport='yes'.\n\nbefore: <channel name='main' mode='secure'/> without a tlsPort\nafter:  <graphics type='spice' tlsPort='5901'>…";
        VIDEO = "VC0704" "video" "The video adapter cannot have this setting, or cannot be combined with the others.\n\nbefore: <model type='cirrus' heads='2'/>\nafter:  <model type='qxl' heads='2'/>";
        AUDIO = "VC0705" "audio" "Audio backends are found by their id: each has one of its own, and every `<audio id='…'/>` of a device names one that exists.\n\nbefore: <sound model='ich9'><audio id='2'/></sound> with <audio id='1' …/> only\nafter:  <sound model='ich9'><audio id='1'/></sound>";
        SOUND = "VC0706" "sound" "The sound card cannot have this setting.\n\nbefore: <sound model='ac97'><codec type='micro'/></sound>\nafter:  <sound model='ich9'><codec type='micro'/></sound>";
        INPUT = "VC0707" "input" "This bus has no such input device.\n\nbefore: <input type='tablet' bus='ps2'/>\nafter:  <input type='tablet' bus='usb'/>";
        RDP_LOGIN = "VC0708" "rdp-login" "The RDP server of a display takes its name and password over the message bus of the domain, once it runs; until then it refuses every client. They are in no file that virtc writes, so that the one who starts the machine gives them.\n\nbefore: virtc run vm.xml\nafter:  virtc run -d vm.xml, then busctl --address=unix:path=/run/virtc/vm/dbus.sock call org.QemuDisplay.RDP /org/qemu_display/rdp org.QemuDisplay.RDP SetCredentials sss alice PASSWORD ''";
    }
}
