# Runs inside the lab, as root: two guests side by side under generated units and profiles.
# Prints one line a check, `ok …` or `not ok …`; the runner outside counts them.
set +e
ok() { echo "ok $*"; }
not() { echo "not ok $*"; }
check() { name=$1; shift; if "$@" >/tmp/check.log 2>&1; then ok "$name"; else not "$name"; sed 's/^/# /' /tmp/check.log; fi; }

cp -r /mnt/share/tree/usr /mnt/share/tree/etc /
systemd-sysusers 2>&1 | sed 's/^/# /'
mkdir -p /var/lib/virtc-lab
for n in a b; do
  truncate -s 1M /var/lib/virtc-lab/$n.img
  printf '\xfa\x31\xc0\x8e\xd8\x8e\xc0\x8e\xd0\xbc\x00\x7c\xfb\xb8\xe3\x00\x31\xd2\xcd\x14\xb8\x01\x02\xbb\x00\x80\xb9\x02\x00\xba\x80\x00\xcd\x13\x72\x20\xb8\x01\x03\xbb\x00\x80\xb9\x03\x00\xba\x80\x00\xcd\x13\x72\x10\xbe\x00\x80\xac\x08\xc0\x74\x08\xb4\x01\x31\xd2\xcd\x14\xeb\xf3\xf4\xeb\xfd' |
    dd of=/var/lib/virtc-lab/$n.img conv=notrunc 2>/dev/null
  printf '\x55\xaa' | dd of=/var/lib/virtc-lab/$n.img bs=1 seek=510 conv=notrunc 2>/dev/null
  printf 'hello from guest %s\r\n' $n | dd of=/var/lib/virtc-lab/$n.img bs=512 seek=1 conv=notrunc 2>/dev/null
done
# What a test needs inside a profile, by way of local additions.
mkdir -p /etc/apparmor.d/local
for u in 1 2; do
  printf '/usr/bin/{cat,perl,setpriv} mr,\n' > /etc/apparmor.d/local/libvirt-0a1b2c3d-0000-4000-8000-00000000000$u
done
dmesg -C
systemctl daemon-reload
for n in a b; do check "guest $n starts" systemctl start virtc-lab-$n; done
for n in a b; do
  t=0; until grep -q "hello from guest $n" /var/lib/virtc-lab/$n.serial 2>/dev/null || [ $t -gt 120 ] || ! systemctl -q is-active virtc-lab-$n; do sleep 0.5; t=$((t+1)); done
  check "guest $n boots and speaks on its console" grep -q "hello from guest $n" /var/lib/virtc-lab/$n.serial
  check "guest $n has written its disk" grep -q "hello from guest $n" <(dd if=/var/lib/virtc-lab/$n.img bs=512 skip=2 count=1 2>/dev/null)
done
check "a viewer connects to VNC" bash -c 'exec 3<>/dev/tcp/127.0.0.1/5901; read -r -t 10 -n 3 p <&3; [ "$p" = RFB ]'
check "no denial in normal operation" bash -c '! dmesg | grep -E "apparmor=.DENIED"'
uid=$(id -u virtc-qemu)
for n in a b; do
  u=$([ $n = a ] && echo 1 || echo 2)
  pid=$(systemctl show -P MainPID virtc-lab-$n); cg=/sys/fs/cgroup$(systemctl show -P ControlGroup virtc-lab-$n)
  check "guest $n runs under its profile" grep -qx "libvirt-0a1b2c3d-0000-4000-8000-00000000000$u (enforce)" /proc/$pid/attr/apparmor/current
  check "guest $n runs as virtc-qemu" grep -qP "^Uid:\t$uid\t$uid\t$uid\t$uid$" /proc/$pid/status
  check "guest $n has no capability" bash -c "! grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb):' /proc/$pid/status | grep -v 0000000000000000"
  check "guest $n gets no new privileges, and is filtered" bash -c "grep -qP 'NoNewPrivs:\t1' /proc/$pid/status && grep -qP 'Seccomp:\t2' /proc/$pid/status"
  check "guest $n: cpu.weight is that of the Plan" grep -qx 200 $cg/cpu.weight
  check "guest $n: memory.max is that of the Plan" grep -qx 629145600 $cg/memory.max
  check "guest $n: a device of the Plan may be opened" bash -c "echo \$\$ > $cg/cgroup.procs && exec 3</dev/zero"
  check "guest $n: another device may not" bash -c "echo \$\$ > $cg/cgroup.procs && ! ( exec 3</dev/vda ) 2>/dev/null"
done
# QEMU itself is asked to open what is not its own; both run as the same user.
ask() { # socket command
  { printf '{"execute":"qmp_capabilities"}\n%s\n' "$2"; sleep 1.5; } | socat -t3 - UNIX-CONNECT:$1 2>/dev/null ||
  perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(Peer=>$ARGV[0]) or exit 9; <$s>; print $s "{\"execute\":\"qmp_capabilities\"}\n"; <$s>; print $s "$ARGV[1]\n"; print scalar <$s>' "$1" "$2"
}
add() { printf '{"execute":"blockdev-add","arguments":{"driver":"file","filename":"%s","read-only":true,"node-name":"x%s"}}' $1 $RANDOM; }
for other in /var/lib/virtc-lab/b.img /etc/shadow; do
  ask /run/virtc/lab-a/monitor.sock "$(add $other)" > /tmp/answer; sed 's/^/# /' /tmp/answer
  check "guest a is denied $other" grep -q 'Permission denied\|Operation not permitted' /tmp/answer
done
P=libvirt-0a1b2c3d-0000-4000-8000-000000000001; b=$(systemctl show -P MainPID virtc-lab-b)
run="setpriv --reuid=virtc-qemu --regid=virtc-qemu --clear-groups"
check "control: without the profile, the other's disk can be read" $run cat /var/lib/virtc-lab/b.img
check "control: under the profile, its own disk can be read" $run aa-exec -p $P -- cat /var/lib/virtc-lab/a.img
# PTRACE_SEIZE, which does not stop the process; as root, since the guests' user namespaces refuse all others.
check "control: without the profile, a ptrace works" perl -e "exit(syscall(101,0x4206,$b,0,0)==0?0:1)"
check "the profile alone denies the other's disk" bash -c "! $run aa-exec -p $P -- cat /var/lib/virtc-lab/b.img"
check "the profile alone denies /etc/shadow" bash -c "! aa-exec -p $P -- cat /etc/shadow"
check "the profile denies a ptrace of the other" bash -c "! aa-exec -p $P -- perl -e 'exit(syscall(101,0x4206,$b,0,0)==0?0:1)'"
check "the kernel says that AppArmor denied them" bash -c 'dmesg | grep -q "apparmor=.DENIED.*b.img" && dmesg | grep -q "apparmor=.DENIED.*shadow"'
dmesg -C
for n in a b; do
  check "guest $n stops" systemctl stop virtc-lab-$n
  check "guest $n ended well" bash -c "[ \$(systemctl show -P Result virtc-lab-$n) = success ]"
  check "guest $n leaves no run-time directory" test ! -e /run/virtc/lab-$n
done
check "no denial on the way out" bash -c '! dmesg | grep -E "apparmor=.DENIED"'
systemctl status --no-pager virtc-lab-a 2>&1 | tail -12 | sed 's/^/# /'
echo done
