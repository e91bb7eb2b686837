# Runs inside the lab, as root: three machines and a network of Debian's libvirt, which run, are taken over by `virtc adopt`, built, and
# deployed; under their units the guests see the same machine. Then libvirt gets them back.
. "${0%/*}/inside-common.sh"
A=/mnt/share/adopt S=/srv/adopt I=/var/lib/libvirt/images
MACHINES='plain tpm older'
unpack /mnt/share/debs/*.deb
groupadd -r libvirt; groupadd -r libvirt-qemu; useradd -r -g kvm -G libvirt-qemu -d /var/lib/libvirt -s /usr/sbin/nologin libvirt-qemu
cp /mnt/share/virtc /usr/bin/; mkdir -p /usr/lib/virtc $S $I /etc/libvirt /var/lib/libvirt/dnsmasq; cp /mnt/share/virtc-qmp /usr/lib/virtc/qmp
cp /mnt/share/guest $S/
for n in $MACHINES; do truncate -s 1M $I/$n.img; printf 'hello from the host\n' | dd of=$I/$n.img bs=512 seek=1 conv=notrunc 2>/dev/null; done
# (Its own profiles are another package.)
printf 'security_driver = "none"\nswtpm_user = "libvirt-qemu"\nswtpm_group = "libvirt-qemu"\nstdio_handler = "file"\n' >/etc/libvirt/qemu.conf
modprobe tun
# (swtpm's authority is of another account, unless swtpm_user says otherwise.)
mkdir -p /var/lib/swtpm-localca; chown -R libvirt-qemu: /var/lib/swtpm-localca
libvirt() { systemd-run -q --unit=libvirtd --property=KillMode=process --property=Delegate=yes libvirtd && soon 120 virsh -q list; }
v() { timeout 200 virsh -q -c qemu:///system "$@"; }
ready() { grep -aq 'lab-guest: ready' $S/$1.serial; }
# What a guest says that it has: no addresses of memory, no names that others have, nothing at random.
sees() { tr -d '\r' <$S/$1.serial | grep -aE '^(pci|usb|nic|memory|disk|scsi|tpm|rng|gpu|channel|net: mac)' | sort; }
# Where QEMU has what: without places in memory.
slots() { sed -E '/^[[:space:]]*$/d; /BAR[0-9]|IRQ|memory at|I\/O at|bus [0-9]+ *$/d; s/\r//' ; }
check "libvirt runs" libvirt
check "its network is defined" bash -c "virsh -q net-define $A/lab.xml && virsh -q net-start lab && virsh -q net-autostart lab"
for n in $MACHINES; do
  check "libvirt: $n is defined" v define $A/$n.xml
  check "libvirt: $n starts" v start $n || tail -3 /var/log/swtpm/libvirt/qemu/*.log 2>/dev/null | sed 's/^/# /'
done
v autostart plain
for n in $MACHINES; do
  check "libvirt: guest $n is ready" soon 150 ready $n
  sees $n >/root/$n.libvirt
  v qemu-monitor-command --hmp $n 'info pci' | slots >/root/$n.pci.libvirt
  check "libvirt: $n has slots" [ "$(wc -l </root/$n.pci.libvirt)" -gt 4 ]
done
check "what runs is taken over" virtc adopt -o /root/site --caps here
sed 's/^/# /' /root/site/REPORT.md | cut -c1-160 | head -70
for n in $MACHINES; do v shutdown $n; done
for n in $MACHINES; do check "libvirt: $n has shut down" soon 60 bash -c "virsh -q domstate $n | grep -q 'shut off'"; done
v net-destroy lab
systemctl stop libvirtd
cd /root/site || exit 1
check "the folder is built" virtc --quiet build vms -o /root/out --caps here
rm -f $S/*.serial
# What the report tells an administrator to do, but for what `virtc deploy` does.
told() { grep -E "^    $1" /root/site/REPORT.md | sed 's/^ *//'; }
check "the report says where the TPM is" [ "$(told 'test -s /var/lib/libvirt/swtpm/' | wc -l)" = 1 ]
check "the TPM is there" bash -ec "$(told 'test -s')"
check "it is deployed, and all starts" virtc deploy /root/out --yes --start
for n in $MACHINES; do
  [ "$(systemctl is-active virtc-$n)" = active ] || check "$n is started" systemctl start virtc-$n
  check "guest $n is ready" soon 150 ready $n
  sees $n >/root/$n.virtc
  check "guest $n sees the same" diff /root/$n.libvirt /root/$n.virtc
  printf '{"execute":"qmp_capabilities"}\n{"execute":"human-monitor-command","arguments":{"command-line":"info pci"}}\n' |
    timeout 30 perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or die; <$s>; while (<STDIN>) { print $s $_; do { $a = <$s> } while $a =~ /"event"/; } print $a' /run/virtc/$n/monitor.sock |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["return"], end="")' | slots >/root/$n.pci.virtc
  check "$n has everything where it was" diff /root/$n.pci.libvirt /root/$n.pci.virtc
  check "$n has an account of its own" [ "$(stat -c %U /proc/$(pid_of virtc-$n))" = virtc-$n ]
  check "$n is confined" grep -q '(enforce)' /proc/$(pid_of virtc-$n)/attr/current
done
told 'systemctl disable virtc-' | bash -e 2>/dev/null
check "what started by itself does so" systemctl -q is-enabled virtc-plain
check "what did not, does not" bash -c '! systemctl -q is-enabled virtc-tpm && ! systemctl -q is-enabled virtc-older'
check "the network is as it was" bash -c 'ip -4 -o address show vblab0 | grep -q 192.0.2.1/24 && [ $(ls /sys/class/net/vblab0/brif | wc -l) = 2 ]'
check "the TPM is the one that libvirt made" bash -c 'd=tpm2/tpm2-00.permall; [ "$(stat -c %U /var/lib/virtc/tpm/$d)" = virtc-tpm ] && [ -s /var/lib/libvirt/swtpm/0a1b2c3d-0000-4000-8000-000000000032/$d ]'
check "nothing was denied" quiet
rm vms/*.xml vms/*.lock
virtc --quiet build vms -o /root/out --caps here 2>&1 | sed 's/^/# /'
check "virtc gives them back" virtc deploy /root/out --yes
check "the report says how the TPM goes back" [ "$(told 'cp /var/lib/virtc/tpm/' | wc -l)" = 1 ]
check "the TPM is taken back" bash -ec "$(told 'cp ')"
check "no QEMU runs" bash -c '! pgrep qemu-system'
rm -f $S/*.serial
check "libvirt runs again" libvirt
check "the network is libvirt's again" bash -ec "$(told 'ip link delete')"
for n in $MACHINES; do
  check "back in libvirt: $n starts" v start $n
  check "back in libvirt: guest $n is ready" soon 150 ready $n
  sees $n >/root/$n.back
  check "back in libvirt: guest $n sees the same" diff /root/$n.libvirt /root/$n.back
  v destroy $n
done
[ -e /var/log/libvirt/qemu/plain.log ] && tail -3 /var/log/libvirt/qemu/*.log | cut -c1-300 | sed 's/^/# /'
denials | tail -5 | sed 's/^/# /'
echo done
