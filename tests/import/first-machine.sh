#!/bin/sh
exec qemu-system-x86_64 -enable-kvm -cpu host -smp 4 -m 4G \
  -drive file=/srv/vm/debian.qcow2,if=virtio,cache=none,aio=native \
  -cdrom /srv/iso/debian.iso -boot d \
  -nic user,hostfwd=tcp::2222-:22 \
  -vga virtio -display gtk -usb -device usb-tablet
