//! What QEMU's command line knows: every switch of the versions that virtc supports, and whether it takes a value. The
//! table is made from what QEMU itself says (held against it in `tests/import.rs`); what was removed earlier is listed here.

/// Lines of `name value|alone since until`.
const TABLE: &str = include_str!("switches.txt");

/// A switch that was removed: what it was, and what does it now.
pub struct Removed {
    /// The switch.
    pub name: &'static str,
    /// Whether it took a value.
    value: bool,
    /// Since when it is gone.
    pub since: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

macro_rules! removed {
    ($($name:literal $value:literal $since:literal $instead:literal;)*) => {
        &[$(Removed { name: $name, value: $value, since: $since, instead: $instead }),*]
    };
}

/// QEMU's documentation, "Removed features".
pub const REMOVED: &[Removed] = removed! {
    "alt-grab" false "7.1" "-display sdl,grab-mod=lshift-lctrl-lalt";
    "async-teardown" false "9.0" "-run-with async-teardown=on";
    "balloon" true "3.1" "-device virtio-balloon-pci";
    "bootp" true "3.1" "bootp= of -netdev user";
    "bt" true "4.0" "nothing: virtual Bluetooth is gone; hand a USB adapter of the host through";
    "chroot" true "9.0" "-run-with chroot=DIR";
    "clock" true "2.12" "nothing: it was without effect";
    "ctrl-grab" false "7.1" "-display sdl,grab-mod=rctrl";
    "curses" false "7.1" "-display curses";
    "enable-fips" false "7.1" "nothing: the libraries of the host decide it";
    "hdachs" true "2.12" "cyls=, heads=, secs= of -device ide-hd";
    "localtime" false "3.1" "-rtc base=localtime";
    "no-acpi" false "9.0" "-machine acpi=off";
    "no-frame" false "4.0" "nothing: the window manager decides it";
    "no-hpet" false "9.0" "-machine hpet=off";
    "no-kvm" false "5.2" "-accel tcg";
    "no-kvm-irqchip" false "3.0" "-machine kernel_irqchip=off";
    "no-kvm-pit" false "2.12" "nothing: it was without effect";
    "no-kvm-pit-reinjection" false "3.0" "-global kvm-pit.lost_tick_policy=discard";
    "no-quit" false "7.0" "-display …,window-close=off";
    "nodefconfig" false "3.1" "-no-user-config";
    "realtime" true "6.0" "-overcommit mem-lock=on";
    "redir" true "3.1" "hostfwd= of -netdev user";
    "rtc-td-hack" false "3.1" "-rtc driftfix=slew";
    "runas" true "10.0" "-run-with user=NAME";
    "sdl" false "7.1" "-display sdl";
    "show-cursor" false "6.0" "-display …,show-cursor=on";
    "singlestep" false "9.0" "-accel tcg,one-insn-per-tb=on";
    "smb" true "3.1" "smb= of -netdev user";
    "soundhw" true "7.1" "-audiodev, and the sound device with -device";
    "startdate" true "3.1" "-rtc base=DATE";
    "tb-size" true "6.0" "-accel tcg,tb-size=";
    "tdf" false "2.12" "-global kvm-pit.lost_tick_policy=delay";
    "tftp" true "3.1" "tftp= of -netdev user";
    "watchdog" true "7.2" "-device i6300esb or ib700";
    "writeconfig" true "7.1" "nothing";
};

/// A switch that a later QEMU will not have.
pub struct Deprecated {
    name: &'static str,
    /// Since when QEMU says so.
    pub since: &'static str,
    /// What to write instead.
    pub instead: &'static str,
}

/// QEMU's documentation, "Deprecated features".
const DEPRECATED: &[Deprecated] =
    &[Deprecated { name: "mon", since: "11.1", instead: "-object monitor-qmp or monitor-hmp" }];

/// The switch, if it is deprecated in some version.
pub fn deprecated(name: &str) -> Option<&'static Deprecated> {
    DEPRECATED.iter().find(|d| d.name == name)
}

/// Whether a switch takes a value; nothing if QEMU has never had it.
pub fn takes_value(name: &str) -> Option<bool> {
    let known = rows().find(|(known, ..)| *known == name).map(|(_, value, ..)| value);
    known.or_else(|| removed(name).map(|r| r.value))
}

/// What became of a switch that newer versions of QEMU lack.
pub fn removed(name: &str) -> Option<&'static Removed> {
    REMOVED.iter().find(|r| r.name == name)
}

/// Name, whether it takes a value, first and last version.
pub fn rows() -> impl Iterator<Item = (&'static str, bool, &'static str, &'static str)> {
    TABLE.lines().filter(|l| !l.starts_with('#')).filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()? == "value", fields.next()?, fields.next()?))
    })
}
