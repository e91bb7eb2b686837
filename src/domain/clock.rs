//! `<clock>`: what time the guest sees.

use crate::bind::model;
pub use crate::schema::words::{ClockBasis, ClockOffset, TickPolicy, TimerMode, TimerName, TimerTrack};
use crate::vocab::YesNo;

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
