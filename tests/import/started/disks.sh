#!/bin/sh
# Disks in every way in which they can be named.
qemu-system-x86_64 -M pc -m 256 -nodefaults -blockdev driver=file,filename=one.img,node-name=f1 \
    -blockdev driver=raw,file=f1,node-name=r1,read-only=on -device virtio-blk-pci,drive=r1 \
    -drive file=two.img,format=raw,if=none,id=two,readonly=on,snapshot=off -device lsi,id=scsi -device scsi-hd,drive=two,bus=scsi.0,scsi-id=3 \
    -drive file=three.img,format=raw,if=ide,bus=1,unit=0 -drive file=four.iso,format=raw,if=none,id=four,media=cdrom \
    -device ide-cd,drive=four,bus=ide.0,unit=1 -drive file=five.img,format=raw,if=floppy,index=1
