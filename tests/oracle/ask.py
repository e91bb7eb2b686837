#!/usr/bin/python3
"""Asks a running libvirt what it makes of domains. Runs where that libvirt runs (a chroot will do).

    ask.py IN OUT [URI]      IN: folder of *.xml; OUT: one JSON a file: argv, xml, or the error of each

`argv` is domxml-to-native, `xml` is define + dumpxml --inactive. Nothing is started. What was answered before is not asked again.
"""
import json
import os
import shlex
import sys
import time

import libvirt

UNDEFINE = (libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)


def connect(uri):
    for _ in range(60):
        try:
            conn = libvirt.open(uri)
            break
        except libvirt.libvirtError:
            time.sleep(1)  # a supervisor starts it again
    else:
        sys.exit("no daemon answers at %s" % uri)
    for domain in conn.listAllDomains():
        domain.undefineFlags(UNDEFINE)
    return conn


def ask(conn, xml):
    answer = {}
    try:
        answer["argv"] = shlex.split(conn.domainXMLToNative("qemu-argv", xml, 0))
    except libvirt.libvirtError as e:
        answer["argv_error"] = e.get_error_message()
    try:
        domain = conn.defineXMLFlags(xml, 0)
    except libvirt.libvirtError as e:
        answer["xml_error"] = e.get_error_message()
        return answer
    try:
        answer["xml"] = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    finally:
        domain.undefineFlags(UNDEFINE)
    return answer


def main():
    source, target = sys.argv[1:3]
    uri = sys.argv[3] if len(sys.argv) > 3 else "qemu:///system"
    libvirt.registerErrorHandler(lambda *_: None, None)
    os.makedirs(target, exist_ok=True)
    conn = connect(uri)
    for name in sorted(os.listdir(source)):
        out = os.path.join(target, name[:-4] + ".json")
        if not name.endswith(".xml") or os.path.exists(out):
            continue
        with open(os.path.join(source, name), encoding="utf-8", errors="surrogateescape") as f:
            xml = f.read()
        try:
            answer = ask(conn, xml)
        except (libvirt.libvirtError, ValueError, UnicodeError) as e:
            answer = {"lost": str(e)}
        if not conn.isAlive():
            answer = {"lost": "the daemon went away"}
            conn = connect(uri)
        with open(out, "w", encoding="utf-8") as f:
            json.dump(answer, f)


if __name__ == "__main__":
    main()
