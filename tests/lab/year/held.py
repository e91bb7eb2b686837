"""Runs inside the lab beside everything else: looks all the time which QEMU has which disk open, and writes down each disk that
two of them have. Usage: held.py FOLDER OUTPUT"""
import os, sys, time

folder, output = sys.argv[1:]
folder += '/'


def disks(pid):
    """The images that a process has open for writing, by their numbers: names may change."""
    found = {}
    for fd in os.listdir('/proc/%s/fd' % pid):
        try:
            name = os.readlink('/proc/%s/fd/%s' % (pid, fd))
            if name.startswith(folder) and name.split(' ')[0].endswith('.img'):
                flags = next(l for l in open('/proc/%s/fdinfo/%s' % (pid, fd)) if l.startswith('flags:'))
                if int(flags.split()[1], 8) & 3:
                    stat = os.stat('/proc/%s/fd/%s' % (pid, fd))
                    found[stat.st_dev, stat.st_ino] = name
        except (OSError, StopIteration):
            pass
    return found


looks = 0
while True:
    owners = {}
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if not open('/proc/%s/comm' % pid).read().startswith('qemu-system'):
                continue
            for disk, name in disks(pid).items():
                owners.setdefault(disk, {})[pid] = name
        except OSError:
            pass
    looks += 1
    with open(output, 'a') as out:
        for held in owners.values():
            if len(held) > 1:
                out.write('%s is held by %s\n' % (sorted(held.values())[0], ' and '.join(sorted(held))))
    open(output + '.looks', 'w').write('%d\n' % looks)
    time.sleep(0.2)
