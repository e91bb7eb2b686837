# pSeries with the disks and the terminal of its hypervisor.
qemu-system-ppc64 -machine pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -cpu power9 \
    -smp 4 -m 1G -vga none -nographic -device spapr-vscsi,id=scsi0 \
    -drive file=root.img,if=none,id=d0,format=raw -device scsi-hd,drive=d0,bus=scsi0.0 \
    -netdev user,id=n0 -device virtio-net-pci,netdev=n0,mac=52:54:00:9a:2b:3c -prom-env "auto-boot?=true" -serial mon:stdio
