//! Passwords, keys and certificates: the domain format names them, it does not hold them.

use super::Import;
use super::element::Element;
use super::options::{Options, is_on};
use crate::diag::Span;

/// A setting of the command line that the host facts say, not the domain. Whether they do is seen when the domain is compiled.
#[derive(Clone, Debug)]
pub struct OfHost {
    /// Where it stands.
    pub span: Span,
    /// Its switch.
    pub switch: &'static str,
    /// The option.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What in the host facts says it.
    pub facts: String,
}

/// What became of the password of a display.
pub enum Password {
    /// It has none: everybody gets in.
    Open,
    /// It is in the command line.
    Text(String),
    /// Nobody gets in before one is set.
    Unset,
}

impl Import {
    /// Keeps a setting that the host facts have to say.
    pub fn of_host(&mut self, options: &Options, switch: &'static str, key: &'static str, value: &str, facts: &str) {
        let facts = facts.to_string();
        self.of_host.push(OfHost { span: options.span, switch, key, value: value.to_string(), facts });
    }

    /// `<secret>` for an object with a secret, which is used up: its value belongs to the host, and is called as QEMU calls it.
    pub fn secret(&mut self, id: &str, kind: &str) -> Element {
        let usage = match kind {
            "passphrase" => "volume",
            other => other,
        };
        if let Some((place, object)) = self.command.find_by("object", "qom-type", "id", id) {
            self.command.mark(place);
            let where_from = match (object.get("file"), object.get("keyid")) {
                (Some(file), _) => format!("its value is in {file}"),
                (None, Some(key)) => format!("its value is in the command line, under the key {key}"),
                (None, None) => "its value is in the command line".to_string(),
            };
            self.changed(
                object.span,
                format!("-object {}: the domain names the secret usage='{id}'; {where_from}, and the host has to keep it as '{usage}/{id}' (`virtc explain VC1208`)", object.text()),
            );
        }
        Element::new("secret").attr("type", kind).attr("usage", id)
    }

    /// The password of a display.
    pub fn password(&mut self, options: &mut Options) -> Password {
        let span = options.span;
        if let Some(id) = options.take("password-secret") {
            let found = self.command.find_by("object", "qom-type", "id", &id);
            let Some((place, object)) = found else {
                self.left_out(
                    span,
                    format!(
                        "password-secret={id}, a secret that is not there: nobody gets in until passwd='…' says one"
                    ),
                );
                return Password::Unset;
            };
            self.command.mark(place);
            return match object
                .get("data")
                .filter(|_| object.get("keyid").is_none() && object.get("format") != Some("base64"))
            {
                Some(text) => Password::Text(text.to_string()),
                None => {
                    let text = format!(
                        "-object {}: password-secret={id} of a display; nobody gets in until passwd='…' says one, or one is set through the monitor",
                        object.text()
                    );
                    self.left_out(object.span, text);
                    Password::Unset
                }
            };
        }
        match options.take("password") {
            Some(word) if is_on(&word) => Password::Unset,
            Some(word) if super::options::switch(&word).is_none() => Password::Text(word),
            _ => Password::Open,
        }
    }

    /// Certificates behind `tls-creds=`: their folder is a matter of the host. `service` is the node of the host facts.
    pub fn tls_credentials(&mut self, id: &str, service: &str) {
        let Some((place, mut object)) = self.command.find_by("object", "qom-type", "id", id) else { return };
        if object.get("qom-type") != Some("tls-creds-x509") {
            return;
        }
        self.command.mark(place);
        object.take("qom-type");
        object.take("id");
        if let Some(key) = object.take("passwordid") {
            if let Some((place, secret)) = self.command.find_by("object", "qom-type", "id", &key) {
                self.command.mark(place);
                self.of_host(&secret, "object", "id", &key, &format!("{service} {{ tls-secret \"UUID\" }}"));
            }
            self.of_host(&object, "object", "passwordid", &key, &format!("{service} {{ tls-secret \"UUID\" }}"));
        }
        for (key, facts) in
            [("dir", "tls-dir \"…\""), ("verify-peer", "tls-verify #true"), ("priority", "tls-priority \"…\"")]
        {
            if let Some(value) = object.take(key) {
                self.of_host(&object, "object", key, &value, &format!("{service} {{ {facts} }}"));
            }
        }
        object.take("endpoint");
        self.leave(&format!("the certificates '{id}'"), object);
    }
}

/// Tells which settings of the host the host facts do not say.
pub fn compare(all: &[OfHost], tokens: &[String], notes: &mut super::Notes) {
    for setting in all {
        let there = tokens.windows(2).any(|pair| {
            pair[0].strip_prefix('-') == Some(setting.switch) && {
                let options = Options::parse(&pair[1], super::through::implied(setting.switch));
                options.get(setting.key) == Some(&setting.value)
            }
        });
        if !there {
            let text = format!(
                "{}={} of -{}: the host facts say it, with {}",
                setting.key, setting.value, setting.switch, setting.facts
            );
            notes.push(setting.span, super::Fate::LeftOut, text);
        }
    }
}
