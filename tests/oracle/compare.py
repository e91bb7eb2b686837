#!/usr/bin/env python3
"""Compares virtc with what ask.py was told by libvirt.

    compare.py IN ANSWERS --host HOST.kdl --caps DIR [--virtc BIN] [--list] [--show NAME] [--kind KIND]

IN: the folder of *.xml; ANSWERS: the folder that ask.py wrote; DIR: libvirt's capability cache. Prints agreement by kind and the
differences, grouped by what they have in common, the most frequent first.
"""
import argparse
import collections
import concurrent.futures
import difflib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

ENV = re.compile(r"^[A-Z_][A-Z0-9_]*=")
JSON_OPTIONS = ("-blockdev", "-device", "-netdev", "-object", "-chardev", "-audiodev")
STOP = set("""the this that with from for and not are was but has have been must cannot can only when more than were will does into
its it's given same found such any all error invalid unsupported configuration internal argument value element attribute requires
supported""".split())
# What depends on the machine of the oracle and not on a rule: its devices, files and helpers.
ELSEWHERE = re.compile(
    r"(doesn't support passthrough of host PCI|Advice from numad|a satisfying vhost-user-gpu|vhost-scsi device file|on x86_64 host is not supported"
    r"|unknown host CPU|virStoragePoolLookup|cause is unknown|No such file|Unable to open|cannot open|Failed to (open|stat|connect|bind|create)|No PCI device|does not exist|Network not found"
    r"|Storage pool not found|cannot stat|Could not find (usable|adapter)|unable to (stat|access)|Permission denied|already exists with uuid"
    r"|Secret not found|no secret with|Permission|Unable to find any suitable|Failed to probe capabilities|network '.*' is not active"
    r"|failed to get|[Nn]o nwfilter)")


def quiet_numbers(tokens):
    """Replaces what is drawn at run time: descriptors, keys, generated addresses."""
    sets, out, before = {}, [], ""
    number = lambda n: "#%d" % sets.setdefault(n, len(sets))
    many = lambda v: ":".join("N" for _ in v.split(":"))
    for token in tokens:
        if before == "-add-fd":
            token = re.sub(r"set=(\d+)", lambda m: "set=" + number(m.group(1)), token)
            token = re.sub(r"\bfd=[^,]+", "fd=N", token)
            token = re.sub(r"opaque=.*", "opaque=*", token)
        token = re.sub(r'/dev/fdset/([^",]+)', lambda m: "/dev/fdset/" + number(m.group(1)), token)
        token = re.sub(r'"(fds?|vhostfds?)":"([^"]*)"', lambda m: '"%s":"%s"' % (m.group(1), many(m.group(2))), token)
        token = re.sub(r'("type":"fd","data":\{"str":)"[^"]*"', r'\1"N"', token)
        if before.startswith("-") and not token.startswith("{"):
            token = re.sub(r"(^|,)(fds?|vhostfds?)=([^,]*)", lambda m: m.group(1) + m.group(2) + "=" + many(m.group(3)), token)
        if '"qom-type":"secret"' in token:
            token = re.sub(r'"(data|iv)":"[^"]*"', r'"\1":"*"', token)
        if before == "-chardev" and ",id=chrtpm" in token:
            token = "socket,id=chrtpm"
        # NICs are reduced to MAC and model there
        if before == "-netdev":
            token = "NIC"
        if before == "-device" and '"netdev":' in token:
            token = "NIC"
        if before == "-device" and '"driver":"vmgenid"' in token:
            token = re.sub(r'"guid":"[^"]*"', '"guid":"*"', token)
        if before == "-device" and '"driver":"vhost-vsock' in token:
            token = re.sub(r'"guest-cid":(0|42)\b', '"guest-cid":"auto"', token)
        if before == "-rtc":
            token = re.sub(r"base=\d{4}-.*?(?=,|$)", "base=TIME", token)
        out.append(token)
        before = token
    return [t for i, t in enumerate(out) if t != "-add-fd" and (i == 0 or out[i - 1] != "-add-fd")]


