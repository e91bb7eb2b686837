#!/bin/sh
# A PC as one starts it without thinking: every device is one that QEMU puts somewhere.
qemu-system-x86_64 -enable-kvm -m 512 -smp 2 -hda disk.img -cdrom install.iso -boot d -usb -device usb-tablet \
    -net nic,model=rtl8139,macaddr=52:54:00:aa:00:01 -net user -serial file:serial.log -daemonize
