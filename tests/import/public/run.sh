set -eu
export SPICE_PORT=5924
cd /srv/vms/alpine
qemu-img create -f qcow2 -b base.qcow2 -F qcow2 work.qcow2
OPTS=""
OPTS="$OPTS -cpu host,kvm=on"
OPTS="$OPTS -m 1024 -smp 1"
OPTS="$OPTS -drive id=disk0,if=none,file=work.qcow2,format=qcow2 -device virtio-blk-pci,drive=disk0,bootindex=1"
OPTS="$OPTS -spice port=${SPICE_PORT},addr=127.0.0.1,disable-ticketing=on,image-compression=off,gl=off"
qemu-system-x86_64 -enable-kvm ${OPTS} -vga qxl -rtc base=utc,clock=vm -watchdog-action pause -device i6300esb -echr 0x1d -icount shift=auto,sleep=off -msg guest-name=on &
