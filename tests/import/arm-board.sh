# How the machine is started by hand.
qemu-system-aarch64 -M virt -cpu cortex-a57 -m 2G -bios QEMU_EFI.fd -drive if=none,file=disk.qcow2,id=hd0 -device virtio-blk-device,drive=hd0 -netdev user,id=net0 -device virtio-net-device,netdev=net0 -nographic
