#!/bin/sh
# The order in which QEMU makes devices decides their slots: cards, then -device, then drives.
qemu-system-x86_64 -m 256 -drive file=a.img,format=raw,if=virtio -device virtio-rng-pci -device AC97 \
    -nic user,model=virtio-net-pci -drive file=b.img,format=raw,if=virtio,cache=none \
    -device pci-serial,chardev=c1 -chardev file,id=c1,path=port.log -device virtio-balloon-pci,addr=0x9 -vga cirrus \
    -device virtio-serial-pci -display none
