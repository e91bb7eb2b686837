# A board with SCSI and a network card of its own.
qemu-system-arm -M versatilepb -cpu arm1176 -m 256 -hda root.img -hdb data.img -net nic -net user,hostfwd=tcp::28023-:22 -nographic
