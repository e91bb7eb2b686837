"""Runs inside the lab: what the kernel and systemd say about a guest that runs, held against its Plan.

Usage: readback.py NAME SHARE-FOLDER. The conversions are the kernel's (Documentation/admin-guide/cgroup-v2.rst) and
systemd's (systemd.resource-control), written down a second time here."""
import grp, json, os, pwd, re, stat, subprocess, sys

name, share = sys.argv[1:3]
plan = json.load(open(share + '/plan.json'))
limits, confinement = plan['limits'], plan['confinement']
show = lambda key: subprocess.run(['systemctl', 'show', '-P', key, unit], stdout=subprocess.PIPE, text=True).stdout.strip()


def check(what, found, wanted):
    same = found == wanted
    print('%s guest %s: %s%s' % ('ok' if same else 'not ok', name, what, '' if same else ': %r instead of %r' % (found, wanted)), flush=True)


def capabilities(names):
    all_names = re.findall(r'cap_\w+', subprocess.run(['capsh', '--decode=ffffffffff'], stdout=subprocess.PIPE, text=True).stdout)
    return sum(1 << all_names.index(n.lower()) for n in names)


def process(p):
    """User, groups, capabilities, filters of one process."""
    pid = show('MainPID')
    status = dict(l.split(':\t', 1) for l in open('/proc/%s/status' % pid).read().splitlines() if ':\t' in l)
    user = pwd.getpwnam(p.get('user') or confinement['user'])
    group = grp.getgrnam(p.get('group') or confinement['group'])
    check('%s: the user is that of the Plan' % p['id'], status['Uid'].split(), [str(user.pw_uid)] * 4)
    check('%s: the group is that of the Plan' % p['id'], status['Gid'].split(), [str(group.gr_gid)] * 4)
    if not p.get('user'):
        more = {str(grp.getgrnam(g).gr_gid) for g in confinement['groups']}
        check('%s: the other groups are those of the Plan' % p['id'], set(status['Groups'].split()) - {str(group.gr_gid)}, more)
    wanted = capabilities(p['capabilities'])
    check('%s: the capabilities it may get are those of the Plan' % p['id'], int(status['CapBnd'], 16), wanted)
    for field in ('CapEff', 'CapPrm'):
        check('%s: %s holds no other capability than the Plan' % (p['id'], field), int(status[field], 16) & ~wanted, 0)
    check('%s: no new privileges' % p['id'], status['NoNewPrivs'], '1')
    check('%s: a filter of system calls' % p['id'], status['Seccomp'], '2')
    if confinement['apparmor'] and os.path.exists('/sys/kernel/security/apparmor'):
        profile = confinement['apparmor']['profile'] + ('' if p['role'] == 'qemu' else '//' + p['id'])
        check('%s: the profile is that of the Plan' % p['id'], open('/proc/%s/attr/apparmor/current' % pid).read().strip(), profile + ' (enforce)')
    elif confinement['selinux']:
        check('%s: the context is that of the Plan' % p['id'], open('/proc/%s/attr/current' % pid).read().strip('\0\n'), confinement['selinux']['process'])


def knob(group, file):
    try:
        return open('/sys/fs/cgroup%s/%s' % (group, file)).read().strip()
    except OSError as e:
        return str(e)


def cpus(text):
    out = set()
    for part in filter(None, text.split(',')):
        first, _, last = part.partition('-')
        out |= set(range(int(first), int(last or first) + 1))
    return out


def cgroup():
    """Every limit of the Plan, in the group of the service."""
    group = show('ControlGroup')
    slice_ = (limits['partition'] or '/machine').strip('/').replace('/', '-') + '.slice'
    check('the slice is the partition of the Plan', show('Slice'), slice_)
    if limits['cpu_shares'] is not None:
        check('cpu.weight is that of the Plan', knob(group, 'cpu.weight'), str(round(limits['cpu_shares'] * 100 / 1024)))
    for who, period, quota in limits['cpu_bandwidth']:
        if who == 'global' and quota:
            found = [int(n) for n in knob(group, 'cpu.max').split()]
            check('cpu.max is that of the Plan', found[0] / found[1], quota / (period or 100000))
    for field, file in (('memory_hard', 'memory.max'), ('memory_soft', 'memory.high')):
        if limits[field] is not None:
            check(file + ' is that of the Plan', knob(group, file), str(limits[field]))
    if limits['cpuset']:
        check('cpuset.cpus.effective is that of the Plan', cpus(knob(group, 'cpuset.cpus.effective')), cpus(limits['cpuset']))
    if limits['io_weight'] is not None:
        check('IOWeight is that of the Plan', show('IOWeight'), str(limits['io_weight'] * 100 // 500))
    for device in limits['io_devices']:
        number = os.stat(device['path']).st_rdev
        line = next((l for l in knob(group, 'io.max').splitlines() if l.startswith('%d:%d ' % (os.major(number), os.minor(number)))), '')
        found = dict(w.split('=') for w in line.split()[1:])
        wanted = {k: str(device[f]) if device.get(f) else 'max' for k, f in
                  (('rbps', 'read_bytes'), ('wbps', 'write_bytes'), ('riops', 'read_iops'), ('wiops', 'write_iops'))}
        check('io.max of %s is that of the Plan' % device['path'], found, wanted)


def devices(p):
    """The rules that systemd has, and what a process in the group can really open."""
    wanted = {l.split('\t')[3]: l.split('\t')[2] for l in open(share + '/cgroup/devices') if l[0] != '#'}
    own = {a['path'] for a in plan['access'] if a['process'] == p['id'] and a['path'].startswith('/dev/') and a['kind'] == 'char-device'}
    check('the device rules have every device of the Plan', own - set(wanted), set())
    rules = dict(l.rsplit(' ', 1) for l in show('DeviceAllow').splitlines())
    # What the policy of systemd has by itself (systemd.resource-control(5)).
    closed = {'/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/tty', '/dev/ptmx'}
    more = {k: v for k, v in wanted.items() if k not in closed and k != 'char-pts'}
    check('DeviceAllow is what the Plan allows', {k: v.replace('m', '') for k, v in rules.items()}, more)
    check('everything else is denied', show('DevicePolicy'), 'closed')
    nodes = sorted(os.path.join(d, f) for d, _, files in os.walk('/dev') for f in files
                   if not os.path.islink(os.path.join(d, f)) and d in ('/dev', '/dev/net', '/dev/mapper', '/dev/input', '/dev/snd'))
    nodes = [n for n in nodes if stat.S_ISCHR(os.stat(n).st_mode) or stat.S_ISBLK(os.stat(n).st_mode)]
    opened = set()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with open('/sys/fs/cgroup%s/cgroup.procs' % show('ControlGroup'), 'w') as f:
            f.write('0')
        for node in nodes:
            try:
                os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
                os.write(write, (node + '\n').encode())
            except PermissionError:
                pass
            except OSError as e:
                # Let through by the rules; the driver has its own reasons.
                os.write(write, (node + '\n').encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        opened = set(f.read().split())
    os.waitpid(child, 0)
    check('of %d device nodes, those of the Plan can be opened and no other' % len(nodes), opened, {n for n in nodes if 'r' in wanted.get(n, '')} | closed & set(nodes))


for p in plan['processes']:
    unit = 'virtc-%s%s.service' % (name, '' if p['role'] == 'qemu' else '-' + p['id'])
    process(p)
    if p['role'] == 'qemu':
        cgroup()
        devices(p)
