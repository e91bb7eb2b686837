//! `--connect`: whose machines, on which host. Another host is reached with the system's ssh client,
//! which runs virtc there.

use super::errors::{Fault, WithHelp, fault};
use crate::diag::codes::run as codes;
use crate::plan::Instance;
use std::process::{Command, ExitStatus};

/// What a `--connect` URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// System-wide or a user's session.
    pub instance: Instance,
    /// Another host; none: this one.
    pub host: Option<Remote>,
}

/// A host that ssh reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// User there, if named.
    pub user: Option<String>,
    /// Its name or address.
    pub host: String,
    /// Port, if not ssh's own choice.
    pub port: Option<u16>,
}

/// Reads a URI: `qemu:///system`, `qemu+unix:///session`, `qemu+ssh://user@host:22/system`.
pub fn parse(uri: &str) -> Result<Connection, Fault> {
    let refuse = |why: String| Err(fault(&codes::TRANSPORT, format!("--connect {uri}: {why}")));
    let Some((scheme, rest)) = uri.split_once("://") else {
        return refuse("this is not a URI".to_string());
    };
    let (driver, transport) = scheme.split_once('+').unwrap_or((scheme, ""));
    if driver != "qemu" {
        return refuse(format!("virtc runs QEMU machines only, not '{driver}'"));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let instance = match path {
        "system" => Instance::System,
        "session" => Instance::Session,
        other => return refuse(format!("the path is /system or /session, not '/{other}'")),
    };
    match transport {
        "" | "unix" if authority.is_empty() => return Ok(Connection { instance, host: None }),
        "unix" => return refuse("a UNIX socket is on this host; leave the host name out".to_string()),
        "ssh" => {}
        "" => {
            return refuse(format!("this would speak TLS to '{authority}', which virtc does not"))
                .map_err(|f: Fault| f.with_help(format!("use qemu+ssh://{authority}/{path}")));
        }
        other => {
            return refuse(format!("virtc does not speak '{other}'"))
                .map_err(|f: Fault| f.with_help(format!("use qemu+ssh://{authority}/{path}")));
        }
    }
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (Some(user.to_string()), address),
        None => (None, authority),
    };
    // [2001:db8::1]:22
    let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => return refuse("the port is not a number".to_string()),
    };
    // A name that begins with a dash would be an option of ssh.
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:%".contains(c))
    };
    if !plain(host) || user.as_deref().is_some_and(|u| !plain(u)) {
        return refuse("the host or the user is missing or not a plain name".to_string());
    }
    Ok(Connection { instance, host: Some(Remote { user, host: host.to_string(), port }) })
}

impl Remote {
    /// The ssh command that runs virtc there with these arguments.
    pub fn command(&self, instance: Instance, args: &[String]) -> Command {
        let mut command = self.ssh();
        let uri = if instance == Instance::System { "qemu:///system" } else { "qemu:///session" };
        let mut words = vec!["virtc".to_string(), "--connect".to_string(), uri.to_string()];
        words.extend(args.iter().map(|a| quoted(a)));
        command.arg(words.join(" "));
        command
    }

    /// The ssh command up to the place of the remote command.
    pub fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        command.arg("-T");
        if let Some(user) = &self.user {
            command.arg("-l").arg(user);
        }
        command.arg("--").arg(&self.host);
        command
    }

    /// Runs virtc there; its output and exit status are ours.
    pub fn run(&self, instance: Instance, args: &[String]) -> Result<ExitStatus, Fault> {
        self.command(instance, args).status().map_err(|e| {
            fault(&codes::MONITOR, format!("cannot start ssh: {e}")).with_help("install the package openssh-client")
        })
    }
}

/// A word for the remote shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_read() {
        let local = |instance| Connection { instance, host: None };
        assert_eq!(parse("qemu:///system").expect("a URI"), local(Instance::System));
        assert_eq!(parse("qemu+unix:///session").expect("a URI"), local(Instance::Session));
        let there = parse("qemu+ssh://root@[2001:db8::1]:2222/system").expect("a URI");
        let remote = there.host.expect("a host");
        assert_eq!(
            (remote.user.as_deref(), remote.host.as_str(), remote.port),
            (Some("root"), "2001:db8::1", Some(2222))
        );
        for wrong in [
            "qemu:///x",
            "qemu+tls://h/system",
            "qemu://h/system",
            "xen:///system",
            "qemu+ssh://-oProxyCommand=x/system",
            "qemu+ssh:///system",
            "system",
            "qemu+ssh://h:x/system",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("qemu+tls://h/system").is_err_and(|f| f.help.is_some_and(|h| h.contains("qemu+ssh://h/system"))));
    }

    #[test]
    fn words_survive_the_remote_shell() {
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
        assert_eq!(quoted("id=x"), "id=x");
    }
}
