//! Looks after a running machine: its events, its end, and requests to end it.

use super::errors::{Fault, WithHelp, fault, meaning};
use super::own;
use super::process::ended;
use super::qmp::{Event, Incoming, QmpError};
use super::signals::Request;
use super::start::{Machine, await_helper};
use crate::diag::codes::run as codes;
use crate::emit::argv;
use crate::plan::{Loss, Ready};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A guest that still boots does not notice its power button: it is pressed again after this time.
pub(super) const AGAIN: Duration = Duration::from_secs(5);
/// How long QEMU may take to quit when told to; then it is killed.
pub(super) const QUIT: Duration = Duration::from_secs(5);
/// So many messages of QEMU are handled before others get their turn.
const MESSAGES_A_ROUND: usize = 1000;

/// How long QEMU may take to end after a helper that ends with it.
const WITH_QEMU: Duration = Duration::from_millis(300);
/// How long a dump of a crashed guest may take.
const DUMP: Duration = Duration::from_secs(600);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered off.
    PoweredOff,
    /// The guest rebooted, and `<on_reboot>` says to end it then.
    Rebooted,
    /// Somebody stopped it.
    Stopped,
}

/// What the guest does at its end, and what then happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// End it.
    Destroy,
    /// Start it again in the same QEMU.
    Restart,
    /// Leave it as it is, for a look.
    Preserve,
}

impl Action {
    /// An action of the format; `None` for an empty one. The second: whether to dump memory first.
    fn of(text: &str) -> (Option<Action>, bool) {
        let action = match text {
            "destroy" | "coredump-destroy" => Some(Action::Destroy),
            // There is no second name to give: a restart is what libvirt does, too.
            "restart" | "rename-restart" | "coredump-restart" => Some(Action::Restart),
            "preserve" => Some(Action::Preserve),
            _ => None,
        };
        (action, text.starts_with("coredump"))
    }
}

/// How far a stop has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopping {
    /// Nobody has asked.
    No,
    /// The guest was asked to power off; it has until then, and is asked again at the second time.
    Asked(Instant, Instant),
    /// QEMU was told to quit; it has until then.
    Told(Instant),
    /// It was killed.
    Killed,
}

impl Machine {
    /// What QEMU has to be told so that the ends of the guest can be acted on; `None` when its own
    /// behaviour (end at power-off and crash, restart at reboot) is what the domain wants.
    pub(super) fn lifecycle_actions(&self) -> Option<Value> {
        let mut actions = serde_json::Map::new();
        if matches!(Action::of(&self.lifecycle.on_poweroff).0, Some(Action::Restart | Action::Preserve)) {
            actions.insert("shutdown".into(), "pause".into());
        }
        match Action::of(&self.lifecycle.on_reboot).0 {
            Some(Action::Destroy) => {
                actions.insert("reboot".into(), "shutdown".into());
            }
            Some(Action::Preserve) => {
                actions.insert("reboot".into(), "shutdown".into());
                actions.insert("shutdown".into(), "pause".into());
            }
            _ => {}
        }
        match Action::of(&self.lifecycle.on_crash) {
            (Some(Action::Destroy), false) | (None, _) => {}
            _ => {
                actions.insert("panic".into(), "pause".into());
            }
        }
        (!actions.is_empty()).then_some(Value::Object(actions))
    }

    /// Waits until the machine ends, serving `virtc monitor` and acting on events and signals; then
    /// tidies up. `say` gets remarks.
    pub fn supervise(&mut self, say: &mut dyn FnMut(&str)) -> Result<Outcome, Fault> {
        let result = self.watch(say);
        for left in self.finish() {
            say(&left);
        }
        result
    }

