//! VC22xx: locks, differences, upgrades.
super::codes! {
    /// Codes of locks.
    lock {
        SYNTAX = "VC2201" "lock-syntax" "The lock beside the XML cannot be read. It is KDL version 2 that `virtc lock` writes; people review it, and rarely edit it. Nothing is compiled, because addresses and MAC addresses that the guest has got used to might move.\n\nbefore: a lock with the marks of a merge conflict\nafter:  git checkout vm.lock, or delete it and run `virtc lock vm.xml`: what was locked may move then";
        BEHIND = "VC2202" "lock-behind" "The lock would have to change: the domain has a device or a value that the lock does not know, or one that it says otherwise. What is locked stays where it is all the same, and what is new gets a free place, which is not kept until it is locked, too.\n\nA note; with `--locked` it is an error, so that CI sees that somebody forgot the lock.\n\nbefore: a new <interface>, and virtc build vm.xml --locked\nafter:  virtc lock vm.xml && git add vm.lock, then virtc build vm.xml --locked";
        ABSENT = "VC2203" "lock-absent" "`--locked` asks for a lock beside the XML, and there is none.\n\nbefore: virtc build vm.xml --locked\nafter:  virtc lock vm.xml, then virtc build vm.xml --locked";
        FOR_LIBVIRT = "VC2204" "lock-not-used" "A lock says what virtc chose; the line that is asked for is that of a libvirt, which knows the XML alone. So the lock is not used.\n\n`virtc normalize` writes what is locked into the XML: libvirt then gives the machine the same.\n\nbefore: virtc argv vm.xml --target libvirt, beside vm.lock\nafter:  virtc normalize vm.xml > full.xml && virtc argv full.xml --target libvirt";
    }
}
