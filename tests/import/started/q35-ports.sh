# Root ports with devices behind them, and devices beside them.
qemu-system-x86_64 -M q35 -m 256M -device pcie-root-port,id=rp1,chassis=1 -device pcie-root-port,id=rp2,chassis=2 \
    -device virtio-net-pci,netdev=n1,bus=rp1,disable-legacy=on -netdev user,id=n1 \
    -device virtio-scsi-pci,id=scsi0,bus=rp2 -device scsi-hd,drive=d1 -drive if=none,id=d1,file=d1.img,format=raw \
    -device virtio-keyboard-pci -device virtio-tablet-pci -nographic -monitor none -serial mon:stdio
