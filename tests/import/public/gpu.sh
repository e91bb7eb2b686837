#!/bin/bash
vmname="windows10vm"
if ps -ef | grep qemu-system-x86_64 | grep -q multifunction=on; then
  echo "A passthrough VM is already running." && exit 1
fi
export QEMU_AUDIO_DRV=pa
qemu-system-x86_64 -name $vmname,process=$vmname -machine type=q35,accel=kvm -cpu host,kvm=off,hv_vendor_id=1234567890ab,hv_vapic,hv_time,hv_relaxed,hv_spinlocks=0x1fff -smp 8,sockets=1,cores=4,threads=2 -m 16G \
 -mem-path /dev/hugepages -mem-prealloc -rtc clock=host,base=localtime -vga none -nographic -serial none -parallel none -soundhw hda \
 -usb -device usb-host,vendorid=0x045e,productid=0x076c -device usb-host,hostbus=1,hostaddr=4 \
 -device ioh3420,bus=pcie.0,addr=1c.0,multifunction=on,port=1,chassis=1,id=root.1 \
 -device vfio-pci,host=01:00.0,bus=root.1,addr=00.0,multifunction=on,x-vga=on,romfile=/srv/vm/vbios.rom -device vfio-pci,host=01:00.1,bus=root.1,addr=00.1 \
 -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE.fd -drive if=pflash,format=raw,file=/srv/vm/my_vars.fd -boot order=dc \
 -drive id=disk0,if=virtio,cache=none,format=raw,file=/srv/vm/win.img -drive file=/srv/vm/win.iso,index=1,media=cdrom -netdev type=tap,id=net0,ifname=vmtap0,vhost=on -device virtio-net-pci,netdev=net0,mac=00:16:3e:00:01:01
exit 0
