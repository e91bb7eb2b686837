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
# The account by itself, without the profile, against what is the other's.
P=libvirt-0a1b2c3d-0000-4000-8000-000000000001; b=$(pid_of virtc-lab-b)
run="setpriv --reuid=virtc-lab-a --regid=virtc-lab-a --clear-groups"
chmod o-r $L/b.img
for n in a b; do check "QEMU $n runs as its own account" [ "$(stat -c %U /proc/$(pid_of virtc-lab-$n))" = virtc-lab-$n ]; done
check "control: the account reads its own disk" $run cat $L/a.img
check "control: the account connects to its own console" $run perl -MIO::Socket::UNIX -e 'exit !IO::Socket::UNIX->new(Peer => "/run/virtc/lab-a/console.sock")'
check "control: the other's own account is not refused" bash -c "setpriv --reuid=virtc-lab-b --regid=virtc-lab-b --clear-groups perl /tmp/attempts.pl $b lab-b $L harmless >/tmp/own 2>&1; grep -q ' attempts$' /tmp/own && ! grep -q ^refused /tmp/own || { cat /tmp/own; false; }"
attempts "the account alone" $run
# The profile by itself.
chmod o+r $L/b.img
check "control: without the profile, the other's disk can be read" $run cat $L/b.img
check "control: under the profile, its own disk can be read" $run aa-exec -p $P -- cat $L/a.img
# PTRACE_SEIZE, which does not stop the process; as root, since the guests' user namespaces refuse all others.
check "control: without the profile, a ptrace works" perl -e "exit(syscall(101,0x4206,$b,0,0)==0?0:1)"
check "the profile alone denies the other's disk" bash -c "! $run aa-exec -p $P -- cat $L/b.img"
check "the profile alone denies /etc/shadow" bash -c "! aa-exec -p $P -- cat /etc/shadow"
check "the profile denies a ptrace of the other" bash -c "! aa-exec -p $P -- perl -e 'exit(syscall(101,0x4206,$b,0,0)==0?0:1)'"
check "the kernel says that AppArmor denied them" bash -c 'for w in b.img shadow ptrace; do dmesg | grep -q "apparmor=.DENIED.*$w" || exit 1; done'
# What is not there is told by `systemctl start`, in QEMU's words.
mv $L/b.img $L/b.away; systemctl stop virtc-lab-b
check "a start without the disk fails" bash -c '! systemctl start virtc-lab-b'
check "QEMU's own words are in the journal" bash -c 'journalctl -q --no-pager -o cat -u virtc-lab-b | grep -q "b.img.*No such file"'
mv $L/b.away $L/b.img
check "it starts again" systemctl start virtc-lab-b
check "it says so when the guest runs" bash -c 'systemctl -q is-active virtc-lab-b'
check "guest b boots again" soon 90 bash -c "tail -c 2000 $L/b.serial | grep -q 'lab-guest: ready'"
# An administrator who holds the monitor is in nobody's way.
perl -MIO::Socket::UNIX -e '$| = 1; $s = IO::Socket::UNIX->new(Peer => "/run/virtc/lab-a/monitor.sock"); print scalar <$s>; sleep 300' >/tmp/held & held=$!
check "an administrator holds the monitor of guest a" soon 10 grep -q QMP /tmp/held
stop_guests
kill $held
# The runner, whose machine systemd gives a scope.
if virtc=/mnt/share/virtc; "$virtc" --version >/tmp/check.log 2>&1; then
  R=/srv/virtc-lab-r; mkdir -p $R; cp /mnt/share/guest $R/
  check "no machine runs as root for want of an account" bash -c "! $virtc run -d /mnt/share/runner.xml >$R/said 2>&1 && grep -q VC1902 $R/said"
  useradd --system --no-create-home --shell /usr/sbin/nologin virtc-lab-r
  check "virtc run -d" "$virtc" run -d /mnt/share/runner.xml
  check "its guest is ready" soon 60 grep -aq 'lab-guest: ready' $R/serial
  r=$("$virtc" list | awk '$1 == "lab-r" { print $2 }')
  check "it has a profile that was loaded for it" grep -q '^libvirt-.* (enforce)' /proc/$r/attr/current
  check "it sees nothing of root's own folder" bash -c "[ -n \"\$(ls -A /root)\" ] && [ -d /proc/$r/root/root ] && [ -z \"\$(ls -A /proc/$r/root/root)\" ]"
  check "it sees no other machine's folder" bash -c "[ \"\$(ls /proc/$r/root/run/virtc)\" = lab-r ]"
  profile=$(sed 's/ .*//' /proc/$r/attr/current)
  check "its scope has the device rules of the Plan" bash -c 'u=$(systemctl list-units --plain --no-legend "virtc-run-lab-r-*" | cut -d" " -f1); [ "$(systemctl show -P DevicePolicy $u)" = strict ] && [ "$(systemctl show -P DeviceAllow $u | cut -d" " -f1 | sort | tr "\n" " ")" = "/dev/full /dev/null /dev/random /dev/urandom /dev/zero " ]'
  check "virtc stop" "$virtc" stop lab-r
  check "it was shut down by ACPI" grep -aq 'powering off' $R/serial
  check "its profile has gone with it" bash -c "! grep -q '^$profile ' /sys/kernel/security/apparmor/profiles"
  # The timer of the board, by a name that says nothing.
  mknod -m 0666 /dev/lab-timer c 10 228
  sed 's#</domain>#<qemu:commandline><qemu:arg value="-object"/><qemu:arg value="rng-random,id=x,filename=/dev/lab-timer"/></qemu:commandline></domain>#' /mnt/share/runner.xml >$R/more.xml
  check "a device that nobody asked for is refused" bash -c "! $virtc run -d $R/more.xml >$R/said 2>&1 && cat $R/said && tr -d '\n │' <$R/said | grep -q '/dev/lab-timer.*Operationnotpermitted'"
  check "nothing is left of it" bash -c '! ls -d /run/virtc/lab-r /run/virtc/.machines/lab-r* && ! systemctl list-units --no-legend "virtc-run-*" | grep .'
else
  echo "SKIP: the runner: this virtc does not run in the lab: $(tail -1 /tmp/check.log)"
fi
echo done
