qemu-system-aarch64 -M raspi3b -m 1024 -dtb /srv/vm/bcm2710-rpi-3-b-plus.dtb -kernel /srv/vm/kernel8.img -append "rw earlyprintk loglevel=8 console=ttyAMA0,115200 root=/dev/mmcblk0p2 rootdelay=1" \
 -drive file=/srv/vm/raspios.img,format=raw,if=sd -serial stdio -display none -usb -device usb-mouse -device usb-kbd -device usb-net,netdev=net0 -netdev user,id=net0,hostfwd=tcp::2222-:22 -no-reboot
