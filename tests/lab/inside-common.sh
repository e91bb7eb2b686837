# Sourced by the scripts that run inside the lab, as root. One line a check, `ok …` or `not ok …`; the runner outside
# counts them.
set +e
# A machine in a machine, both emulated, on a busy host: what takes two seconds elsewhere may take two minutes.
mkdir -p /run/systemd/system.conf.d; printf '[Manager]\nDefaultTimeoutStartSec=300s\n' >/run/systemd/system.conf.d/lab.conf; systemctl daemon-reload
ok() { echo "ok $*"; }
not() { echo "not ok $*"; }
check() { name=$1; shift; if "$@" >/tmp/check.log 2>&1; then ok "$name"; else not "$name"; sed "s/^/# /" /tmp/check.log | tail -30; return 1; fi; }
# What becomes true within so many seconds: seconds, command.
soon() { local end=$((SECONDS + $1)); shift; until "$@" >/tmp/check.log 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.3; done; }
denials() { dmesg | grep -E 'apparmor="DENIED"|avc: +denied'; }
quiet() { ! denials; }
pid_of() { systemctl show -P MainPID "$1"; }
# Packages that dpkg shall know nothing of. (/lib is a link, which "dpkg -x" would replace by a folder.)
unpack() { for deb in "$@"; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C / --keep-directory-symlink; done; ldconfig; }
