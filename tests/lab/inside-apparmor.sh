# Runs inside the lab, as root, under an enforcing AppArmor.
. "${0%/*}/inside-common.sh"
. "${0%/*}/inside-confine.sh"
cp -r /mnt/share/tree/usr /mnt/share/tree/etc /
systemd-sysusers 2>&1 | sed 's/^/# /'
install_images
# What a test needs inside a profile, by way of local additions.
mkdir -p /etc/apparmor.d/local
for u in 1 2; do
  printf '/usr/bin/{cat,perl,setpriv} mr,\n' > /etc/apparmor.d/local/libvirt-0a1b2c3d-0000-4000-8000-00000000000$u
done
systemctl daemon-reload
start_guests
denied_by_qemu
# The profile by itself, with all that root may do.
P=libvirt-0a1b2c3d-0000-4000-8000-000000000001; b=$(pid_of virtc-lab-b)
run="setpriv --reuid=virtc-qemu --regid=virtc-qemu --clear-groups"
check "control: without the profile, the other's disk can be read" $run cat $L/b.img
check "control: under the profile, its own disk can be read" $run aa-exec -p $P -- cat $L/a.img
# PTRACE_SEIZE, which does not stop the process; as root, since the guests' user namespaces refuse all others.
check "control: without the profile, a ptrace works" perl -e "exit(syscall(101,0x4206,$b,0,0)==0?0:1)"
check "the profile alone denies the other's disk" bash -c "! $run aa-exec -p $P -- cat $L/b.img"
check "the profile alone denies /etc/shadow" bash -c "! aa-exec -p $P -- cat /etc/shadow"
check "the profile denies a ptrace of the other" bash -c "! aa-exec -p $P -- perl -e 'exit(syscall(101,0x4206,$b,0,0)==0?0:1)'"
check "the kernel says that AppArmor denied them" bash -c 'for w in b.img shadow ptrace; do dmesg | grep -q "apparmor=.DENIED.*$w" || exit 1; done'
stop_guests
echo done
