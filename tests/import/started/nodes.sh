# Nodes with memory of their own, and distances.
qemu-system-x86_64 -M q35 -m 512M -smp 4 -object memory-backend-ram,size=256M,id=m0 \
    -object memory-backend-ram,size=256M,id=m1 -numa node,nodeid=0,memdev=m0,cpus=0-1 \
    -numa node,nodeid=1,memdev=m1,cpus=2-3 -numa dist,src=0,dst=1,val=20 -drive file=n.img,format=raw,if=virtio -nic none
