qemu-system-aarch64 -M virt,gic-version=3,highmem=on -cpu cortex-a72 -smp 4 -m 4G \
 -drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/AAVMF/AAVMF_CODE.fd \
 -drive if=pflash,format=raw,unit=1,file=/srv/vm/vars.fd \
 -drive if=none,id=hd0,file=/srv/vm/debian.qcow2,format=qcow2 -device virtio-blk-device,drive=hd0 \
 -netdev user,id=n0,hostfwd=tcp:127.0.0.1:5555-:22 -device virtio-net-device,netdev=n0 \
 -device virtio-rng-device -device ramfb -device qemu-xhci -device usb-kbd -device usb-tablet -nographic
