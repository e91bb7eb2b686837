# Memory that is plugged in, of three kinds.
qemu-system-x86_64 -m 512M,slots=4,maxmem=8G -smp 1,maxcpus=4 -object memory-backend-ram,id=mem1,size=256M \
    -device pc-dimm,id=dimm1,memdev=mem1,node=0 -machine pc -numa node,nodeid=0,memdev=m0 -object memory-backend-ram,id=m0,size=512M \
    -object memory-backend-ram,id=vm0,size=1G,reserve=off -device virtio-mem-pci,id=vmem0,memdev=vm0,node=0,requested-size=256M \
    -display vnc=127.0.0.1:77,password=on
