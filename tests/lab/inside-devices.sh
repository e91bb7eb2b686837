# Runs inside the lab, as root, under an enforcing AppArmor or SELinux: each machine of devices/, started by its unit, proved, stopped.
# What is to be proved stands in the comment at the head of its XML, a line a thing:
#   here:     it is compiled on this host, by what it finds; else it was compiled elsewhere, knowing nothing of it
#   modules:  modules of the kernel that the image of the lab lacks, as block/t10-pi
#   packages: packages of Debian that it lacks; nothing of them is run but what the machine runs
#   prepare:  what is done before the start
#   console:  a line that the guest writes, within 90 seconds or what `within:` says
#   check:    a command that succeeds while it runs
#   unproved: it is only tried when it is named
#   fails:    it does not start, and what is said about it
#   quit:     the guest cannot hear the power button: it is ended before (yes), or by the stop (no)
#   after:    a command that succeeds when it has stopped, or has not started
#   denied:   what may be denied
#   run:      why it does not run by `virtc run`, where it does not
#   session:  yes, where a user may have it as well as root
#   selinux:  why the machine does not run under Debian's policy, where it does not
. "${0%/*}/inside-common.sh"
L=/var/lib/virtc-lab; D=/mnt/share/devices
mkdir -p $L
if [ "$LSM" = selinux ]; then
  # Debian's policy refuses systemd-tmpfiles a limit that it does without.
  denials() { dmesg | grep -E 'avc: +denied' | grep -v 'setrlimit.*systemd_tmpfiles_t'; }
  setenforce 0
  cp /mnt/share/policy.33 /etc/selinux/default/policy/; cp /mnt/share/file_contexts* /etc/selinux/default/contexts/files/; load_policy
  for on in systemd_tmpfiles_manage_all virt_use_execmem virt_use_vfio virt_use_sysfs virt_use_usb virt_use_evdev virt_use_comm; do setsebool $on on 2>/dev/null; done
  chcon -t virt_image_t $L
