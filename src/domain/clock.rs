//! `<clock>`: what time the guest sees.

use crate::bind::model;
use crate::vocab::{YesNo, keywords};

keywords! {
    /// What the guest's clock follows.
    pub enum ClockOffset {
        Utc = "utc",
        Localtime = "localtime",
        Variable = "variable",
        Timezone = "timezone",
        Absolute = "absolute",
    }
}

keywords! {
    /// `<clock basis='…'>`
    pub enum ClockBasis { Utc = "utc", Localtime = "localtime" }
}

keywords! {
    /// `<timer name='…'>`
    pub enum TimerName {
        Platform = "platform",
        Pit = "pit",
        Rtc = "rtc",
        Hpet = "hpet",
        Tsc = "tsc",
        Kvmclock = "kvmclock",
        Hypervclock = "hypervclock",
        Armvtimer = "armvtimer",
    }
}

keywords! {
    /// What to do with ticks that came too late.
    pub enum TickPolicy { Delay = "delay", Catchup = "catchup", Merge = "merge", Discard = "discard" }
}

keywords! {
    /// What a timer follows.
    pub enum TimerTrack { Boot = "boot", Guest = "guest", Wall = "wall", Realtime = "realtime" }
}

keywords! {
    /// `<timer mode='…'>` of the time stamp counter.
    pub enum TimerMode {
        Auto = "auto",
        Native = "native",
        Emulate = "emulate",
        Paravirt = "paravirt",
        Smpsafe = "smpsafe",
    }
}

model! {
    /// `<catchup>`: how fast late ticks are made up for.
    pub struct Catchup = "catchup" {
        attr threshold: u64 = "threshold",
        attr slew: u64 = "slew",
        attr limit: u64 = "limit",
    }
}

model! {
    /// `<timer>`
    pub struct Timer = "timer" {
        need name: TimerName = "name",
        attr present: YesNo = "present",
        attr tick_policy: TickPolicy = "tickpolicy",
        attr track: TimerTrack = "track",
        attr frequency: u64 = "frequency",
        attr mode: TimerMode = "mode",
        child catchup: Catchup,
    }
}

model! {
    /// `<clock>`
    pub struct Clock = "clock" {
        attr offset: ClockOffset = "offset",
        attr adjustment: String = "adjustment",
        attr basis: ClockBasis = "basis",
        attr timezone: String = "timezone",
        attr start: i64 = "start",
        many timers: Timer,
    }
}

impl Clock {
    /// The timer of this name.
    pub fn timer(&self, name: TimerName) -> Option<&Timer> {
        self.timers.iter().find(|t| t.name == Some(name))
    }
}
