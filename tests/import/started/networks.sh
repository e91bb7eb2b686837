# Networks of sockets, with cards of several kinds.
qemu-system-x86_64 -m 256 -netdev socket,id=s0,mcast=230.0.0.1:41234 -device e1000,netdev=s0,mac=52:54:00:00:00:01 \
    -netdev socket,id=s1,listen=127.0.0.1:48010 -device rtl8139,netdev=s1,mac=52:54:00:00:00:02 \
    -netdev user,id=s2,restrict=on -device virtio-net,netdev=s2 \
    -netdev hubport,hubid=1,id=hp0 -device ne2k_isa,netdev=hp0,iobase=0x300,irq=9 -device usb-ehci,id=e \
    -device usb-storage,drive=stick,bus=e.0,removable=on -drive if=none,id=stick,file=stick.img,format=raw -nographic
