# Two packages of three machines on a host with a real systemd and enforcing AppArmor: installed, started, killed,
# stopped, shut down with the host, and brought back by its reboot.
. "${0%/*}/inside-common.sh"
S=/srv/virtc-lab
serial() { grep -aq -- "$2" $S/$1.serial; }
active() { [ "$(systemctl is-active virtc-$1)" = active ]; }
ready() { active $1 && serial $1 'lab-guest: ready'; }
# Everything that three guests have to say when they are well.
well() {
  for n in one two three; do check "$1: guest $n is ready" soon 200 ready $n; done
  for n in one three; do check "$1: guest $n talks to its TPM" soon 20 serial $n 'tpm: random bytes'; done
  check "$1: guest one reads and writes its share" soon 20 serial one 'fs: hello guest, from the host'
  check "$1: guest one hears two, and is answered" soon 60 bash -c "grep -q 'net: heard two' $S/one.serial && grep -q 'net: two answers' $S/one.serial"
  check "$1: guest two hears one, and is answered" soon 60 bash -c "grep -q 'net: heard one' $S/two.serial && grep -q 'net: one answers' $S/two.serial"
}
nothing_left() {
  check "$1: nothing is left in run-time directories" bash -c '[ -z "$(ls -A /run/virtc 2>/dev/null)" ] || { ls -lR /run/virtc; false; }'
  check "$1: no process is left" bash -c '! pgrep -a "qemu-system|swtpm|virtiofsd|passt"'
  check "$1: no tap is left" bash -c '! ip -o link | grep -E "[ :]vt[0-9a-z]{9}-[0-9]"'
}
# The target is down when all machines and their helpers are.
stopped() {
  check "$1: systemctl stop virtc.target" systemctl stop virtc.target
  check "$1: all machines are down when it returns" bash -c '! systemctl is-active "virtc-one*" "virtc-two*" "virtc-three*" | grep -vxE "inactive|failed"'
}
show() { for u in one one-swtpm-tpm0 one-virtiofsd-fs0 two three three-swtpm-tpm0; do echo "# $u: $(systemctl show -P ActiveState -P Result virtc-$u | tr '\n' ' ')"; done; denials | tail -20 | sed 's/^/# /'; journalctl -q --no-pager -o short-monotonic -b ${2:+--since "$2"} -u 'virtc-*' | tail -${1:-25} | cut -c1-240 | sed 's/^/# /'; }
end() { [ "$(pid_of $1)" != 0 ] && kill -KILL "$(pid_of $1)"; }
# A process of a guest is killed, and everything starts again: unit of the process.
comes_back() {
  local was=$(pid_of virtc-one)
  truncate -s 0 $S/one.serial
  check "$1 is killed with SIGKILL" end "$1"
  check "SIGKILL of $1: the machine starts again, as on_crash says" soon 150 bash -c "p=\$(systemctl show -P MainPID virtc-one); [ \$p != 0 ] && [ \$p != $was ] && grep -aq 'lab-guest: ready' $S/one.serial"
  ready one || show 40 "$T"
  check "SIGKILL of $1: TPM and share work again" bash -c "grep -aq 'tpm: random' $S/one.serial && grep -aq 'fs: hello' $S/one.serial"
}

if [ "${AFTER:-}" = reboot ]; then
  echo "# up again after $(cut -d' ' -f1 /proc/uptime) s"
  check "after the reboot: virtc.target is active" soon 60 systemctl -q is-active virtc.target
  for n in one two three; do check "the host's shutdown: guest $n was shut down by ACPI" grep -aq 'lab-guest: powering off' $S/$n.before; done
  well "after the reboot"
  ready one || show 60
  check "after the reboot: no denial" quiet
  check "one of the packages can be removed" dpkg -r virtc-other
  check "its machine is stopped, its units are gone" bash -c '! systemctl -q is-active virtc-three && ! ls /usr/lib/systemd/system/virtc-three* /etc/systemd/system/*.wants/virtc-three.service'
  check "the machines of the other run on" systemctl is-active virtc.target virtc-one virtc-two
  check "and are there after the next boot" systemctl is-enabled virtc.target virtc-one virtc-two
  stopped "after the reboot"
  nothing_left "after the reboot"
  check "the other package can be removed, and what both shared" dpkg -P virtc-machines virtc-common
  check "all units are gone" bash -c '! ls /usr/lib/systemd/system/virtc* /etc/systemd/system/*.wants/virtc*'
  systemctl --failed --no-legend | sed 's/^/# failed: /'
  echo done
  exit
fi

