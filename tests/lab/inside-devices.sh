# Runs inside the lab, as root, under an enforcing AppArmor: each machine of devices/, started by its unit, proved, stopped.
# What is to be proved stands in the comment at the head of its XML, a line a thing:
#   here:     it is compiled on this host, by what it finds; else it was compiled elsewhere, knowing nothing of it
#   prepare:  what is done before the start
#   console:  a line that the guest writes, within 90 seconds or what `within:` says
#   check:    a command that succeeds while it runs
#   quit:     the guest cannot hear the power button
#   after:    a command that succeeds when it has stopped
#   denied:   what AppArmor may deny
. "${0%/*}/inside-common.sh"
L=/var/lib/virtc-lab; D=/mnt/share/devices
mkdir -p $L; cp /mnt/share/guest $L/
# Called by the machines' own lines.
qmp() {
  printf '{"execute":"qmp_capabilities"}\n{"execute":"%s"%s}\n' "$2" "${3:+,\"arguments\":$3}" |
    timeout 30 perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or die "no monitor: $!"; <$s>; while (<STDIN>) { print $s $_; do { $a = <$s> } while $a =~ /"event"/; } print $a' /run/virtc/$1/monitor.sock
}
hmp() { qmp $1 human-monitor-command "{\"command-line\":\"$2\"}"; }
disk() { truncate -s 1M $1; printf 'hello from the host\n' | dd of=$1 bs=512 seek=1 conv=notrunc 2>/dev/null; }
written() { sleep 1; dd if=$1 bs=512 skip=2 count=1 2>/dev/null | grep -q 'hello from the host'; }
export -f qmp hmp disk written soon; export L
said() { sed -n "/-->/q;s/^ *\(<!-- \)*$2: *//p" $D/$1.xml; sed -n "/-->/{s/^ *$2: *\(.*\) -->/\1/p;q}" $D/$1.xml; }
each() { said $1 $2 | while IFS= read -r line; do check "$1: $line" timeout 120 bash -c "$line"; done; }
profile() { systemctl show -P AppArmorProfile virtc-$1; }
journal() { journalctl -q --no-pager -o cat -u "virtc-$1*" | tail -15 | cut -c1-300 | sed 's/^/# /'; }
facts() { /mnt/share/virtc probe host >/tmp/host.kdl && /mnt/share/virtc --quiet build --host /tmp/host.kdl --probe-backing "$@" -o /tmp/here; }
names=$(cat /mnt/share/names)
for n in $names; do [ -z "$(said $n here)" ] || here="$here $D/$n.xml"; done
if [ -n "$here" ]; then check "built here:$(printf ' %s' $here | sed "s#$D/##g")" facts $here && cp -r /tmp/here/usr /tmp/here/etc /; fi
cp -r /mnt/share/tree/usr /mnt/share/tree/etc /
systemd-sysusers 2>&1 | sed 's/^/# /'
for n in $names; do said $n prepare | bash -e || not "$n: prepare"; done
systemctl daemon-reload
udevadm control --reload; udevadm trigger --settle --subsystem-match=usb --subsystem-match=input --subsystem-match=block --subsystem-match=vfio
# Those that belong together have one name but for their end.
batch() {
  dmesg -C; local started=$SECONDS
  for n in $*; do (systemctl start virtc-$n >/tmp/start.$n 2>&1; echo $? >/tmp/started.$n) & done; wait
  for n in $*; do
    if [ "$(cat /tmp/started.$n)" = 0 ]; then ok "$n: starts"; else not "$n: starts"; journal $n; denials | grep "$(profile $n)" | tail -5 | sed 's/^/# /'; continue; fi
    said $n console >/tmp/lines.$n
    while IFS= read -r line; do
      check "$n: says $line" soon $(said $n within | grep . || echo 90) grep -aEq "$line" $L/$n.serial
    done </tmp/lines.$n
    [ -s $L/$n.serial ] && tail -4 $L/$n.serial | tr -d '\r' | cut -c1-120 | sed "s/^/# $n: /"
    each $n check
  done
  for n in $*; do [ -z "$(said $n quit)" ] || qmp $n quit >/dev/null 2>&1; done
  check "stop: $*" systemctl stop $(printf 'virtc-%s ' $*)
  for n in $*; do
    [ "$(cat /tmp/started.$n)" = 0 ] || continue
    [ -n "$(said $n quit)" ] || check "$n: was shut down by ACPI" grep -aq 'lab-guest: powering off' $L/$n.serial
    check "$n: ended well" [ "$(systemctl show -P Result virtc-$n)" = success ]
    check "$n: leaves nothing" bash -c "! ls -d /run/virtc/$n 2>/dev/null && ! pgrep -u virtc-$n"
    each $n after
    denials | grep "$(profile $n)" | grep -vE "$(said $n denied | grep . || echo '^$')" >/tmp/denials
    check "$n: no denial" bash -c '! head -5 /tmp/denials | grep .'
  done
  echo "# batch of $*: $((SECONDS - started)) s"
}
set --
for group in $(printf '%s\n' $names | sed 's/-[ab]$//' | sort -u); do
  set -- $* $(printf '%s\n' $names | grep -xE "$group(-[ab])?")
  [ $# -lt 5 ] || { batch $*; set --; }
done
[ $# = 0 ] || batch $*
echo done
