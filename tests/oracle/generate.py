#!/usr/bin/env python3
"""Makes variations of domains, one edit each, by walking the schema of the format.

    virtc schema --format json > schema.json
    generate.py schema.json IN OUT --count N [--seed S] [--only ELEMENT]

IN: folder of *.xml to vary. The same arguments give the same files. The edit stands in a comment on the first line.
"""
import argparse
import collections
import copy
import json
import os
import random
import re
import xml.etree.ElementTree as ET

MACHINES = {
    "x86_64": ["pc", "q35", "pc-i440fx-7.2", "pc-q35-8.2", "microvm", "isapc", "pc-q35-5.2"],
    "i686": ["pc", "q35"],
    "aarch64": ["virt", "virt-6.2", "raspi3b", "versatilepb"],
    "armv7l": ["virt", "vexpress-a9", "versatilepb"],
    "s390x": ["s390-ccw-virtio"],
    "ppc64": ["pseries", "powernv9", "mac99"],
    "ppc": ["g3beige", "mac99"],
    "riscv64": ["virt", "spike"],
    "loongarch64": ["virt"],
}
ONE = {  # sample values by the type of the schema
    "path": ["/some/path", "/dev/some"], "text": ["some", "x,y=z"], "some-text": ["some"], "name": ["some"], "uuid": ["c7a5fdbd-edaf-9455-926a-d65c16db1899"],
    "cpuset": ["0", "0-1", "1-3,^2"], "pci-domain": ["0x0000", "0x0001"], "pci-bus": ["0x00", "0x01", "0x02"], "pci-slot": ["0x00", "0x03", "0x1f"],
    "pci-function": ["0x0", "0x1"], "ip": ["127.0.0.1", "::1", "192.168.1.2"], "ipv4": ["192.168.1.3"], "mac": ["52:54:00:aa:bb:cc"],
    "host": ["example.org"], "port": ["7000"], "device-name": ["eth0"], "usb-port": ["1", "2", "1.1"], "usb-bus": ["0", "1"], "usb-number": ["1", "2"],
    "disk-target": ["vdz", "sdz", "hdb", "fda", "xvda"], "machine-type": [], "alias-name": ["ua-some"], "feature-name": ["vmx", "svm", "avx"],
    "usb-id": ["0x046d"], "wwpn": ["naa.5123456789abcde0"], "shmem-name": ["shm1"], "isa-port": ["0x505"], "isa-irq": ["0x5"],
    "hex-number": ["0x505"], "spapr-reg": ["0x2000"], "ccw-cssid": ["0xfe"], "ccw-ssid": ["0"], "ccw-devno": ["0x0005"], "file-mode": ["0644"],
    "line": ["some"], "timestamp": ["2030-04-09T15:51:00"], "loadparm": ["SYSTEM1"], "usb-version": ["1.10"], "usb-class": ["0x08"],
    "usb-id-or-any": ["-1", "0x1234"], "env-name": ["SOME"], "volume-name": ["v1"], "model-name": ["dac", "selinux"], "hyperv-vendor": ["KVM Hv"],
    "cpu-vendor-id": ["GenuineIntel"], "iommu-bits": ["32", "48"], "profile-id": ["some"], "filter-name": ["clean-traffic"], "parameter-name": ["IP"],
    "parameter-value": ["10.0.0.1"], "model-type": ["virtio", "e1000", "e1000e", "rtl8139"], "numa-distance": ["21"], "speed": ["1000"],
    "zpci-uid": ["0x0019"], "zpci-fid": ["0x0000001f"], "uint8-hex": ["3", "0x10"], "memory-amount": ["524288"], "port-auto": ["-1", "5930"],
    "audio-id": ["1", "2"], "auth-usage": ["some"], "secret-usage": ["some"], "fc-appid": ["someapp"], "cookie-name": ["some"], "source-path": ["/some/file"],
    "domain-name": ["other-name"], "usb-port-list": ["1"],
}
NUMBERS = ["0", "1", "2", "3", "4", "7", "8", "16", "100", "255", "256", "1024", "4096", "65535"]