mkdir -p $S/share; cp /mnt/share/guest $S/; cp /mnt/share/passt /usr/bin/; echo 'hello guest, from the host' > $S/share/to-guest
# passt copies the host's way out, and the lab has none.
cat >/etc/systemd/system/lab0.service <<'U'
[Unit]
Before=virtc-three-passt-net0.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec "ip link add lab0 type dummy; ip address add 198.51.100.2/24 dev lab0; ip link set lab0 up; ip route add default via 198.51.100.1"
[Install]
WantedBy=multi-user.target
U
systemctl -q enable --now lab0
check "dpkg installs the packages" dpkg -i --force-depends /mnt/share/common.deb /mnt/share/machines.deb /mnt/share/other.deb
check "the target and the machines are enabled" systemctl is-enabled virtc.target virtc-one virtc-two virtc-three
dmesg -C
T=$(date '+%F %T')
check "systemctl start virtc.target" systemctl start virtc.target
well start
if ! ready one || ! ready two; then show 60 "$T"; echo "# the guests do not start: no use going on"; exit 1; fi
check "the share has what the guest wrote" grep -q 'written by the guest' $S/share/from-one
check "the bridge has its address and both taps" bash -c 'ip -o address show dev vblab0 | grep -q 192.0.2.1/24 && [ $(ls /sys/class/net/vblab0/brif | wc -l) = 2 ]'
check "the traffic of two is shaped in both directions" bash -c 'for tap in $(ls /sys/class/net/vblab0/brif); do tc class show dev $tap; tc filter show dev $tap parent ffff:; done >/tmp/shaped; grep -q "htb.*rate 8Mbit ceil 16Mbit" /tmp/shaped && grep -q "police.*rate 8Mbit" /tmp/shaped'
check "no denial in normal operation" quiet
for u in virtc-one-swtpm-tpm0 virtc-one-virtiofsd-fs0; do
  check "$u is confined" bash -c "grep -q 'libvirt-1a1b2c3d-0000-4000-8000-000000000011//.* (enforce)' /proc/$(pid_of $u)/attr/apparmor/current"
done
show 10 "$T"
T=$(date '+%F %T')
check "virtc-two is killed with SIGKILL" end virtc-two
check "virtc-three's passt runs" systemctl -q is-active virtc-three-passt-net0
check "virtc-three's passt is killed with SIGKILL" end virtc-three-passt-net0
check "SIGKILL of virtc-three's passt: its unit ends" soon 20 bash -c '! systemctl -q is-active virtc-three-passt-net0'
sleep 2
check "SIGKILL of virtc-three's passt: the machine goes on" bash -c '! grep -aq "powering off" /srv/virtc-lab/three.serial && systemctl -q is-active virtc-three'
check "virtc-three's TPM is killed with SIGKILL" end virtc-three-swtpm-tpm0
comes_back virtc-one-virtiofsd-fs0
check "SIGKILL of virtc-two: the machine stays down, as on_crash says" soon 20 bash -c '[ "$(systemctl is-active virtc-two)" = failed ]'
check "SIGKILL of virtc-two: its run-time directory is gone" soon 5 test ! -e /run/virtc/two
check "SIGKILL of virtc-three's TPM: the machine stops" soon 60 bash -c 'case $(systemctl is-active virtc-three) in inactive|failed) ;; *) false; esac'
check "SIGKILL of virtc-three's TPM: its guest was asked" serial three 'powering off'
check "SIGKILL of virtc-three's TPM: its run-time directory is gone" soon 5 test ! -e /run/virtc/three
systemctl reset-failed
check "they start again" systemctl start virtc-two virtc-three
comes_back virtc-one
comes_back virtc-one-swtpm-tpm0
show 15 "$T"
for n in one two three; do check "guest $n is ready again" soon 60 ready $n; done
T=$(date '+%F %T'); dmesg -C
stopped "after the start"
for n in one two three; do
  check "guest $n was shut down by ACPI" serial $n 'lab-guest: powering off'
  check "guest $n ended well" bash -c "[ \$(systemctl show -P Result virtc-$n) = success ] && ! systemctl -q is-active virtc-$n"
done
nothing_left "after the stop"
check "no denial on the way out" quiet
show 30 "$T"

# The reboot: this kernel starts the next one, because the machine of the lab cannot be reset. The program that runs
# commands in the lab gives way to the second half of this script, which talks to the host in its place.
if [ -e /mnt/share/vmlinuz ]; then
  # What the guests say at the end, before the next start begins their logs anew.
  for n in one two three; do
    mkdir -p /etc/systemd/system/virtc-$n.service.d
    printf '[Service]\nExecStopPost=+/bin/cp %s %s\n' $S/$n.serial $S/$n.before >/etc/systemd/system/virtc-$n.service.d/keep.conf
  done
  systemctl daemon-reload
  truncate -s 0 $S/*.serial
  check "they start once more" systemctl start virtc.target
  for n in one two three; do check "guest $n is ready to be shut down with the host" soon 200 ready $n; done
  cp /mnt/share/inside-common.sh /mnt/share/inside-deploy.sh /root/
  rm -f /etc/systemd/system/multi-user.target.wants/virtc-lab.service
  cat > /etc/systemd/system/virtc-lab-after.service <<'U'
[Unit]
After=dbus.socket systemd-udevd.service local-fs.target
[Service]
Type=exec
Environment=AFTER=reboot HOME=/root
ExecStart=/bin/bash -c 'p=/dev/virtio-ports; for n in {1..300}; do [ -c $p/virtc.ctl ] && [ -c $p/virtc.out ] && break; sleep 0.1; done; exec 3<>$p/virtc.ctl; timeout 400 bash /root/inside-deploy.sh 2>&1 3>&- | cat >$p/virtc.out; echo "exit 0" >&3; sleep 3600'
[Install]
WantedBy=multi-user.target
U
  ln -s ../virtc-lab-after.service /etc/systemd/system/multi-user.target.wants/
  # kexec_file_load: kernel, initrd, length of the command line, command line, flags.
  if perl -e 'open K, "<", "/mnt/share/vmlinuz" or die; open I, "<", "/mnt/share/initrd.img" or die; open C, "<", "/proc/cmdline"; chomp($c = <C>); $c .= "\0"; exit(syscall(320, fileno(K), fileno(I), length $c, $c, 0) == 0 ? 0 : 1)'; then
    echo "# rebooting after $SECONDS s"
    sync
    systemctl kexec
    sleep 300
  fi
  not "the lab can be rebooted"
fi
echo done
