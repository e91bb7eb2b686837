# Runs inside the lab, as root, under an enforcing AppArmor: a year of a fleet. Twelve versions of a tree are put onto the host one
# after the other, as packages by dpkg or rpm, or by `virtc deploy` (HOW), three of them with a cut: what does it is killed with all that it
# started, and what an administrator would do then is done. After each the host has exactly what the tree has (checker.py), and all the
# time no two QEMUs have one disk (held.py).
. "${0%/*}/inside-common.sh"
Y=/mnt/share/year V=/mnt/share/trees L=/srv/year
mkdir -p $L /root/cut
cp /mnt/share/guest $L/
for disk in a b b2 c; do truncate -s 1M $L/$disk.img; printf 'hello from the host\n' | dd of=$L/$disk.img bs=512 seek=1 conv=notrunc 2>/dev/null; done
if [ -x /mnt/share/nft/nft ]; then cp /mnt/share/nft/nft /usr/sbin/; cp -n /mnt/share/nft/lib* /usr/lib/x86_64-linux-gnu/; fi
systemctl unmask systemd-networkd >/dev/null 2>&1
python3 $Y/held.py $L /tmp/held & HELD=$!
# Programs that a step calls: the one that is named in /run/cut, with its first word, is where everything ends.
for program in deb-systemd-invoke systemd-sysusers systemctl apparmor_parser udevadm; do
  real=$(command -v $program)
  cat >/root/cut/$program <<C
#!/bin/sh
if [ "\$(cat /run/cut 2>/dev/null)" = "$program \$1" ] || [ "\$(cat /run/cut 2>/dev/null)" = "$program" ]; then rm /run/cut; touch /run/was-cut; kill -9 0; sleep 10; fi
exec $real "\$@"
C
  chmod +x /root/cut/$program
done
# A step of its own group, which a cut kills as a whole: what happens when this appears, or is called.
cut_off() {
  local when=$1; shift
  rm -f /run/was-cut
  case $when in
  *'*'*) PATH=/root/cut:$PATH setsid "$@" >/tmp/cut.log 2>&1 & local pid=$!
         until compgen -G "$when" >/dev/null; do [ -d /proc/$pid ] || break; done
         kill -9 -- -$pid 2>/dev/null && touch /run/was-cut ;;
  *) echo "$when" >/run/cut; PATH=/root/cut:$PATH setsid "$@" >/tmp/cut.log 2>&1 & local pid=$! ;;
  esac
  wait $pid 2>/dev/null
  rm -f /run/cut
  [ -e /run/was-cut ] || { cat /tmp/cut.log; return 1; }
}
step() {
  case $HOW in
  dpkg) dpkg -i --force-depends --force-downgrade $V/$1/machines.deb ;;
  rpm) by_rpm $V/$1/machines.rpm ;;
  deploy) virtc deploy $V/$1/tree --yes --start --restart ;;
  esac
}
# Debian's rpm knows nothing of Debian's packages; its scripts have a path of their own.
by_rpm() { rpm -U --nodeps --oldpackage --replacepkgs --define "_install_script_path $PATH" "$@"; }
export -f by_rpm; export V
mend() {
  case $HOW in
  dpkg) dpkg --force-depends --configure -a; step $1 ;;
  rpm | deploy) step $1 ;;
  esac
}

is_as() { python3 $Y/checker.py $V/$1/tree $HOW /root/accounts.json; }
case $HOW in
dpkg)
  cuts=([3]='deb-systemd-invoke stop' [7]='/usr/lib/systemd/system/*.dpkg-new' [10]='systemd-sysusers')
  check "dpkg installs what all share" dpkg -i --force-depends $V/common.deb
  mkdir -p /usr/share/virtc ;;
rpm)
  unpack /mnt/share/debs/*.deb
  cuts=([3]='systemctl stop' [7]='udevadm control' [10]='systemd-sysusers')
  check "rpm has its database" rpm --initdb
  check "rpm installs what all share" by_rpm $V/common.rpm ;;
deploy)
  cp /mnt/share/virtc /usr/bin/; mkdir -p /usr/lib/virtc; cp /mnt/share/virtc-qmp /usr/lib/virtc/qmp
  cuts=([3]='systemctl stop' [7]='/usr/lib/systemd/system/.virtc-new-*' [10]='systemctl daemon-reload') ;;
esac
for version in ${VERSIONS:-1 2 3 4 5 6 7 8 9 10 11 12}; do
  T=$SECONDS since=$(date '+%F %T')
  if [ -n "${cuts[$version]:-}" ]; then
    case $HOW in dpkg) check "version $version: dpkg is cut off" cut_off "${cuts[$version]}" dpkg -i --force-depends $V/$version/machines.deb ;;
    rpm) check "version $version: rpm is cut off" cut_off "${cuts[$version]}" bash -c "by_rpm $V/$version/machines.rpm" ;;
    deploy) check "version $version: deploy is cut off" cut_off "${cuts[$version]}" virtc deploy $V/$version/tree --yes --start --restart ;; esac
    check "version $version: it is mended as an administrator would" mend $version
  else
    check "version $version is put there" step $version
  fi
  check "version $version: the host has what the tree has" is_as $version
  journalctl -q --no-pager -o short-monotonic -u 'virtc-*' --since "$since" | grep -vE 'Consumed|asked the guest' | cut -c1-160 | sed 's/^/# /'
  echo "# version $version took $((SECONDS - T)) s, $SECONDS s in all"
done
for name in gamma omega delta; do check "guest $name has spoken" grep -aq 'lab-guest: ready' $L/$name.serial; done
case $HOW in
dpkg)
  check "the package is purged" dpkg -P virtc-machines
  check "after the purge nothing is left" is_as 12
  check "nor a package's own folder" bash -c '! ls -d /usr/lib/virtc/virtc-machines /usr/share/doc/virtc-machines 2>/dev/null'
  ;;
rpm)
  check "the package is removed" rpm -e virtc-machines
  check "after that nothing is left" is_as 12
  check "nor a package's own folder" bash -c '! ls -d /usr/lib/virtc/virtc-machines /usr/share/virtc /var/lib/virtc/packages 2>/dev/null'
  ;;
deploy)
  check "it is rolled back" virtc deploy --rollback --yes
  check "rolled back, it can be deployed once more" step 12
  check "after that nothing is left" is_as 12
  ;;
esac
check "the disks have what the guests wrote" bash -c "dd if=$L/a.img bs=512 skip=2 count=1 2>/dev/null | grep -q hello"
kill $HELD
check "it was looked all the time who has the disks" [ "$(cat /tmp/held.looks)" -gt 100 ]
check "no two QEMUs had one disk" bash -c '! sort -u /tmp/held | grep .'
check "nothing was denied" quiet
denials | tail -5 | sed 's/^/# /'
echo done
