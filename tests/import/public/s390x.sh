qemu-system-s390x -machine s390-ccw-virtio,accel=kvm -cpu host -smp 2,maxcpus=4 -m 2048 -nographic -nodefaults \
 -chardev stdio,id=con0,mux=on -device sclpconsole,chardev=con0 -mon chardev=con0,mode=readline \
 -drive file=/srv/vm/s390.qcow2,if=none,id=drive0,format=qcow2,cache=none -device virtio-blk-ccw,drive=drive0,devno=fe.0.0001,bootindex=1 \
 -netdev tap,id=net0,ifname=tap0,script=no,downscript=no -device virtio-net-ccw,netdev=net0,mac=52:54:00:11:22:33,devno=fe.0.0002