def without_env(tokens):
    n = 0
    while n < len(tokens) and ENV.match(tokens[n]):
        n += 1
    return [t for t in tokens[:n] if not re.match(r"(PATH|HOME|USER|LOGNAME|XDG_\w+|LC_ALL|TMPDIR)=", t)] + tokens[n:]


def pairs(tokens):
    """Joins each switch with its value, so that a difference reads as one line."""
    out = []
    for t in tokens:
        if out and out[-1].startswith("-") and " " not in out[-1] and not (t.startswith("-") and len(t) > 2):
            out[-1] += " " + t
        else:
            out.append(t)
    return out


def tree(node, depth=0):
    children = [c for c in node if isinstance(c.tag, str)]
    text = (node.text or "").strip() if children else (node.text or "")
    head = "  " * depth + "<" + node.tag + "".join(" %s='%s'" % a for a in sorted(node.attrib.items()))
    if not children:
        return [head + (">" + text if text.strip() else "/>")]
    lines = [head + ">" + text]
    for c in children:
        lines += tree(c, depth + 1)
    return lines


def xml_lines(text, source=""):
    """The lines of a domain. What both sides make up by themselves, because the source does not say, is masked."""
    lines = tree(ET.fromstring(text))
    if "<uuid>" not in source:
        lines = [re.sub(r"^  <uuid>.*", "  <uuid>", line) for line in lines]
    given = set(re.findall(r"([0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5})", source.lower()))
    mask = lambda m: m.group(0) if m.group(1).lower() in given else "<mac address='*'"
    lines = [re.sub(r"<mac address='([^']*)'", mask, line) for line in lines]
    genid = re.search(r"<genid>\s*[^<\s]", source)
    return [line if genid else re.sub(r"<genid>.*", "<genid>", line) for line in lines]


def reason(message):
    quoted = [a or b for a, b in re.findall(r"'([^'\n]*)'|\"([^\"\n]*)\"", message)]
    rest = re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", " ", message)
    words = {w.lower() for w in re.findall(r"[A-Za-z0-9][A-Za-z0-9_-]{2,}", rest)}
    return [q for q in quoted if q.strip()], sorted(words - STOP)


def same_reason(expected, got):
    quoted, words = reason(expected)
    low = re.sub(r"\s+", " ", re.sub(r"\n\s*[│·]\s*", " ", got)).lower()
    return all(q.lower() in low for q in quoted) and 2 * sum(w in low for w in words) >= len(words)


def general(text):
    """A message or a line without its particulars, to group by."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|(0x)?[0-9]+", "N", text)[:160]


class Virtc:
    def __init__(self, args):
        self.binary, self.host, self.target = args.virtc, args.host, args.target
        self.caps = {}
        for name in sorted(os.listdir(args.caps)):
            path = os.path.join(args.caps, name)
            with open(path, encoding="utf-8") as f:
                text = f.read(200_000)
            m = re.search(r"<emulator>([^<]*)", text)
            if m:
                self.caps[m.group(1)] = path
        self.native = {re.search(r"<arch>([^<]*)", open(p).read()).group(1): (e, p) for e, p in self.caps.items() if not e.endswith("le")}

    def caps_of(self, xml):
        m = re.search(r"<emulator>\s*([^<]*?)\s*</emulator>", xml)
        if m and m.group(1) in self.caps:
            return self.caps[m.group(1)]
        m = re.search(r"<type[^>]*\barch=['\"]([^'\"]*)", xml)
        arch = m.group(1) if m else "x86_64"
        return self.native.get(arch, self.native["x86_64"])[1]

    def run(self, command, path, caps, more=()):
        p = subprocess.run([self.binary, command, path, "--host", self.host, "--caps", caps, "--target", self.target, "--define", *more],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


def errors_of(text):
    """The messages of virtc's errors, one line each."""
    out = []
    for block in re.split(r"\n(?=error |warning |note )", text):
        if block.startswith("error"):
            m = re.search(r"× (.*?)(?=\n\s*(?:╭|help|$)|\Z)", block, re.S)
            out.append((block.split("\n")[0] + ": " if "VC0901" in block else "") + re.sub(r"\s*\n\s*│?\s*", " ", m.group(1) if m else block).strip())
    return out or [text.strip()[:300]]


