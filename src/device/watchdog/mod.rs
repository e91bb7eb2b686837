//! Watchdogs: what happens when the guest hangs.

pub(crate) mod family;

use super::info::{DeviceInfo, device};
use crate::bind::model;
use crate::vocab::keywords;

keywords! {
    /// `<watchdog model='…'>`
    pub enum WatchdogModel {
        I6300esb = "i6300esb",
        Ib700 = "ib700",
        Diag288 = "diag288",
        Itco = "itco",
    }
}

keywords! {
    /// `<watchdog action='…'>`
    pub enum WatchdogAction {
        Reset = "reset",
        Shutdown = "shutdown",
        Poweroff = "poweroff",
        Pause = "pause",
        Dump = "dump",
        None = "none",
        InjectNmi = "inject-nmi",
    }
}

model! {
    /// `<watchdog>`
    pub struct Watchdog = "watchdog" {
        attr model: WatchdogModel = "model",
        attr action: WatchdogAction = "action",
        part info: DeviceInfo,
    }
}

device!(Watchdog, "watchdog");
