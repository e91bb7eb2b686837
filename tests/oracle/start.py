#!/usr/bin/python3
"""Starts domains, and records the command lines that libvirt used.

    start.py IN OUT [URI]      IN: folder of *.xml; OUT: one JSON a file, as ask.py's; every machine is ended at once
"""
import json
import os
import shlex
import sys

import libvirt

LOGS = "/var/log/libvirt/qemu"


def started(name):
    """The command line of the last start, from the machine's log."""
    with open(os.path.join(LOGS, name + ".log"), encoding="utf-8") as f:
        text = f.read()
    command = text[text.rindex("starting up libvirt version"):].split("\n", 1)[1]
    lines = []
    for line in command.split("\n"):
        lines.append(line.removesuffix(" \\"))
        if not line.endswith(" \\"):
            break
    return shlex.split(" ".join(lines))


def main():
    source, target = sys.argv[1:3]
    libvirt.registerErrorHandler(lambda *_: None, None)
    os.makedirs(target, exist_ok=True)
    conn = libvirt.open(sys.argv[3] if len(sys.argv) > 3 else "qemu:///system")
    for name in sorted(n[:-4] for n in os.listdir(source) if n.endswith(".xml")):
        with open(os.path.join(source, name + ".xml"), encoding="utf-8") as f:
            xml = f.read()
        answer = {}
        try:
            domain = conn.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
            domain.destroy()
            answer["argv"] = started(name)
        except libvirt.libvirtError as e:
            answer["argv_error"] = e.get_error_message()
        with open(os.path.join(target, name + ".json"), "w", encoding="utf-8") as f:
            json.dump(answer, f)


if __name__ == "__main__":
    main()
