# A mainframe: channels in place of PCI, a console of its own.
qemu-system-s390x -machine s390-ccw-virtio -cpu qemu -smp 2 -m 1024 -display none -nodefaults \
    -chardev null,id=con0 -device sclpconsole,chardev=con0 \
    -drive file=root.img,if=none,id=drive0,format=raw,cache=none -device virtio-blk-ccw,drive=drive0,devno=fe.0.0001,bootindex=1 \
    -netdev user,id=net0 -device virtio-net-ccw,netdev=net0,mac=52:54:00:11:22:33,devno=fe.0.0002 \
    -device virtio-scsi-ccw,id=scsi0 -drive file=data.img,if=none,id=d1,format=raw -device scsi-hd,drive=d1,bus=scsi0.0
