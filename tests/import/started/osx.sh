#!/usr/bin/env bash
# As people start macOS: an AHCI controller of their own, a boot loader's image that keeps nothing.
MY_OPTIONS="+ssse3,+sse4.2,+popcnt,check"
RAM="512"
args=(
  -m "$RAM" -cpu Penryn,vendor=GenuineIntel,"$MY_OPTIONS" -machine q35
  -device qemu-xhci,id=xhci -device usb-kbd,bus=xhci.0 -device usb-tablet,bus=xhci.0
  -smp 4,cores=2,sockets=1
  -device usb-ehci,id=ehci
  -device isa-applesmc,osk="ourhardworkbythesewordsguardedpleasedontsteal(c)AppleComputerInc"
  -smbios type=2 -device ich9-ahci,id=sata
  -drive id=Boot,if=none,snapshot=on,format=raw,file="/srv/vm/boot.img" -device ide-hd,bus=sata.2,drive=Boot
  -drive id=Mac,if=none,file="/srv/vm/mac.img",format=raw -device ide-hd,bus=sata.4,drive=Mac
  -netdev user,id=net0,hostfwd=tcp:127.0.0.1:42222-:22 -device virtio-net-pci,netdev=net0,id=net0,mac=52:54:00:c9:18:27
  -monitor none -device VGA,vgamem_mb=64
)
qemu-system-x86_64 "${args[@]}"
