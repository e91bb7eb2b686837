//! VC06xx: serial and parallel ports, consoles, channels, redirection, smart cards, TPM.
super::codes! {
    /// Codes of character devices.
    chardev {
        MISSING_SOURCE = "VC0601" "missing-source" "The character device needs a `<source>` that says what it is connected to: a path, or host and service.\n\nbefore: <serial type='file'><target port='0'/></serial>\nafter:  <serial type='file'><source path='/var/log/vm/serial.log'/><target port='0'/></serial>";
        RECONNECT = "VC0602" "reconnect" "Reconnecting means that QEMU connects again to a socket on which another program listens. It needs mode='connect' and a timeout in seconds.\n\nbefore: <source mode='bind' path='/run/s'><reconnect enabled='yes' timeout='10'/></source>\nafter:  <source mode='connect' path='/run/s'><reconnect enabled='yes' timeout='10'/></source>";
        PROTOCOL = "VC0603" "chardev-protocol" "QEMU speaks raw TCP or telnet on a character device. Encryption is asked for with tls='yes' on the `<source>`.\n\nbefore: <protocol type='tls'/>\nafter:  <source mode='connect' host='h' service='5555' tls='yes'/><protocol type='raw'/>";
        CHANNEL = "VC0604" "channel-name" "The name of a SPICE port or D-Bus channel holds only letters, digits, '.', '-', '_' and ':'.\n\nbefore: <source channel='my channel'/>\nafter:  <source channel='org.example.port.0'/>";
        TARGET = "VC0605" "chardev-target" "The target type or model of the character device does not exist on this machine, or not together.\n\nLeave `<target type>` out: virtc chooses the one that the machine has.\n\nbefore: <serial type='pty'><target type='isa-serial'/></serial> on machine 'virt'\nafter:  <serial type='pty'/>";
        CONSOLE = "VC0606" "console" "Only the first `<console>` can be the serial port; further ones need a target of their own kind.\n\nbefore: <console type='pty'/><console type='pty'><target type='serial'/></console>\nafter:  <console type='pty'/><console type='pty'><target type='virtio'/></console>";
        SPICE = "VC0607" "needs-spice" "The channel is carried by SPICE (or D-Bus), but the domain has no such display.\n\nAdd `<graphics type='spice'/>`.\n\nbefore: <channel type='spicevmc'>… without SPICE\nafter:  <graphics type='spice' autoport='yes'/> as well";
        SMARTCARD = "VC0608" "smartcard" "A smart card in mode host-certificates needs exactly three certificates; the database is an absolute path.\n\nbefore: two <certificate> elements\nafter:  <certificate>c1</certificate><certificate>c2</certificate><certificate>c3</certificate>";
        REDIRECT = "VC0609" "usb-redirection" "USB redirection needs a USB bus, and a `<redirfilter>` needs versions of the form 1.10.\n\nbefore: <usbdev version='1' allow='yes'/>\nafter:  <usbdev version='1.00' allow='yes'/>";
        UNSUPPORTED = "VC0610" "unsupported-port" "This machine, or this QEMU, has no such port.\n\nbefore: <parallel type='pty'/> on machine 'virt'\nafter:  <serial type='pty'/>";
        SERVICE = "VC0612" "not-a-port" "The port of a network connection is a number from 1 to 65535, or the name of a service.\n\nbefore: <source mode='bind' host='127.0.0.1' service='70000'/>\nafter:  <source mode='bind' host='127.0.0.1' service='7000'/>";
    }
}
