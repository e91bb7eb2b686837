# Runs inside the lab under an enforcing SELinux, as root: two guests side by side under generated units and labels.
# Prints one line a check, `ok …` or `not ok …`; the runner outside counts them.
set +e
ok() { echo "ok $*"; }
not() { echo "not ok $*"; }
check() { name=$1; shift; if "$@" >/tmp/check.log 2>&1; then ok "$name"; else not "$name"; sed 's/^/# /' /tmp/check.log; fi; }

setenforce 0
cp -r /mnt/share/tree/usr /
cp /mnt/share/policy.33 /etc/selinux/default/policy/policy.33; load_policy
systemd-sysusers 2>&1 | sed 's/^/# /'
mkdir -p /var/lib/virtc-lab; chcon -t virt_image_t /var/lib/virtc-lab
for n in a b; do
  truncate -s 1M /var/lib/virtc-lab/$n.img
  printf '\xfa\x31\xc0\x8e\xd8\x8e\xc0\x8e\xd0\xbc\x00\x7c\xfb\xb8\xe3\x00\x31\xd2\xcd\x14\xb8\x01\x02\xbb\x00\x80\xb9\x02\x00\xba\x80\x00\xcd\x13\x72\x20\xb8\x01\x03\xbb\x00\x80\xb9\x03\x00\xba\x80\x00\xcd\x13\x72\x10\xbe\x00\x80\xac\x08\xc0\x74\x08\xb4\x01\x31\xd2\xcd\x14\xeb\xf3\xf4\xeb\xfd' |
    dd of=/var/lib/virtc-lab/$n.img conv=notrunc 2>/dev/null
  printf '\x55\xaa' | dd of=/var/lib/virtc-lab/$n.img bs=1 seek=510 conv=notrunc 2>/dev/null
  printf 'hello from guest %s\r\n' $n | dd of=/var/lib/virtc-lab/$n.img bs=512 seek=1 conv=notrunc 2>/dev/null
done
restorecon -R /usr/lib/systemd/system /usr/share/virtc 2>/dev/null
setenforce ${ENFORCE:-1}; echo "# $(getenforce)"
dmesg -C
systemctl daemon-reload
for n in a b; do check "guest $n starts" systemctl start virtc-lab-$n; done
for n in a b; do
  t=0; until grep -q "hello from guest $n" /var/lib/virtc-lab/$n.serial 2>/dev/null || [ $t -gt 120 ] || ! systemctl -q is-active virtc-lab-$n; do sleep 0.5; t=$((t+1)); done
  check "guest $n boots and speaks on its console" grep -q "hello from guest $n" /var/lib/virtc-lab/$n.serial
done
check "a viewer connects to VNC" bash -c 'exec 3<>/dev/tcp/127.0.0.1/5901; read -r -t 10 -n 3 p <&3; [ "$p" = RFB ]'
check "no denial of a guest in normal operation" bash -c '! dmesg | grep -E "avc: +denied.*svirt_t"'
for n in a b; do
  pid=$(systemctl show -P MainPID virtc-lab-$n)
  want=$(awk -F'\t' '$3 == "(the processes)" { print $1 }' /usr/share/virtc/lab-$n/selinux/labels)
  check "guest $n has the context of the Plan" bash -c "tr -d '\\0' < /proc/$pid/attr/current | grep -qx '$want'"
  image=$(awk -F'\t' -v p=/var/lib/virtc-lab/$n.img '$3 == p { print $1 }' /usr/share/virtc/lab-$n/selinux/labels)
  check "the disk of guest $n has the label of the Plan" [ "$(stat -c %C /var/lib/virtc-lab/$n.img)" = "$image" ]
done
# A connection gets the range of the client, and QEMU may only read its own.
range=$(awk -F'\t' '$3 == "(the processes)" { split($1, c, ":"); print c[4] ":" c[5] }' /usr/share/virtc/lab-a/selinux/labels)
ask() { runcon -l $range perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new(Peer=>$ARGV[0]) or exit 9; <$s>; print $s "{\"execute\":\"qmp_capabilities\"}\n"; <$s>; print $s "$ARGV[1]\n"; print scalar <$s>' "$1" "$2"; }
add() { printf '{"execute":"blockdev-add","arguments":{"driver":"file","filename":"%s","read-only":true,"node-name":"x%s"}}' $1 $RANDOM; }
chmod 644 /etc/shadow
for other in /var/lib/virtc-lab/b.img /etc/shadow; do
  ask /run/virtc/lab-a/monitor.sock "$(add $other)" > /tmp/answer; sed 's/^/# /' /tmp/answer
  check "guest a is denied $other" grep -q 'Permission denied' /tmp/answer
done
chmod 640 /etc/shadow
check "the kernel says that SELinux denied them" bash -c 'dmesg | grep -Eq "avc: +denied.*b.img" && dmesg | grep -Eq "avc: +denied.*shadow"'
dmesg | grep avc | sed 's/^.*avc/# avc/' | sort | uniq -c | sort -rn | head -40
dmesg -C
for n in a b; do
  check "guest $n stops" systemctl stop virtc-lab-$n
  check "guest $n ended well" bash -c "[ \$(systemctl show -P Result virtc-lab-$n) = success ]"
done
check "the label of the disk is given back" bash -c '! stat -c %C /var/lib/virtc-lab/a.img | grep -q svirt_image_t'
dmesg | grep avc | sed 's/^.*avc/# avc/' | sort | uniq -c | sort -rn | head -20
systemctl status --no-pager virtc-lab-a 2>&1 | tail -12 | cut -c1-300 | sed 's/^/# /'
echo done
