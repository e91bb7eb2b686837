# A board that has four processors, whether one asks for them or not.
qemu-system-aarch64 -M raspi3b -m 1G -drive file=card.img,format=raw,if=sd -serial null -display none
