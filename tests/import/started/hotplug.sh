# Memory that can be plugged in, without a word of nodes; firmware's own debug port.
qemu-system-x86_64 -M q35 -m 512M,slots=2,maxmem=2G -smp 2 -drive file=sys.img,format=raw \
    -debugcon file:debug.log -global isa-debugcon.iobase=0x402 -net none -vga none -display none
