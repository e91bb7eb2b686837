#!/bin/sh
# A machine with virtio over MMIO beside PCI.
IMG=root.img
qemu-system-aarch64 -M virt,gic-version=3 -cpu cortex-a57 -smp 2 -m 512M -nographic \
    -drive if=none,file=$IMG,id=hd0,format=raw -device virtio-blk-device,drive=hd0 \
    -device virtio-rng-pci -drive file=data.img,format=raw,if=virtio
