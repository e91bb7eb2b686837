# Runs inside the lab, as root, under an enforcing AppArmor: `virtc deploy` on a host that runs. A machine is put there, renamed, changed,
# rolled back, taken away; what runs is always what the tree has.
. "${0%/*}/inside-common.sh"
L=/var/lib/virtc-lab
cp /mnt/share/virtc /usr/bin/
mkdir -p $L /usr/lib/virtc /root/vms
cp /mnt/share/virtc-qmp /usr/lib/virtc/qmp
cp /mnt/share/guest $L/
truncate -s 1M $L/shop.img
cd /root || exit 1
cp /mnt/share/life/shop.xml vms/
built() { virtc --quiet build vms -o out --host here --caps here 2>&1 | sed 's/^/# /'; }
# With a status of 3, something would change.
shows() { virtc deploy out --dry-run; [ $? = 3 ]; }
speaks() { soon 90 grep -q "this is $1" $L/$1.serial; }
command_of() { tr '\0' ' ' </proc/$(pid_of virtc-$1)/cmdline; }
built
check "a new machine is shown" shows
check "it is deployed" virtc deploy out --yes --start
check "nothing is left to do" virtc deploy out --dry-run
check "it runs" systemctl -q is-active virtc-shop
check "it is enabled" systemctl -q is-enabled virtc-shop
P=$(pid_of virtc-shop)
check "it is confined" grep -q '(enforce)' /proc/$P/attr/current
check "it has an account of its own" [ "$(stat -c %U /proc/$P)" = virtc-shop ]
check "the guest speaks" speaks shop
check "its console is at hand" bash -c '(sleep 2; printf x; sleep 2) | timeout 10 virtc console shop; [ $? != 4 ]'
check "it is listed" bash -c 'virtc list | grep -q shop'
sed 's/<name>shop/<name>store/; s/<cmdline>shop/<cmdline>store/; s/shop.serial/store.serial/' vms/shop.xml >vms/store.xml
rm vms/shop.xml
built
check "a renamed machine is deployed" virtc deploy out --yes --start
check "the old name is stopped" bash -c '! systemctl -q is-active virtc-shop'
check "nothing of the old name is left" bash -c '! systemctl cat virtc-shop && ! find /etc/systemd /usr/lib/systemd /usr/lib/tmpfiles.d -name "virtc-shop*" | grep .'
check "one QEMU has the disk" [ "$(pgrep -c qemu-system)" = 1 ]
check "the guest speaks under its new name" speaks store
sed -i 's/>64</>80</' vms/store.xml
built
check "a change waits for the restart" bash -c 'virtc deploy out --yes && systemctl -q is-active virtc-store'
check "until then the old one runs" bash -c "command_of() { tr '\0' ' ' </proc/\$(systemctl show -P MainPID virtc-store)/cmdline; }; command_of | grep -q 65536k"
check "a restart brings it" systemctl restart virtc-store
check "the guest has more memory" bash -c "tr '\0' ' ' </proc/$(pid_of virtc-store)/cmdline | grep -q 81920k"
check "it is rolled back" virtc deploy --rollback --yes
check "the unit is the old one" bash -c 'systemctl cat virtc-store | grep -q 65536k'
sed 's/shop/other/' /mnt/share/life/shop.xml >vms/other.xml
rm vms/store.xml
built
check "a machine without XML is taken away" virtc deploy out --yes
check "it is stopped" bash -c '! systemctl -q is-active virtc-store'
check "no unit of a machine is left" bash -c '! find /etc/systemd /usr/lib/systemd -name "virtc-store*" | grep .'
check "no QEMU runs" bash -c '! pgrep qemu-system'
check "nothing was denied" quiet
check "no unit failed" bash -c '! systemctl --failed --no-legend | grep virtc'
denials | sed 's/^/# /'
echo done
