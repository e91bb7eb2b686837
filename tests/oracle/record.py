#!/usr/bin/python3
"""Turns what ask.py was told into the recordings of tests/recorded.

    record.py ANSWERS tests/recorded    ANSWERS: ask.py's or start.py's folder; each NAME.json of a NAME.xml in
                                        tests/recorded becomes NAME.args: one token a line
"""
import json
import os
import sys

answers, folder = sys.argv[1:3]
for name in sorted(n[:-5] for n in os.listdir(answers) if n.endswith(".json")):
    if not os.path.exists(os.path.join(folder, name + ".xml")):
        sys.exit("%s: no such domain" % name)
    with open(os.path.join(answers, name + ".json"), encoding="utf-8") as f:
        answer = json.load(f)
    if "argv" not in answer:
        sys.exit("%s: %s" % (name, answer.get("argv_error") or answer.get("lost")))
    if any("\n" in token for token in answer["argv"]):
        sys.exit("%s: a token of several lines" % name)
    with open(os.path.join(folder, name + ".args"), "w", encoding="utf-8") as f:
        f.write("".join(token + "\n" for token in answer["argv"]))