    fn watch(&mut self, say: &mut dyn FnMut(&str)) -> Result<Outcome, Fault> {
        let mut stopping = Stopping::No;
        let mut reason: Option<String> = None;
        let mut broken = None;
        loop {
            // First everything that has come, so that nothing waits behind the poll; but events without end keep nobody from
            // being served.
            let (mut closed, mut more) = (false, true);
            for _ in 0..MESSAGES_A_ROUND {
                let incoming = match &mut self.qmp {
                    Some(qmp) => qmp.incoming(),
                    None => Ok(None),
                };
                match incoming {
                    Ok(None) => {
                        more = false;
                        break;
                    }
                    Ok(Some(Incoming::Reply(id, body))) => {
                        if let Some(proxy) = &mut self.proxy {
                            proxy.reply(id, body);
                        }
                    }
                    Ok(Some(Incoming::Event(event))) => {
                        if let Some(proxy) = &mut self.proxy {
                            proxy.broadcast(&event);
                        }
                        if let Some(why) = self.act(&event, &mut stopping, say)? {
                            reason = Some(why);
                        }
                    }
                    Err(_) => {
                        (closed, more) = (true, false);
                        break;
                    }
                }
            }
            if closed {
                self.qmp = None;
            }
            if !more && self.qemu.as_ref().is_none_or(|q| q.has_ended()) {
                let outcome = self.outcome(reason.as_deref(), stopping);
                // The end was no wish of anybody's.
                return broken.map_or(outcome, Err);
            }
            match self.signals.take() {
                Some(Request::Stop) if stopping == Stopping::No => {
                    say(&format!("asked the guest of '{}' to power off; ask again to end it now", self.name));
                    stopping = match self.tell("system_powerdown") {
                        Ok(()) => Stopping::Asked(Instant::now() + self.stop_timeout, Instant::now() + AGAIN),
                        Err(_) => self.kill(),
                    };
                }
                Some(_) if !matches!(stopping, Stopping::Told(_) | Stopping::Killed) => stopping = self.quit(),
                _ => {}
            }
            let now = Instant::now();
            match stopping {
                Stopping::Asked(deadline, _) if deadline <= now => {
                    say(&format!(
                        "the guest of '{}' did not power off within {} s: ending it",
                        self.name,
                        self.stop_timeout.as_secs()
                    ));
                    stopping = self.quit();
                }
                Stopping::Asked(deadline, again) if again <= now => {
                    // A monitor that is closed by now is seen at the next turn.
                    let _ = self.tell("system_powerdown");
                    stopping = Stopping::Asked(deadline, now + AGAIN);
                }
                Stopping::Told(deadline) if deadline <= now => stopping = self.kill(),
                _ => {}
            }
            self.check_helpers(&mut stopping, &mut broken, say);
            self.wait(match stopping {
                _ if more => Some(now),
                Stopping::Asked(deadline, again) => Some(deadline.min(again)),
                Stopping::Told(deadline) => Some(deadline),
                _ => None,
            });
            if let (Some(proxy), Some(qmp)) = (&mut self.proxy, &mut self.qmp) {
                // A monitor that fails is seen at the next turn.
                let _ = proxy.serve(qmp);
            }
        }
    }

    /// Sleeps until something happens.
    fn wait(&self, deadline: Option<Instant>) {
        let mut fds = Vec::with_capacity(8);
        fds.extend(self.signals.fds().map(|fd| (fd, PollFlags::IN)));
        fds.extend(self.qmp.as_ref().map(|qmp| (qmp.as_fd(), PollFlags::IN)));
        fds.extend(self.qemu.iter().chain(&self.helpers).map(|p| (p.as_fd(), PollFlags::IN)));
        if let Some(proxy) = &self.proxy {
            fds.extend(proxy.fds());
        }
        let mut polled: Vec<PollFd<'_>> =
            fds.into_iter().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        let spec = left.map(|l| Timespec { tv_sec: l.as_secs().min(1 << 30) as i64, tv_nsec: l.subsec_nanos().into() });
        // Whatever poll says, the loop looks at everything.
        let _ = poll(&mut polled, spec.as_ref());
    }

