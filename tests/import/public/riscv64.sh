qemu-system-riscv64 -machine virt -cpu rv64 -smp 8 -m 4G -nographic -bios /usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf -kernel /srv/vm/uboot.elf \
 -append "console=ttyS0 rw root=/dev/vda1" -device virtio-blk-device,drive=hd0 -drive file=/srv/vm/ubuntu.img,format=raw,if=none,id=hd0 \
 -device virtio-net-device,netdev=usernet -netdev user,id=usernet,hostfwd=tcp::12055-:22 -object rng-random,filename=/dev/urandom,id=rng0 -device virtio-rng-device,rng=rng0
