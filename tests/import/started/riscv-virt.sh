# RISC-V with virtio over MMIO, and cards of PCI beside it.
qemu-system-riscv64 -machine virt -cpu rv64 -smp 4 -m 512M -nographic -bios none \
    -device virtio-blk-device,drive=hd0 -drive file=root.img,format=raw,if=none,id=hd0 \
    -device virtio-net-device,netdev=net0 -netdev user,id=net0,hostfwd=tcp:127.0.0.1:42055-:22 \
    -object rng-random,filename=/dev/urandom,id=rng0 -device virtio-rng-pci,rng=rng0 \
    -device virtio-scsi-pci,id=scsi0 -drive file=data.img,format=raw,if=none,id=hd1 -device scsi-hd,drive=hd1,bus=scsi0.0
