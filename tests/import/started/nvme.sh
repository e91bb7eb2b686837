# An NVMe disk, an IOMMU, a debug port, a card behind a port.
qemu-system-x86_64 -machine q35 -cpu max -m 256M -drive file=nvme.img,if=none,id=nvm,format=raw -device nvme,serial=deadbeef,drive=nvm \
    -device pcie-root-port,id=rp1,slot=1,chassis=1 -device e1000e,bus=rp1,netdev=n0,mac=52:54:00:00:00:05 -netdev user,id=n0 \
    -device intel-iommu,intremap=off,caching-mode=on -debugcon file:/srv/vm/debug.log -global isa-debugcon.iobase=0x402 -nographic
