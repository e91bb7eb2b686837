# A folder of the host, and a channel to the guest.
mkdir -p share
qemu-system-x86_64 -M pc -m 256 -virtfs local,path=share,mount_tag=host0,security_model=none,id=host0 \
    -fsdev local,id=second,path=share,security_model=mapped-xattr,readonly=on -device virtio-9p-pci,fsdev=second,mount_tag=host1 \
    -device virtio-serial-pci -chardev null,id=agent -device virtserialport,chardev=agent,name=org.qemu.guest_agent.0 -nic none