fi
cp /mnt/share/guest $L/
[ -z "$(ls /mnt/share/root)" ] || { tar -C /mnt/share/root -c . | tar -C / -x --keep-directory-symlink --no-same-owner; ldconfig; }
if ls /mnt/share/modules/*.ko >/dev/null 2>&1; then mkdir /lib/modules/$(uname -r)/extra; cp /mnt/share/modules/*.ko /lib/modules/$(uname -r)/extra/; depmod; fi
# A user of his own, with a systemd of his own; the lab has no pam_systemd, which would say where his run-time directory is.
R=/run S=/var/lib INSTANCE=system
if [ "$HOW" = session ] || [ "$HOW" = user ]; then
  useradd -m -G kvm lab; uid=$(id -u lab); R=/run/user/$uid S=/home/lab/.local/state INSTANCE=session
  mkdir -p /run/systemd/system/user@.service.d
  printf '[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\n' >/run/systemd/system/user@.service.d/lab.conf
  systemctl daemon-reload; install -d -m 700 -o lab -g lab $R
  check "the user's systemd" systemctl start user@$uid
  # The folder of the host is root's.
  cp /mnt/share/virtc /usr/bin/
fi
as() { if [ $R = /run ]; then "$@"; else runuser -u lab -- env HOME=/home/lab XDG_RUNTIME_DIR=$R "DBUS_SESSION_BUS_ADDRESS=unix:path=$R/bus" "$@"; fi; }
virtc() { if [ $R = /run ]; then /mnt/share/virtc "$@"; else as /usr/bin/virtc "$@"; fi; }
unit() { if [ "$HOW" = session ]; then as systemctl --user "$@"; else systemctl "$@"; fi; }
words() { if [ $R = /run ]; then journalctl -q --no-pager -o cat -u "virtc-$1*"; else journalctl -q --no-pager -o cat _UID=$(id -u lab); fi; }
# A client of the range of the machine, where there are ranges: QEMU may answer no other.
client() { local n=$1; shift; if [ "$LSM" = selinux ]; then runcon -l "s0:$(profile $n)" "$@"; else "$@"; fi; }
# Called by the machines' own lines.
qmp() {
  printf '{"execute":"qmp_capabilities"}\n{"execute":"%s"%s}\n' "$2" "${3:+,\"arguments\":$3}" |
    client $1 timeout 30 perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or die "no monitor: $!"; <$s>; while (<STDIN>) { print $s $_; do { $a = <$s> } while $a =~ /"event"/; } print $a' $R/virtc/$1/monitor.sock
}
hmp() { qmp $1 human-monitor-command "{\"command-line\":\"$2\"}"; }
disk() { truncate -s 1M "$1"; printf 'hello from the host\n' | dd of="$1" bs=512 seek=1 conv=notrunc 2>/dev/null; }
written() { sleep 1; dd if="$1" bs=512 skip=2 count=1 2>/dev/null | grep -q 'hello from the host'; }
# Programs besides the machine. (Two dashes may not stand in a comment of XML.)
options() { printf -- '--%s ' "$@"; }
service() { local n=$1; shift; systemd-run -q --unit="lab-$n" "$@"; }
storage() { local n=$1; shift; service $n qemu-storage-daemon $(options blockdev=file,node-name=f,filename=/srv/$n.img "$@"); }
pid() { unit show -P MainPID virtc-$1; }
# By `virtc run` in place of units: the same machines, of the same plans.
runner() { [ "$HOW" = run ] || [ "$HOW" = user ]; }
if runner; then pid() { pgrep -of "guest=$1,"; }; fi
start() { if runner; then virtc run -d /usr/share/virtc/$1/plan.json; else unit start virtc-$1; fi; }
stop() { [ $# != 0 ] || return 0; if runner; then virtc stop "$@"; else unit stop $(printf 'virtc-%s ' "$@"); fi; }
# By what the lines of the audit log are those of a machine.
profile() { if [ "$LSM" = selinux ]; then awk -F'\t' '$3 == "(the processes)" { split($1, c, ":"); print c[5] }' /usr/share/virtc/$1/selinux/labels; elif [ $R = /run ]; then systemctl show -P AppArmorProfile virtc-$1; else echo .; fi; }
export -f as virtc unit words client profile pid qmp hmp disk written soon options service storage; export L R HOW LSM
said() { said_of "$@" | sed "s#/run/virtc/#$R/virtc/#g;s#/var/lib/virtc/#$S/virtc/#g"; }
said_of() { sed -n "/-->/q;s/^ *\(<!-- \)*$2: *//p" $D/$1.xml; sed -n "/-->/{s/^ *$2: *\(.*\) -->/\1/p;q}" $D/$1.xml; }
each() { said $1 $2 | while IFS= read -r line; do check "$1: $line" timeout 120 bash -c "$line"; done; }
journal() { words $1 | tail -15 | cut -c1-300 | sed 's/^/# /'; }
facts() { /mnt/share/virtc probe host >/tmp/host.kdl && /mnt/share/virtc --quiet --connect "qemu:///$INSTANCE" build --caps here --host /tmp/host.kdl --probe-backing "$@" -o /tmp/here; }
names=$(cat /mnt/share/names)
without() { for n in $names; do why=$(said $n $1); [ -z "$why" ] && echo $n || echo "# $n: not by $1: $why" >&2; done; }
! runner || names=$(without run)
if [ "$LSM" = selinux ]; then names=$(for n in $names; do why=$(said $n selinux); [ -z "$(said $n here)" ] || why="it is compiled here, behind the policy"; [ -z "$why" ] && echo $n || echo "# $n: not under SELinux: $why" >&2; done); fi
for n in $names; do [ -z "$(said $n here)" ] || here="$here $D/$n.xml"; done
if [ -n "$here" ]; then check "built here:$(printf ' %s' $here | sed "s#$D/##g")" facts $here && cp -r /tmp/here/usr /tmp/here/etc /; fi
cp -r /mnt/share/tree/usr /mnt/share/tree/etc /
systemd-sysusers 2>&1 | sed 's/^/# /'
# Packages of machines depend on `acl`, which the lab does not have: systemd-tmpfiles stands in for it.
command -v setfacl >/dev/null || { printf '#!/bin/sh\necho "a+ $3 - - - - $2" >/run/setfacl.$$.conf\nsystemd-tmpfiles --create /run/setfacl.$$.conf\n' >/usr/bin/setfacl; chmod +x /usr/bin/setfacl; }
for n in $names; do said $n prepare | bash -e || not "$n: prepare"; done
[ $R = /run ] || chown -R lab: /srv $L
if [ "$LSM" = selinux ]; then
  restorecon -R /usr/lib/systemd/system /usr/share/virtc /usr/lib/virtc /usr/lib/tmpfiles.d 2>/dev/null
  mkdir -p /run/virtc; restorecon /run/virtc; setenforce 1; echo "# $(getenforce)"