class Schema:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.elements = json.load(f)["elements"]

    def children(self, states):
        found = collections.OrderedDict()
        for s in states:
            for c in self.elements[s]["children"]:
                found.setdefault(c["name"], [])
                if c["element"] not in found[c["name"]]:
                    found[c["name"]].append(c["element"])
        return found

    def attributes(self, states):
        found = collections.OrderedDict()
        for s in states:
            for a in self.elements[s]["attributes"]:
                found.setdefault(a["name"], []).append(a)
        return found

    def texts(self, states):
        return [self.elements[s]["text"] for s in states if self.elements[s]["text"]]


def value(rng, spec, old=None):
    words = [w["word"] for w in spec.get("words", []) if w["word"] != old]
    if words:
        return rng.choice(words)
    known = ONE.get(spec.get("type", ""))
    if known is not None:
        known = [k for k in known if k != old]
        return rng.choice(known) if known else None
    if old is not None and re.fullmatch(r"\d+", old):
        return rng.choice([str(int(old) + 1), str(max(0, int(old) - 1)), str(int(old) * 2), rng.choice(NUMBERS)])
    return rng.choice(NUMBERS)


def build(rng, schema, name, states, depth=0):
    """A new element with the attributes it needs and some that it may have."""
    e = ET.Element(name)
    for attr, specs in schema.attributes(states).items():
        if any(s["required"] for s in specs) or rng.random() < 0.35:
            v = value(rng, rng.choice(specs)["value"])
            if v is not None:
                e.set(attr, v)
    texts = schema.texts(states)
    if texts:
        e.text = value(rng, texts[0]) or ""
    if depth < 2:
        for child, more in schema.children(states).items():
            need = any(c["min"] for s in states for c in schema.elements[s]["children"] if c["name"] == child)
            if need or rng.random() < 0.15:
                e.append(build(rng, schema, child, more, depth + 1))
    return e


def walk(schema, root):
    """(element, parent, states) for all that the schema knows."""
    stack = [(root, None, [0])]
    while stack:
        e, parent, states = stack.pop()
        yield e, parent, states
        kids = schema.children(states)
        for c in reversed(list(e)):
            if isinstance(c.tag, str) and c.tag in kids:
                stack.append((c, e, kids[c.tag]))


