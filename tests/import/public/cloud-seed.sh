qemu-system-x86_64 -net nic -net user,hostfwd=tcp::2222-:22 -machine accel=kvm:tcg -m 512 -nographic -hda mantic-server-cloudimg-amd64.img -smbios type=1,serial=ds='nocloud;s=http://10.0.2.2:8000/'
