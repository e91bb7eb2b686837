//! `-rtc` and the timers of the board.

use crate::caps::Cap;
use crate::diag::codes::machine as codes;
use crate::domain::clock::{Clock, ClockBasis, ClockOffset, TickPolicy, TimerName, TimerTrack};
use crate::plan::{Arg, Props};
use crate::stage::Lower;
use crate::vocab::{YesNo, iso_time};

/// `-rtc`: where the clock of the guest starts and what it follows.
pub fn rtc(lx: &mut Lower<'_>) {
    let Some(clock) = lx.domain.clock.clone() else { return };
    let base = match clock.offset {
        None | Some(ClockOffset::Utc) => "utc".to_string(),
        Some(ClockOffset::Localtime | ClockOffset::Timezone) => "localtime".to_string(),
        Some(ClockOffset::Variable) => variable(lx, &clock),
        Some(ClockOffset::Absolute) => iso_time(lx.must(clock.start, "the start of the clock", clock.site)),
    };
    if let Some(zone) = clock.timezone.clone().filter(|_| clock.offset == Some(ClockOffset::Timezone)) {
        lx.variables.push(("TZ".into(), zone));
    }
    let mut props = Props::with("base", base);
    let rtc = clock.timer(TimerName::Rtc);
    match rtc.and_then(|t| t.track) {
        Some(TimerTrack::Boot) | None => {}
        Some(TimerTrack::Wall) => {
            props.set("clock", "host");
        }
        Some(TimerTrack::Guest) => {
            props.set("clock", "vm");
        }
        Some(TimerTrack::Realtime) => {
            props.set("clock", "rt");
        }
    }
    if rtc.and_then(|t| t.tick_policy) == Some(TickPolicy::Catchup) {
        props.set("driftfix", "slew");
    }
    lx.options("-rtc", props, clock.site, "clock");
}

/// The start of a clock that is off by some seconds.
fn variable(lx: &mut Lower<'_>, clock: &Clock) -> String {
    let adjustment: i64 = clock.adjustment.as_deref().and_then(|a| a.trim().parse().ok()).unwrap_or(0);
    let local = clock.basis == Some(ClockBasis::Localtime);
    let Some(now) = lx.env.host.clock.now else {
        // QEMU takes a moment, not a difference; the moment of the start is not known here.
        if adjustment != 0 {
            let span = lx.doc.span_of_attr(clock.site, "adjustment");
            let message = format!(
                "the adjustment of the clock by {adjustment} s is left out: it would have to be added when the guest starts"
            );
            lx.diags.warning(&codes::TIMER, span, message).help(
                "set the clock inside the guest, or name the time of the start in the host facts: clock now=\"…\"",
            );
        }
        return if local { "localtime" } else { "utc" }.to_string();
    };
    // The basis 'localtime' shifts by the zone of the host at that moment.
    let zone = if local { zone_offset(&lx.env.host.clock.timezone) } else { 0 };
    iso_time(now.saturating_add(adjustment).saturating_add(zone))
}

/// The PIT and the HPET.
pub fn timers(lx: &mut Lower<'_>) {
    let Some(clock) = lx.domain.clock.clone() else { return };
    for timer in &clock.timers {
        match timer.name {
            Some(TimerName::Pit) => {
                let policy = match timer.tick_policy {
                    Some(TickPolicy::Delay) | None if lx.has(Cap::KvmPitLostTickPolicy) => "delay",
                    Some(TickPolicy::Discard) if lx.has(Cap::KvmPitLostTickPolicy) => "discard",
                    _ => continue,
                };
                let props = Props::with("kvm-pit.lost_tick_policy", policy);
                lx.options("-global", props, timer.site, "timer pit");
            }
            Some(TimerName::Hpet)
                if timer.present == Some(YesNo::No) && lx.machine.arch.is_x86() && !lx.has(Cap::MachineHpet) =>
            {
                let cause = lx.cause(timer.site, "timer hpet");
                lx.args.push(Arg::switch("-no-hpet", cause));
            }
            _ => {}
        }
    }
}

/// Seconds that the standard time of a POSIX `TZ` is ahead of UTC: -3600 for `VIRT1`, whose sign is
/// that of the way to UTC. Changes to summer time are not taken into account.
fn zone_offset(timezone: &str) -> i64 {
    let name_end = match timezone.strip_prefix('<') {
        Some(rest) => rest.find('>').map_or(timezone.len(), |at| at + 2),
        None => timezone.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(timezone.len()),
    };
    let offset = &timezone[name_end..];
    let (sign, digits) = match offset.strip_prefix('-') {
        Some(rest) => (1, rest),
        None => (-1, offset.strip_prefix('+').unwrap_or(offset)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(digits.len());
    let mut parts = digits[..end].split(':').map(|p| p.parse::<i64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0).clamp(0, 167);
    sign * (next() * 3600 + next() * 60 + next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_read() {
        for (zone, offset) in [("UTC", 0), ("VIRT1", -3600), ("CET-1CEST", 3600), ("<+0530>-5:30", 19800), ("", 0)] {
            assert_eq!(zone_offset(zone), offset, "{zone}");
        }
    }
}
