//! VC02xx: machine, CPU, memory, firmware, clock, tuning.
super::codes! {
    /// Codes of the machine.
    machine {
        UNKNOWN_MACHINE = "VC0201" "unknown-machine" "This QEMU does not have the machine type that `<type machine='…'>` names.\n\n`virtc domcapabilities` lists the machine types of the capabilities in use.";
    }
}