class Generator:
    def __init__(self, schema, files, rng, only):
        self.schema, self.rng, self.only = schema, rng, only
        self.trees = files
        self.devices = collections.defaultdict(list)
        for name, root in files:
            for d in root.findall("devices/*"):
                if d.tag != "emulator":
                    self.devices[d.tag].append((name, d))

    def sites(self, root):
        all_ = list(walk(self.schema, root))
        if self.only:
            inside = set()
            for e, _, _ in all_:
                if e.tag == self.only:
                    inside.update(e.iter())
            all_ = [s for s in all_ if s[0] in inside]
        return all_

    def drop_attribute(self, root):
        sites = [(e, a) for e, p, _ in self.sites(root) if p is not None for a in e.attrib]
        e, a = self.rng.choice(sites)
        old = e.attrib.pop(a)
        return "without %s/@%s=%s" % (e.tag, a, old)

    def drop_element(self, root):
        sites = [(e, p) for e, p, _ in self.sites(root) if p is not None and e.tag not in ("name", "devices", "os", "type", "emulator", "memory")]
        e, p = self.rng.choice(sites)
        p.remove(e)
        return "without %s/%s" % (p.tag, e.tag)

    def change_attribute(self, root):
        sites = []
        for e, p, states in self.sites(root):
            attrs = self.schema.attributes(states)
            sites += [(e, a, attrs[a]) for a in e.attrib if a in attrs and not (p is None)]
        e, a, specs = self.rng.choice(sites)
        new = value(self.rng, self.rng.choice(specs)["value"], e.get(a))
        if new is None:
            return None
        old = e.get(a)
        e.set(a, new)
        return "%s/@%s=%s instead of %s" % (e.tag, a, new, old)

    def add_attribute(self, root):
        sites = []
        for e, p, states in self.sites(root):
            sites += [(e, a, s) for a, s in self.schema.attributes(states).items() if a not in e.attrib and p is not None]
        e, a, specs = self.rng.choice(sites)
        new = value(self.rng, self.rng.choice(specs)["value"])
        if new is None:
            return None
        e.set(a, new)
        return "%s/@%s=%s added" % (e.tag, a, new)

    def change_text(self, root):
        sites = [(e, self.schema.texts(s)) for e, p, s in self.sites(root) if self.schema.texts(s) and e.tag not in ("emulator", "type", "uuid", "name")]
        e, texts = self.rng.choice(sites)
        new = value(self.rng, texts[0], e.text)
        if new is None:
            return None
        old, e.text = e.text, new
        return "%s is %s instead of %s" % (e.tag, new, old)

    def add_element(self, root):
        sites = []
        for e, p, states in self.sites(root):
            for c, more in self.schema.children(states).items():
                if e.tag == "devices" or (c not in ("metadata", "lxc:namespace", "bhyve:commandline", "xen:commandline", "vmware:datacenterpath") and e.find(c) is None):
                    sites.append((e, c, more))
        e, c, more = self.rng.choice(sites)
        if ":" in c:
            return None
        e.append(build(self.rng, self.schema, c, more))
        return "%s/%s added" % (e.tag, c)

    def add_device(self, root):
        devices = root.find("devices")
        if devices is None:
            return None
        kind = self.only if self.only in self.devices else self.rng.choice(sorted(self.devices))
        origin, d = self.rng.choice(self.devices[kind])
        d = copy.deepcopy(d)
        if self.rng.random() < 0.7:
            for a in d.findall("address") + d.findall("alias"):
                d.remove(a)
        devices.append(d)
        return "devices/%s from %s added" % (kind, origin)

    def repeat_device(self, root):
        devices = [d for d in root.findall("devices/*") if d.tag != "emulator" and (not self.only or d.tag == self.only)]
        d = copy.deepcopy(self.rng.choice(devices))
        for a in d.findall("address") + d.findall("alias"):
            d.remove(a)
        t = d.find("target")
        if t is not None and t.get("dev") and d.tag == "disk":
            t.set("dev", t.get("dev")[:2] + "x")
        root.find("devices").append(d)
        return "devices/%s repeated" % d.tag

    def change_machine(self, root):
        t = root.find("os/type")
        if t is None or self.only:
            return None
        new = self.rng.choice(MACHINES.get(t.get("arch", "x86_64"), ["pc"]))
        old = t.get("machine")
        t.set("machine", new)
        return "machine %s instead of %s" % (new, old)

    def swap_devices(self, root):
        devices = root.find("devices")
        kids = [d for d in devices if not self.only or d.tag == self.only]
        if len(kids) < 2:
            return None
        a, b = self.rng.sample(range(len(kids)), 2)
        devices.remove(kids[a])
        devices.insert(b, kids[a])
        return "%s moved" % kids[a].tag

    EDITS = [(drop_attribute, 3), (drop_element, 2), (change_attribute, 5), (add_attribute, 4), (change_text, 1), (add_element, 4), (add_device, 3),
             (repeat_device, 1), (change_machine, 1), (swap_devices, 0.3)]

    def one(self):
        name, tree = self.rng.choice(self.trees)
        root = copy.deepcopy(tree)
        edit = self.rng.choices([e for e, _ in self.EDITS], [w for _, w in self.EDITS])[0]
        try:
            told = edit(self, root)
        except IndexError:
            return None
        return told and (name, told, root)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("schema")
    ap.add_argument("input")
    ap.add_argument("output")
    ap.add_argument("--count", type=int, default=1000)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--only", help="edit only inside elements of this name")
    ap.add_argument("--names", help="vary only the files named here, one a line")
    args = ap.parse_args()
    ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")
    wanted = set(open(args.names).read().split()) if args.names else None
    files = []
    for name in sorted(os.listdir(args.input)):
        if name.endswith(".xml") and (wanted is None or name[:-4] in wanted):
            try:
                root = ET.parse(os.path.join(args.input, name)).getroot()
            except ET.ParseError:
                continue
            if root.tag == "domain" and (not args.only or root.find(".//" + args.only) is not None):
                files.append((name[:-4], root))
    os.makedirs(args.output, exist_ok=True)
    generator = Generator(Schema(args.schema), files, random.Random(args.seed), args.only)
    made = tries = 0
    while made < args.count and tries < args.count * 20:
        tries += 1
        got = generator.one()
        if got:
            name, told, root = got
            with open(os.path.join(args.output, "%05d-%s.xml" % (args.seed * 10000 + made, name)), "w", encoding="utf-8") as f:
                f.write("<!-- %s: %s -->\n" % (name, told.replace("--", "- -")))
                f.write(ET.tostring(root, encoding="unicode") + "\n")
            made += 1


if __name__ == "__main__":
    main()
