# Runs inside the lab, as root, under an enforcing SELinux.
. "${0%/*}/inside-common.sh"
. "${0%/*}/inside-confine.sh"
# Debian's policy refuses systemd-tmpfiles a limit that it does without.
denials() { dmesg | grep -E 'avc: +denied' | grep -v 'setrlimit.*systemd_tmpfiles_t'; }
setenforce 0
cp -r /mnt/share/tree/usr /
cp /mnt/share/policy.33 /etc/selinux/default/policy/policy.33; load_policy
# What semodule would have installed: units find the labels of folders that they make, and tmpfiles those of images, here.
cp /mnt/share/file_contexts* /etc/selinux/default/contexts/files/
setsebool systemd_tmpfiles_manage_all on
systemd-sysusers 2>&1 | sed 's/^/# /'
mkdir -p $L; chcon -t virt_image_t $L
install_images
cp /usr/bin/perl $L/perl; chcon -t qemu_exec_t $L/perl
restorecon -R /usr/lib/systemd/system /usr/share/virtc /usr/lib/virtc /usr/lib/tmpfiles.d 2>/dev/null
mkdir -p /run/virtc; restorecon /run/virtc
setenforce "${ENFORCE:-1}"; echo "# $(getenforce)"
systemctl daemon-reload
start_guests
for n in a b; do
  image=$(awk -F'\t' -v p=$L/$n.img '$3 == p { print $1 }' /usr/share/virtc/lab-$n/selinux/labels)
  check "the disk of guest $n has the label of the Plan" [ "$(stat -c %C $L/$n.img)" = "$image" ]
done
denied_by_qemu
check "the kernel says that SELinux denied them" bash -c 'dmesg | grep -Eq "avc: +denied.*b.img" && dmesg | grep -Eq "avc: +denied.*shadow"'
# A process in the context of guest a, as root: it does with its own what it may not do with the other.
context=$(awk -F'\t' '$3 == "(the processes)" { print $1 }' /usr/share/virtc/lab-a/selinux/labels)
as_guest() { k=$((k + 1)); systemd-run --wait -q -u as-guest-$k -p SELinuxContext=$context $L/perl -e "$1"; }
seize='exit(syscall(101, 0x4206, $ARGV[0] + 0, 0, 0) == 0 ? 0 : 1)'
a=$(pid_of virtc-lab-a) b=$(pid_of virtc-lab-b)
check "control: in the context, its own disk can be read" as_guest "open(F, '<', '$L/a.img') or exit 1"
check "the context alone denies the other's disk" bash -c "! { $(declare -f as_guest); L=$L context=$context k=10; as_guest \"open(F, '<', '$L/b.img') or exit 1\"; }"
check "control: outside the context, a ptrace works" perl -e "$seize" $b
dmesg -C
check "the context denies a ptrace of the other" bash -c "! { $(declare -f as_guest); L=$L context=$context k=20; as_guest 'exit(syscall(101, 0x4206, $b, 0, 0) == 0 ? 0 : 1)'; }"
check "the kernel says that SELinux denied the ptrace" bash -c 'dmesg | grep -E "avc: +denied.*\{ (sys_)?ptrace \}"'
denials | tail -30 | sed 's/^.*avc/# avc/'
stop_guests
denials | tail -30 | sed 's/^.*avc/# avc/'
# A machine that was copied by hand, with another UUID and the categories of guest a.
c=/usr/share/virtc/lab-c; mkdir -p $c/selinux; cp /usr/share/virtc/lab-a/selinux/labels $c/selinux/
sed 's/"uuid": "[^"]*"/"uuid": "0a1b2c3d-0000-4000-8000-0000000000cc"/' /usr/share/virtc/lab-a/manifest.json >$c/manifest.json
check "a machine with the categories of another does not start" bash -c '! systemctl start virtc-lab-a'
check "it says whose they are" bash -c 'journalctl -q -o cat -u virtc-lab-a | grep -q "lab-c, which is on this host, has the same SELinux categories"'
check "the disk keeps the label of its machine" bash -c "stat -c %C $L/a.img | grep -q svirt_image_t"
echo done