def judge(name, args, virtc):
    """(kind, group, details) for each of the comparisons of one input."""
    path = os.path.join(args.input, name + ".xml")
    with open(os.path.join(args.answers, name + ".json"), encoding="utf-8") as f:
        answer = json.load(f)
    if "lost" in answer:
        return [("skipped", "daemon", answer["lost"])]
    with open(path, encoding="utf-8", errors="replace") as f:
        text = f.read()
    caps = virtc.caps_of(text)
    found = []
    for kind, command, more in (("xml", "normalize", ()), ("argv", "argv", ("--format", "lines", "--wiring", "paths"))):
        want, fault = answer.get(kind), answer.get(kind + "_error")
        if fault is not None and kind == "argv" and fault == answer.get("xml_error"):
            continue
        code, out, err = virtc.run(command, path, caps, more)
        if code < 0 or code >= 100:
            found.append(("crash", "crash", err[-600:]))
        elif fault is not None:
            if ELSEWHERE.search(fault):
                found.append(("skipped", "machine", fault))
            elif code == 0:
                found.append((kind + " accepted", general(fault), fault))
            elif not same_reason(fault, err):
                found.append((kind + " reason", general(fault), fault + "\n   virtc: " + " | ".join(errors_of(err))))
            else:
                found.append(("ok " + kind + " refusal", "", ""))
        elif code != 0:
            first = errors_of(err)[0]
            found.append((kind + " refused", general(first), " | ".join(errors_of(err))))
        else:
            if kind == "xml":
                a, b = xml_lines(want, text), xml_lines(out, text)
            else:
                a, b = pairs(quiet_numbers(without_env(want))), pairs(quiet_numbers(without_env(out.split("\n")[:-1])))
            if a == b:
                found.append(("ok " + kind, "", ""))
            else:
                lines = [d for d in difflib.unified_diff(a, b, lineterm="", n=0) if not d.startswith(("---", "+++", "@@"))]
                group = " ".join(sorted({general(d[0] + d[1:].strip())[:70] for d in lines})[:4])
                found.append((kind + " differs", group, "\n".join(lines)))
    return found


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("input")
    ap.add_argument("answers")
    ap.add_argument("--host", required=True)
    ap.add_argument("--caps", required=True)
    ap.add_argument("--virtc", default="target/debug/virtc")
    ap.add_argument("--target", default="libvirt@11.3", help="the libvirt that answered")
    ap.add_argument("--show")
    ap.add_argument("--kind", default="")
    ap.add_argument("--filter", default="")
    ap.add_argument("--groups", type=int, default=40)
    ap.add_argument("--save", help="write every difference to this file, as JSON")
    args = ap.parse_args()
    virtc = Virtc(args)
    names = sorted(n[:-5] for n in os.listdir(args.answers) if n.endswith(".json") and re.search(args.filter, n)
                   and os.path.exists(os.path.join(args.input, n[:-5] + ".xml")))
    if args.show:
        names = [args.show]
    counts, groups, saved = collections.Counter(), collections.defaultdict(list), []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, found in zip(names, pool.map(lambda n: judge(n, args, virtc), names)):
            for kind, group, details in found:
                counts[kind] += 1
                if not kind.startswith("ok") and (kind != "skipped" or args.kind == "skipped"):
                    groups[kind, group].append((name, details))
                    saved.append([name, kind, group, details])
    for (kind, group), members in sorted(groups.items(), key=lambda g: (g[0][0], -len(g[1])))[: args.groups if not args.show else None]:
        if args.kind and args.kind not in kind:
            continue
        print("== %d × %s: %s\n   in %s" % (len(members), kind, group, " ".join(m[0] for m in members[:4])))
        print("   " + members[0][1][: 100000 if args.show else 700].replace("\n", "\n   "))
    print("\n%d inputs" % len(names))
    for kind, n in sorted(counts.items()):
        print("%-20s %d" % (kind, n))
    if args.save:
        with open(args.save, "w", encoding="utf-8") as f:
            json.dump(saved, f, indent=0)


if __name__ == "__main__":
    main()
