# Screens and USB on a machine without either of its own.
qemu-system-aarch64 -M virt -cpu max -m 256M -device ramfb -device qemu-xhci -device usb-kbd -device usb-tablet \
    -nic user,model=virtio-net-pci,mac=52:54:00:cc:00:01 -drive if=none,id=cd,file=cd.iso,format=raw,readonly=on \
    -device usb-storage,drive=cd -serial null
