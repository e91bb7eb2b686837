# A cloud image with its seed, and a forwarded port.
qemu-system-x86_64 -m 512 -smp 2 -drive file=cloud.img,if=virtio,format=raw \
    -drive file=seed.iso,if=virtio,format=raw,readonly=on -net nic,netdev=user.0,model=virtio \
    -netdev user,id=user.0,hostfwd=tcp:127.0.0.1:42223-:22 -virtfs local,path=/srv/vm/share,security_model=none,mount_tag=xchg \
    -device virtio-keyboard -usb -device usb-tablet,bus=usb-bus.0 -device virtio-rng-pci -device virtio-gpu-pci -nographic
