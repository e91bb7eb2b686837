#!/bin/sh
# Old guests: two disks on IDE, a floppy drive, an ISA card.
sudo qemu-system-i386 -m 64 -cpu pentium -hda c.img -hdb d.img -fda a.img -vga std -rtc base=localtime \
    -netdev user,id=n0 -device ne2k_isa,netdev=n0,iobase=0x300,irq=9 2>/dev/null &
