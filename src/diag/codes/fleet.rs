//! VC21xx: trees that are built, and the hosts that they are put onto.
super::codes! {
    /// Codes of fleets.
    fleet {
        UNREADABLE = "VC2101" "unreadable-input" "A file that was named, or that lies in a folder that was named, cannot be read: it is not there, is no file, or may not be opened. The other files are looked at all the same; nothing is written.\n\nbefore: virtc build vms/web.xlm -o out\nafter:  virtc build vms/web.xml -o out";
        NOT_A_TREE = "VC2102" "not-a-tree" "`virtc deploy` and `virtc package` take a tree that `virtc build` has written: it has `usr/share/virtc/NAME/manifest.json` for each machine. Any other folder could hold anything, and would be copied to `/`.\n\nbefore: virtc deploy vms/\nafter:  virtc build vms/ -o out && virtc deploy out";
        CHANGED_TREE = "VC2103" "changed-tree" "A tree is not as `virtc build` has left it: a file is missing, was changed, or was put there. The manifest of each machine (`usr/share/virtc/NAME/manifest.json`) says which files there are, and their SHA-256.

Build it anew. What a host has for itself goes into a drop-in of the unit, or into `local/` of AppArmor, not into the tree.\n\nbefore: sed -i s/90/30/ out/usr/lib/systemd/system/virtc-web.service && virtc deploy out\nafter:  virtc deploy out && systemctl edit virtc-web";
        OF_ANOTHER = "VC2104" "of-another" "A file or a machine of the tree is on the host already, and something else has put it there: a package, a deployment with another `--name`, or a hand. virtc does not take it over, because the other would lose it, or bring it back.

Take it away where it came from (`apt remove`, `virtc deploy` of the other tree without it), or give the machine another name.\n\nbefore: apt install ./machines.deb && virtc deploy out, with the same machine in both\nafter:  apt remove machines && virtc deploy out";
        OF_ANOTHER_FILE = "VC2105" "machine-of-another-file" "The tree has a machine of this name already. It was made from another file, which is still there, and has another UUID: these are two machines, and the second would take the place of the first.

Give one of them another `<name>`. If the first is not wanted any more, remove its file, or build with `--clean`.\n\nbefore: virtc build a/web.xml -o out; virtc build b/web.xml -o out\nafter:  <name>web-b</name> in b/web.xml";
    }
}