fi
systemctl daemon-reload; [ "$HOW" != session ] || unit daemon-reload
udevadm control --reload; udevadm trigger --settle $(options subsystem-match=usb subsystem-match=input subsystem-match=block subsystem-match=vfio subsystem-match=scsi_generic subsystem-match=vhost-vdpa subsystem-match=misc)
# Those that belong together have one name but for their end.
batch() {
  dmesg -C; local started=$SECONDS
  for n in $*; do (start $n >/tmp/start.$n 2>&1; echo $? >/tmp/started.$n) & done; wait
  for n in $*; do
    if [ -n "$(said $n fails)" ]; then
      check "$n: does not start" [ "$(cat /tmp/started.$n)" != 0 ]
      (cat /tmp/start.$n; words $n) >/tmp/words
      check "$n: says $(said $n fails)" grep -Eq "$(said $n fails)" /tmp/words
      each $n after
      continue
    fi
    if [ "$(cat /tmp/started.$n)" = 0 ]; then ok "$n: starts"; else not "$n: starts"; sed 's/^/# /' /tmp/start.$n; journal $n; [ ! -e $L/$n.serial ] || tail -3 $L/$n.serial | cut -c1-120 | sed "s/^/# $n: /"; denials | tail -5 | cut -c1-400 | sed 's/^/# /'; continue; fi
    said $n console >/tmp/lines.$n
    while IFS= read -r line; do
      check "$n: says $line" soon $(said $n within | grep . || echo 90) grep -aEq "$line" $L/$n.serial
    done </tmp/lines.$n
    [ -s $L/$n.serial ] && tail -4 $L/$n.serial | tr -d '\r' | cut -c1-120 | sed "s/^/# $n: /"
    each $n check
  done
  for n in $*; do [ "$(said $n quit)" != yes ] || qmp $n quit >/dev/null 2>&1; done
  check "stop: $*" stop $(for n in $*; do [ "$(cat /tmp/started.$n)" != 0 ] || echo $n; done)
  for n in $*; do
    [ "$(cat /tmp/started.$n)" = 0 ] || continue
    [ -n "$(said $n quit)" ] || check "$n: was shut down by ACPI" grep -aq 'lab-guest: powering off' $L/$n.serial
    runner || check "$n: ended well" [ "$(unit show -P Result virtc-$n)" = success ]
    check "$n: leaves nothing" bash -c "! ls -d $R/virtc/$n 2>/dev/null && ! pgrep -f 'guest=$n[,]' && ! { id virtc-$n >/dev/null 2>&1 && pgrep -u virtc-$n; }"
    each $n after
    denials | grep "$(profile $n)" | grep -vE "$(said $n denied | grep . || echo '^$')" >/tmp/denials
    check "$n: no denial" bash -c '! head -5 /tmp/denials | grep .'
  done
  echo "# batch of $*: $((SECONDS - started)) s"
}
set --
for group in $(printf '%s\n' $names | sed 's/-[ab]$//' | sort -u); do
  set -- $* $(printf '%s\n' $names | grep -xE "$group(-[ab])?")
  [ $# -lt 4 ] || { batch $*; set --; }
done
[ $# = 0 ] || batch $*
echo done
