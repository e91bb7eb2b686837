"""Runs inside the lab: holds a host against the tree that it was given last. Says each difference, and ends with 1 if there is one.

Usage: checker.py TREE dpkg|rpm|deploy MEMORY
MEMORY keeps the accounts that there have been: those of machines that left stay (docs/running.md says why), each with its number, and
nothing of theirs runs."""
import glob, hashlib, json, os, pwd, re, subprocess, sys

tree, how, memory = sys.argv[1:]
faults = []


def fault(text, *values):
    faults.append(text % values if values else text)


def out(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def same(what, found, wanted):
    found, wanted = set(found), set(wanted)
    if found - wanted:
        fault('%s: too many: %s', what, ', '.join(sorted(found - wanted)))
    if wanted - found:
        fault('%s: missing: %s', what, ', '.join(sorted(wanted - found)))


def names(pattern):
    return [os.path.basename(path) for path in glob.glob(pattern)]


machines = {}
for manifest in glob.glob(tree + '/usr/share/virtc/*/manifest.json'):
    machines[manifest.split('/')[-2]] = json.load(open(manifest))
files = {}
for folder, manifest in machines.items():
    files.update(manifest['files'])
    files['usr/share/virtc/%s/manifest.json' % folder] = None
    files['usr/share/virtc/%s/owner' % folder] = None

# Files: those of the manifests, as they are there, and no other that virtc could have written.
for path, entry in sorted(files.items()):
    try:
        with open('/' + path, 'rb') as file:
            text = file.read()
    except OSError as error:
        fault('/%s: %s', path, error.strerror)
        continue
    if entry and hashlib.sha256(text).hexdigest() != entry['sha256']:
        fault('/%s is not as in the tree', path)
    if entry and os.stat('/' + path).st_mode & 0o7777 != int(entry['mode'], 8):
        fault('/%s has another mode', path)
for folder in machines:
    owner = open('/usr/share/virtc/%s/owner' % folder).read().strip()
    if not owner.startswith({'dpkg': 'package', 'rpm': 'package', 'deploy': 'deployment'}[how]):
        fault('%s says that it is of the %s', folder, owner)
places = ['usr/lib/systemd/system/virtc-*', 'usr/lib/systemd/system/*.d/*virtc-*', 'usr/lib/systemd/network/50-virtc-*', 'usr/lib/sysusers.d/virtc-*',
          'usr/lib/tmpfiles.d/virtc-*', 'usr/lib/udev/rules.d/*virtc-*', 'etc/apparmor.d/libvirt/*', 'usr/share/virtc/**', 'usr/lib/virtc/networks/*']
found = {p[1:] for place in places for p in glob.glob('/' + place, recursive=True) if os.path.isfile(p) or os.path.islink(p)}
# The target and the helper are everybody's.
extra = {'usr/lib/systemd/system/virtc.target'}
same('files', found - extra, set(files) - extra)
for folder in names('/usr/share/virtc/*') + names('/etc/apparmor.d/libvirt/*/'):
    if folder not in machines:
        fault('the folder of %s is left', folder)
leftovers = [p for start in ('/etc', '/usr/lib/systemd', '/usr/lib/virtc', '/usr/lib/udev', '/usr/lib/tmpfiles.d', '/usr/lib/sysusers.d', '/usr/share/virtc')
             for f, _, all_files in os.walk(start) for p in (f + '/' + name for name in all_files)
             if re.search(r'/\.virtc-new|virtc.*\.dpkg-(new|tmp|old|bak|dist)$|virtc.*;[0-9a-f]{8}$|virtc.*\.rpm(new|save|orig)$|libvirt-.*\.dpkg', p)]
same('drafts', leftovers, [])

# Enable links: those of what says where it is wanted.
units = {}
for path in files:
    if path.startswith('usr/lib/systemd/system/') and path.endswith('.service'):
        units[os.path.basename(path)] = open(tree + '/' + path).read()
wanted = {'virtc.target.wants/' + name for name, text in units.items() if '\n[Install]\n' in text}
links = {'/'.join(p.split('/')[-2:]) for p in glob.glob('/etc/systemd/system/*/virtc-*')} - {'multi-user.target.wants/virtc-lab.service'}
same('links', links, wanted)
for link in links:
    if not os.path.exists('/etc/systemd/system/' + link):
        fault('the link %s leads nowhere', link)
if os.path.lexists('/etc/systemd/system/virtc-recover.service'):
    fault('the unit that finishes a deployment is left')
if machines and out('systemctl', 'is-enabled', 'virtc.target').strip() != 'enabled':
    fault('virtc.target is not enabled')
if how == 'dpkg':
    remembered = {os.path.basename(p).replace('.dsh-also', '') for p in glob.glob('/var/lib/systemd/deb-systemd-helper-enabled/virtc-*.dsh-also')}
    same('what deb-systemd-helper remembers', remembered, {link.split('/')[1] for link in wanted})
    same('masked units', names('/var/lib/systemd/deb-systemd-helper-masked/virtc-*'), [])

# Units that systemd has: those of the tree, none failed, none of old text.
known = {}
for line in out('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'virtc-*').splitlines():
    name, load, active = line.split()[:3]
    if name.endswith('.service') and name != 'virtc-lab.service' and not name.startswith('virtc-lab-'):
        known[name] = (load, active)
for name, (load, active) in known.items():
    if name not in units:
        fault('systemd has %s, which is %s', name, load)
    if active == 'failed':
        fault('%s has failed: %s', name, out('journalctl', '-q', '--no-pager', '-o', 'cat', '-u', name)[-600:])
    if out('systemctl', 'show', '-P', 'NeedDaemonReload', name).strip() == 'yes':
        fault('%s is of a text that is no more', name)

# Guests: every machine runs, as the tree says, and no other.
running = {}
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if open('/proc/%s/comm' % pid).read().startswith('qemu-system'):
            running[pid] = open('/proc/%s/cmdline' % pid, 'rb').read().decode().split('\0')[:-1]
    except OSError:
        pass
mine = {}
for folder in machines:
    pid = out('systemctl', 'show', '-P', 'MainPID', 'virtc-%s.service' % folder).strip()
    mine[pid] = folder
    words = open('%s/usr/share/virtc/%s/argv' % (tree, folder)).read().splitlines()
    while re.match(r'[A-Z_]+=', words[0]):
        words.pop(0)
    has = running.get(pid, [])
    if has[:len(words)] != words:
        other = next((pair for pair in zip(words, has) if pair[0] != pair[1]), 'nothing' if not has else 'it is shorter')
        fault('%s does not run as the tree says: %s', folder, other)
    elif os.stat('/proc/' + pid).st_uid != pwd.getpwnam('virtc-' + folder).pw_uid:
        fault('%s runs as another account', folder)
same('QEMUs', (' '.join(running[pid][:3]) + ' ' + mine.get(pid, pid) for pid in running), (' '.join(running.get(pid, [])[:3]) + ' ' + folder for pid, folder in mine.items()))
same('folders of guests', names('/run/virtc/*'), machines)

# Disks are their machine's.
for folder in machines:
    plan = json.load(open('%s/usr/share/virtc/%s/plan.json' % (tree, folder)))
    for access in plan['access']:
        if access['path'].endswith('.img') and os.stat(access['path']).st_uid != pwd.getpwnam('virtc-' + folder).pw_uid:
            fault('%s is of the account %s', access['path'], pwd.getpwuid(os.stat(access['path']).st_uid).pw_name)

# Accounts: those of the machines and of those that left, each with the number that it always had, and none can be used.
accounts = {a.pw_name: a for a in pwd.getpwall() if a.pw_name.startswith('virtc-')}
before = json.load(open(memory)) if os.path.exists(memory) else {}
ever = set(before) | {'virtc-' + folder for folder in machines}
same('accounts', accounts, ever)
numbers = {name: a.pw_uid for name, a in accounts.items()}
for name, number in before.items():
    if numbers.get(name) != number:
        fault('%s had the number %s, and has %s', name, number, numbers.get(name))
if len(set(numbers.values())) != len(numbers):
    fault('two accounts have one number')
for name, account in accounts.items():
    if not account.pw_shell.endswith('nologin'):
        fault('%s may log in', name)
shadow = {l.split(':')[0]: l.split(':')[1] for l in open('/etc/shadow')}
for name in accounts:
    if shadow.get(name, '!')[:1] not in '!*':
        fault('%s has a password', name)
json.dump(numbers, open(memory, 'w'))
gone = {a.pw_uid for name, a in accounts.items() if name[len('virtc-'):] not in machines}
for pid in filter(str.isdigit, os.listdir('/proc')):
    try:
        if os.stat('/proc/' + pid).st_uid in gone:
            fault('process %s runs as the account of a machine that left', pid)
    except OSError:
        pass

# Profiles in the kernel: those of the tree.
loaded = {re.sub(r' \(.*', '', line.strip()) for line in open('/sys/kernel/security/apparmor/profiles')}
loaded = {name.split('//')[0] for name in loaded if name.startswith('libvirt-')}
same('profiles in the kernel', loaded, ('libvirt-' + m['uuid'] for m in machines.values()))

# Networks that nobody is in.
networks = {m.group(1) for m in (re.match(r'usr/lib/systemd/network/50-virtc-(.*)\.netdev', path) for path in files) if m}
for interface in names('/sys/class/net/vb*'):
    if interface == 'vbdmz0' and 'dmz' not in networks:
        fault('the bridge %s is left', interface)
if os.path.exists('/usr/sbin/nft'):
    same('filters', re.findall(r'table inet (virtc_\S+)', out('/usr/sbin/nft', 'list', 'tables')), ('virtc_vb%s0' % n for n in networks))

for text in faults:
    print(text)
sys.exit(bool(faults))
