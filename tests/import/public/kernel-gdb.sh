KERNEL=${KERNEL:-bzImage}
RAM=${1:-512M}
qemu-system-x86_64 \
    -kernel "$KERNEL" -initrd rootfs.cpio.gz -m "$RAM" \
    -append 'console=ttyS0 quiet kaslr oops=panic panic=1' \
    -cpu qemu64,+smep,+smap -monitor /dev/null -nographic -no-reboot -S -gdb tcp::1234
