# How the machine is started by hand.
qemu-system-x86_64 -machine q35,accel=kvm,smm=on -global driver=cfi.pflash01,property=secure,value=on \
  -cpu host,kvm=off,hv_relaxed,hv_spinlocks=0x1fff,hv_vapic,hv_time,hv_vendor_id=whatever -smp 8,sockets=1,cores=4,threads=2 -m 16384 \
  -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd -drive if=pflash,format=raw,file=/srv/vm/win_VARS.fd \
  -device vfio-pci,host=01:00.0,multifunction=on,x-vga=on -device vfio-pci,host=0000:01:00.1 \
  -device virtio-scsi-pci,id=scsi0 -drive file=/dev/vg0/win,if=none,id=d0,format=raw,cache=none,discard=unmap -device scsi-hd,drive=d0,bus=scsi0.0,bootindex=0 \
  -netdev tap,id=n0,ifname=tap0,script=no,downscript=no,vhost=on -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56 \
  -device usb-host,vendorid=0x046d,productid=0xc52b -usb -vga none -nographic -monitor none -rtc base=localtime -name windows
