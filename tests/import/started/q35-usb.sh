#!/bin/bash
# A Q35 with the USB of its chipset and another controller, disks on the ports of AHCI, sound and a forwarded port.
MAC=52:54:00:bb:00:01
ARGS=(-machine q35,accel=kvm -m 1G -smp 4,cores=2 -usb -device usb-kbd -device usb-mouse)
ARGS+=(-device qemu-xhci,id=xhci -device usb-storage,bus=xhci.0,drive=stick)
ARGS+=(-drive "if=none,id=stick,file=stick.img,format=raw")
ARGS+=(-device ich9-ahci,id=sata -device ide-hd,bus=sata.3,drive=third,bootindex=1)
ARGS+=(-drive id=third,if=none,file=third.img,format=raw,snapshot=on)
ARGS+=(-netdev user,id=net0,hostfwd=tcp::28022-:22 -device e1000-82545em,netdev=net0,mac=$MAC)
ARGS+=(-device ich9-intel-hda -device hda-duplex -vga qxl)
exec qemu-system-x86_64 "${ARGS[@]}"