    /// Acts on an event. Returns the reason when it announces the end of QEMU.
    fn act(
        &mut self,
        event: &Event,
        stopping: &mut Stopping,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<String>, Fault> {
        let told = matches!(stopping, Stopping::Told(_) | Stopping::Killed);
        match event.name.as_str() {
            "SHUTDOWN" => {
                let reason = event.data["reason"].as_str().unwrap_or_default().to_string();
                let (wish, _) = match reason.as_str() {
                    "guest-reset" => Action::of(&self.lifecycle.on_reboot),
                    "guest-panic" => Action::of(&self.lifecycle.on_crash),
                    "guest-shutdown" => Action::of(&self.lifecycle.on_poweroff),
                    _ => (Some(Action::Destroy), false),
                };
                // A guest that was asked to stop stays stopped.
                let asked = *stopping != Stopping::No;
                match wish {
                    Some(Action::Restart) if !asked && reason == "guest-shutdown" => {
                        say(&format!(
                            "the guest of '{}' powered off: starting it again, as <on_poweroff> says",
                            self.name
                        ));
                        self.restart();
                    }
                    Some(Action::Preserve) if !asked => {
                        say(&format!("the guest of '{}' has ended and is preserved; virtc stop ends it", self.name));
                    }
                    // QEMU may wait after the guest's end (-no-shutdown); when it does not, this finds it gone.
                    None if self.adopted && !asked => {}
                    _ if !told => *stopping = self.quit(),
                    _ => {}
                }
                return Ok(Some(reason));
            }
            "RESET"
                if event.data["reason"] == "guest-reset"
                    && Action::of(&self.lifecycle.on_reboot).0 == Some(Action::Destroy)
                    && !told =>
            {
                *stopping = self.quit();
                return Ok(Some("guest-reset".to_string()));
            }
            "STOP" if *stopping == Stopping::No => self.why_stopped(say),
            "GUEST_PANICKED" => return self.crashed(event, stopping, say),
            "BLOCK_IO_ERROR" => say(&format!(
                "a disk of '{}' failed: {} of {}: {}",
                self.name, event.data["operation"], event.data["device"], event.data["reason"]
            )),
            _ => {}
        }
        Ok(None)
    }

    /// A guest that stops by itself: the virtual CPU met what KVM cannot do, or a disk is full.
    fn why_stopped(&mut self, say: &mut dyn FnMut(&str)) {
        let Some(qmp) = &mut self.qmp else { return };
        let Ok(reply) = qmp.execute("query-status", json!({})) else { return };
        match reply["status"].as_str() {
            Some("internal-error") => say(&format!(
                "the guest of '{}' stopped: KVM cannot run one of its instructions (internal-error); \
                 to emulate instead: <domain type='qemu'>",
                self.name
            )),
            Some("io-error") => say(&format!("the guest of '{}' stopped: a disk failed or is full", self.name)),
            _ => {}
        }
    }

    fn crashed(
        &mut self,
        event: &Event,
        stopping: &mut Stopping,
        say: &mut dyn FnMut(&str),
    ) -> Result<Option<String>, Fault> {
        let (wish, dump) = Action::of(&self.lifecycle.on_crash);
        say(&format!("the guest of '{}' crashed", self.name));
        if event.data["action"] == "run" {
            return Ok(None);
        }
        if dump {
            match self.dump() {
                Ok(path) => say(&format!("its memory is in {path}")),
                Err(error) => say(&format!("its memory could not be dumped: {error}")),
            }
        }
        match wish {
            Some(Action::Restart) => {
                self.restart();
                Ok(None)
            }
            Some(Action::Preserve) => {
                say("it is preserved; virtc stop ends it");
                Ok(None)
            }
            _ => {
                if !matches!(stopping, Stopping::Told(_) | Stopping::Killed) {
                    *stopping = self.quit();
                }
                Ok(Some("guest-panic".to_string()))
            }
        }
    }

    fn dump(&mut self) -> Result<String, QmpError> {
        let file = self.dump_directory.join(format!("{}.core", super::registry::file_name(&self.name)));
        let path = file.display().to_string();
        let Some(qmp) = &mut self.qmp else { return Err(QmpError::Closed) };
        qmp.set_timeout(DUMP);
        qmp.execute("dump-guest-memory", json!({ "paging": false, "protocol": format!("file:{path}") }))?;
        Ok(path)
    }

    /// Resets the guest and lets it run: what a restart is, without a new process.
    fn restart(&mut self) {
        for command in ["system_reset", "cont"] {
            // QEMU refuses only when it ends; then its end is what counts.
            let _ = self.tell(command);
        }
    }

    /// Sends a command whose reply does not matter.
    fn tell(&mut self, command: &str) -> Result<(), QmpError> {
        match &mut self.qmp {
            Some(qmp) => qmp.post(&mut json!({ "execute": command })).map(|_| ()),
            None => Err(QmpError::Closed),
        }
    }

    fn quit(&mut self) -> Stopping {
        match self.tell("quit") {
            Ok(()) => Stopping::Told(Instant::now() + QUIT),
            // The monitor may be closed because QEMU is about to end: it has as long.
            Err(_) => {
                if let Some(qemu) = &self.qemu {
                    qemu.signal(Signal::TERM);
                }
                Stopping::Told(Instant::now() + QUIT)
            }
        }
    }

    fn kill(&mut self) -> Stopping {
        if let Some(qemu) = &self.qemu {
            qemu.signal(Signal::KILL);
        }
        Stopping::Killed
    }

    /// Looks for helpers that have ended while the machine runs, and does what their part asks for.
    fn check_helpers(&mut self, stopping: &mut Stopping, broken: &mut Option<Fault>, say: &mut dyn FnMut(&str)) {
        let mut at = 0;
        while let Some(helper) = self.helpers.get_mut(at) {
            if !helper.has_ended() {
                at += 1;
                continue;
            }
            let mut helper = self.helpers.remove(at);
            // Many helpers end with QEMU, and may be seen first.
            if *stopping != Stopping::No || self.qemu.as_ref().is_none_or(|q| q.wait(WITH_QEMU)) {
                continue;
            }
            let how = ended(helper.reap());
            let text = helper.messages.text();
            let said = if text.is_empty() { text } else { format!(": {text}") };
            let what = format!("{} of '{}' {how}{said}", helper.id, self.name);
            let known = self.spare.as_ref().and_then(|s| s.processes.iter().find(|(p, _)| p.id == helper.id));
            match known.map_or(Loss::Bearable, |(_, loss)| *loss) {
                Loss::Bearable => say(&what),
                Loss::Mended => match self.start_again(&helper.id) {
                    Ok(()) => say(&format!("{what}; it was started again")),
                    Err(why) => say(&format!("{what}; it could not be started again: {why}")),
                },
                Loss::Fatal => {
                    say(&format!("{what}: the guest is asked to power off, as it cannot get it back"));
                    *broken = Some(fault(&codes::HELPER, what));
                    *stopping = match self.tell("system_powerdown") {
                        Ok(()) => Stopping::Asked(Instant::now() + self.stop_timeout, Instant::now() + AGAIN),
                        Err(_) => self.kill(),
                    };
                }
            }
        }
    }

    /// Starts a helper again.
    fn start_again(&mut self, id: &str) -> Result<(), String> {
        let Some(spare) = &mut self.spare else { return Err("it is not known how".to_string()) };
        let (most, seconds) = Loss::RESTARTS;
        spare.restarts.retain(|at| at.elapsed() < Duration::from_secs(seconds));
        if spare.restarts.len() >= most {
            return Err(format!("it ended {most} times within {seconds} s"));
        }
        spare.restarts.push(Instant::now());
        let Some((process, _)) = spare.processes.iter().find(|(p, _)| p.id == id).cloned() else { return Ok(()) };
        if let Ready::Socket(path) = &process.ready {
            // The old one would count as the sign that it is ready.
            let _ = std::fs::remove_file(path);
        }
        let timeout = spare.ready_timeout;
        let told = |fault: Fault| fault.message.clone();
        let started = spare.starter.start(&process, &argv::tokens(&process), false, None);
        let helper = started.map_err(told)?;
        self.note_process(&helper).map_err(told)?;
        let ready = await_helper(&helper, &process.ready, timeout, &mut self.signals);
        self.helpers.push(helper);
        ready?;
        if let Ready::Socket(path) = &process.ready {
            let account = self.spare.as_ref().and_then(|s| s.starter.account());
            own::hand_over(Path::new(path), account.as_ref()).map_err(told)?;
        }
        Ok(())
    }

    /// What the end of QEMU means.
    fn outcome(&mut self, reason: Option<&str>, stopping: Stopping) -> Result<Outcome, Fault> {
        let Some(qemu) = &mut self.qemu else { return Ok(Outcome::Stopped) };
        let status = qemu.reap();
        let text = qemu.messages.text();
        match reason {
            Some("guest-shutdown") => return Ok(Outcome::PoweredOff),
            Some("guest-reset") => return Ok(Outcome::Rebooted),
            Some("guest-panic") => {
                let text = format!("the guest of '{}' crashed and was ended, as <on_crash> says", self.name);
                return Err(fault(&codes::CRASHED, text));
            }
            // quit, SIGTERM, the window's close button.
            Some(_) => return Ok(Outcome::Stopped),
            None => {}
        }
        if stopping != Stopping::No || self.adopted || status.is_some_and(|s| s.success()) {
            return Ok(Outcome::Stopped);
        }
        let said = if text.is_empty() { ", without a message".to_string() } else { format!(":\n{text}") };
        let fault = fault(&codes::FAILED, format!("QEMU {} while '{}' ran{said}", ended(status), self.name));
        Err(match meaning(&text) {
            Some(help) => fault.with_help(help),
            None => fault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_of_the_format() {
        assert_eq!(Action::of("coredump-restart"), (Some(Action::Restart), true));
        assert_eq!(Action::of("rename-restart"), (Some(Action::Restart), false));
        assert_eq!(Action::of(""), (None, false));
    }
}
