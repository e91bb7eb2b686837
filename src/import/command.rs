//! The arguments of a command line, and which of them were understood.

use super::options::Options;
use super::places::Made;
use super::source::Word;
use super::switches;
use crate::diag::Span;

/// One argument.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its switch, without dashes.
    pub switch: String,
    /// Its value.
    pub value: Option<String>,
    /// Where both stand.
    pub span: Span,
    /// Where the value stands.
    pub value_span: Span,
    /// Its number among the arguments.
    pub place: usize,
    used: bool,
}

impl Argument {
    /// As QEMU would be given it.
    pub fn shown(&self) -> String {
        self.value.as_ref().map_or(format!("-{}", self.switch), |v| format!("-{} {v}", self.switch))
    }

    /// Its options.
    pub fn options(&self, implied: &str) -> Options {
        let text = self.value.clone().unwrap_or_default();
        Options::of(&Word::new(text, self.value_span), implied).made(self.made())
    }

    /// Whether one of its options can have this value. It is asked of each argument before its options are read, because there may
    /// be thousands; a value with what options and JSON write otherwise is not looked for.
    fn may_hold(&self, value: &str) -> bool {
        let text = self.value.as_deref().unwrap_or_default();
        value.contains([',', '"', '\\']) || text.contains('\\') || text.contains(value)
    }

    /// When QEMU makes a device of it.
    pub fn made(&self) -> Option<Made> {
        let json = self.value.as_deref().is_some_and(|v| v.trim_start().starts_with('{'));
        Some(match self.switch.as_str() {
            "device" if json => Made::Json(self.place),
            "device" | "virtfs" | "watchdog" => Made::Device(self.place),
            "nic" | "net" => Made::Card(self.place),
            "soundhw" => Made::Sound(self.place),
            "vga" => Made::Screen,
            "drive" | "hda" | "hdb" | "hdc" | "hdd" | "cdrom" => Made::Drive(self.place),
            _ => return None,
        })
    }
}

/// All arguments of a command line.
#[derive(Debug)]
pub struct Command(Vec<Argument>);

impl Command {
    /// Reads the words behind the program. A word that belongs to no switch is a disk image.
    pub fn new(words: &[Word]) -> Command {
        let mut out: Vec<Argument> = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let Some(switch) = word.text.strip_prefix('-').filter(|s| !s.is_empty()) else {
                let value = Some(word.text.clone());
                out.push(Argument {
                    switch: "hda".into(),
                    value,
                    span: word.span,
                    value_span: word.span,
                    place: out.len(),
                    used: false,
                });
                continue;
            };
            let switch = switch.strip_prefix('-').unwrap_or(switch);
            let value = match switches::takes_value(switch) {
                Some(false) => None,
                Some(true) => words.next(),
                // QEMU has never heard of it: what follows is its value unless it is a switch.
                None => words.next_if(|next| !next.text.starts_with('-')),
            };
            let value_span = value.map_or(word.span, |v| v.span);
            out.push(Argument {
                switch: switch.to_string(),
                value: value.map(|v| v.text.clone()),
                span: Span { start: word.span.start, end: value_span.end },
                value_span,
                place: out.len(),
                used: false,
            });
        }
        Command(out)
    }

    /// All arguments.
    pub fn all(&self) -> &[Argument] {
        &self.0
    }

    /// The values of a switch, as often as it is given, used or not.
    pub fn values<'a>(&'a self, switch: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |a| a.switch == switch).filter_map(|a| a.value.as_deref())
    }

    /// Whether a switch is given, used or not.
    pub fn has(&self, switch: &str) -> bool {
        self.0.iter().any(|a| a.switch == switch)
    }

    /// Takes a switch without a value.
    pub fn take_switch(&mut self, switch: &str) -> bool {
        let mut found = false;
        for argument in self.0.iter_mut().filter(|a| a.switch == switch && !a.used) {
            argument.used = true;
            found = true;
        }
        found
    }

    /// Takes every argument of some switches that has a value, in the order of the command line.
    pub fn take(&mut self, switches: &[&str]) -> Vec<Argument> {
        let mut out = Vec::new();
        for argument in self.0.iter_mut().filter(|a| !a.used && switches.contains(&a.switch.as_str())) {
            if argument.value.is_some() {
                argument.used = true;
                out.push(argument.clone());
            }
        }
        out
    }

    /// The places of the arguments of a switch that are not used yet, with their options.
    pub fn find(&self, switch: &str, implied: &str) -> Vec<(usize, Options)> {
        self.search(switch, implied, |a| !a.used).collect()
    }

    /// The place and options of the argument of a switch whose option `key` has this value.
    pub fn find_by(&self, switch: &str, implied: &str, key: &str, value: &str) -> Option<(usize, Options)> {
        let open = |a: &Argument| !a.used && a.may_hold(value);
        self.search(switch, implied, open).find(|(_, options)| options.get(key) == Some(value))
    }

    /// The same of all arguments, whether they are used or not.
    pub fn any_by(&self, switch: &str, implied: &str, key: &str, value: &str) -> Option<(usize, Options)> {
        self.search(switch, implied, |a| a.may_hold(value)).find(|(_, options)| options.get(key) == Some(value))
    }

    /// The places and options of those arguments of a switch that have some and come into question.
    fn search<'a>(
        &'a self,
        switch: &'a str,
        implied: &'a str,
        fits: impl Fn(&Argument) -> bool + 'a,
    ) -> impl Iterator<Item = (usize, Options)> + 'a {
        let all = self.0.iter().enumerate().filter(move |(_, a)| a.switch == switch && a.value.is_some() && fits(a));
        all.map(move |(i, a)| (i, a.options(implied)))
    }

    /// An argument by its place.
    pub fn at(&self, place: usize) -> Option<&Argument> {
        self.0.get(place)
    }

    /// Marks an argument as understood.
    pub fn mark(&mut self, place: usize) {
        if let Some(argument) = self.0.get_mut(place) {
            argument.used = true;
        }
    }

    /// What is left.
    pub fn unused(&self) -> Vec<Argument> {
        self.0.iter().filter(|a| !a.used).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let words: Vec<Word> = text.split(' ').map(|w| Word::new(w, Span::NONE)).collect();
        Command::new(&words).all().iter().map(Argument::shown).collect()
    }

    #[test]
    fn a_switch_without_a_value_leaves_the_next_word_alone() {
        for alone in [
            "s",
            "S",
            "semihosting",
            "old-param",
            "portrait",
            "async-teardown",
            "localtime",
            "no-kvm",
            "alt-grab",
            "usb",
        ] {
            assert_eq!(of(&format!("-{alone} disk.img")), [format!("-{alone}"), "-hda disk.img".to_string()]);
            assert_eq!(of(&format!("-{alone} -m 512")), [format!("-{alone}"), "-m 512".to_string()]);
        }
        assert_eq!(of("--frobnicate -m 512"), ["-frobnicate", "-m 512"]);
        assert_eq!(of("-append -x"), ["-append -x"]);
    }
}
