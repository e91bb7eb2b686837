# Sourced: two guests side by side under generated units, the same for AppArmor and SELinux.
L=/var/lib/virtc-lab
install_images() {
  mkdir -p $L; cp /mnt/share/guest $L/
  for n in a b; do
    truncate -s 1M $L/$n.img
    printf 'hello from guest %s\n' $n | dd of=$L/$n.img bs=512 seek=1 conv=notrunc 2>/dev/null
  done
}
start_guests() {
  dmesg -C
  check "the guests start" systemctl start virtc-lab-a virtc-lab-b
  for n in a b; do
    check "guest $n boots" soon 90 grep -q "lab-guest: ready" $L/$n.serial
    systemctl -q is-active virtc-lab-$n || { journalctl -q --no-pager -o cat -u virtc-lab-$n | tail -20; denials | tail; exit 1; }
    check "guest $n reads its disk" grep -q "disk: hello from guest $n" $L/$n.serial
    check "guest $n has written its disk" grep -q "hello from guest $n" <(dd if=$L/$n.img bs=512 skip=2 count=1 2>/dev/null)
    check "guest $n hears what is typed on its console" console $n
  done
  check "a viewer connects to VNC" bash -c 'exec 3<>/dev/tcp/127.0.0.1/5901; read -r -t 10 -n 3 p <&3; [ "$p" = RFB ]'
  check "no denial in normal operation" quiet
  for n in a b; do python3 /mnt/share/readback.py lab-$n /usr/share/virtc/lab-$n; done
}
range_of() { awk -F'\t' '$3 == "(the processes)" { split($1, c, ":"); print c[4] ":" c[5] }' /usr/share/virtc/lab-$1/selinux/labels; }
# A client of the range of the guest, where there are ranges: QEMU may answer no other.
as_client() { if [ -e /sys/fs/selinux/enforce ]; then runcon -l "$(range_of $1)" "${@:2}"; else "${@:2}"; fi; }
console() {
  as_client $1 perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or die "no console: $!"; print $s "x"; sleep 1' /run/virtc/lab-$1/console.sock
  soon 20 grep -q 'console: heard x' $L/$1.serial
}
# QEMU itself is asked to open what is not its own.
ask() { as_client a perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(Peer=>$ARGV[0]) or exit 9; <$s>; print $s "{\"execute\":\"qmp_capabilities\"}\n"; <$s>; print $s "$ARGV[1]\n"; print scalar <$s>' /run/virtc/lab-a/monitor.sock "$1"; }
add() { printf '{"execute":"blockdev-add","arguments":{"driver":"file","filename":"%s","read-only":true,"node-name":"x%s"}}' $1 $RANDOM; }
# The accounts cannot read what the lab shares.
install -m 644 /mnt/share/attempts.pl /tmp/attempts.pl
# All that one guest may try against the other: who tries it, and by which command in front.
attempts() {
  local who=$1; shift
  "$@" perl /tmp/attempts.pl $(pid_of virtc-lab-b) lab-b $L >/tmp/attempts 2>&1
  attempted "$who"
}
attempted() {
  local who=$1
  # What is open, and what ended the program before its last line.
  grep -v '^refused' /tmp/attempts | sed 's/^/# /'
  check "$who is refused all of $(sed -n 's/ attempts$//p' /tmp/attempts) attempts against the other guest" bash -c "! grep -q ^OPEN /tmp/attempts && [ \$(grep -c ^refused /tmp/attempts) -ge 20 ]"
  check "guest b has noticed nothing of $who" soon 20 bash -c "systemctl -q is-active virtc-lab-b && [ \$(grep State: /proc/$(pid_of virtc-lab-b)/status | grep -c [TZ]) = 0 ]"
}
denied_by_qemu() {
  # Only the security module is in the way.
  chmod 644 /etc/shadow; chmod o+r $L/b.img
  for other in $L/b.img /etc/shadow; do
    ask "$(add $other)" > /tmp/answer; sed 's/^/# /' /tmp/answer
    check "guest a is denied $other" grep -q 'Permission denied' /tmp/answer
  done
  chmod 640 /etc/shadow
}
stop_guests() {
  dmesg -C
  check "the guests stop" systemctl stop virtc-lab-a virtc-lab-b virtc.target
  for n in a b; do
    check "guest $n was shut down by ACPI" grep -q 'lab-guest: powering off' $L/$n.serial
    check "guest $n ended well" bash -c "[ \$(systemctl show -P Result virtc-lab-$n) = success ]"
    check "guest $n leaves no run-time directory" test ! -e /run/virtc/lab-$n
  done
  check "no denial on the way out" quiet
  journalctl -q --no-pager -o cat -u virtc-lab-a | tail -12 | cut -c1-240 | sed 's/^/# /'
}
