qemu-system-ppc64 -machine pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -cpu power9 -smp 4,threads=4 -m 8G -vga none -nographic \
 -device spapr-vscsi,id=scsi0 -drive file=/srv/vm/ppc.qcow2,if=none,id=d0,format=qcow2 -device scsi-hd,drive=d0,bus=scsi0.0 \
 -netdev bridge,id=n0,br=virbr0 -device virtio-net-pci,netdev=n0,mac=52:54:00:9a:2b:3c -prom-env "auto-boot?=true" -serial mon:stdio
