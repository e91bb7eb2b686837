//! What a character device is connected to on the host: shared by serial and parallel ports, consoles,
//! channels, USB redirection, smart cards and the entropy daemon of a random number generator.

mod bind;
pub(crate) mod lower;
pub(crate) mod rules;

use crate::domain::seclabel::SourceSeclabel;
pub use crate::schema::words::{MouseMode, SocketProtocol, SourceKind, SourceMode};
use crate::vocab::{OnOff, YesNo};
use crate::xml::Site;

/// One end of a network connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peer {
    /// `host='…'`
    pub host: Option<String>,
    /// `service='…'`: port or service name.
    pub service: Option<String>,
}

/// `<reconnect>`: whether a lost connection is made again, and after how many seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconnect {
    /// `enabled='…'`
    pub enabled: YesNo,
    /// `timeout='…'`, seconds.
    pub timeout: Option<u32>,
}

/// `<log>`: a file that gets a copy of what the guest writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `file='…'`
    pub file: String,
    /// `append='…'`
    pub append: Option<OnOff>,
    /// Where it stands.
    pub site: Site,
}

/// The host's end of a character device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChardevSource {
    /// `type='…'`; a pseudo terminal when the XML does not say.
    pub kind: Option<SourceKind>,
    /// `path='…'` of `dev`, `file`, `pipe`, `unix`, `pty`.
    pub path: Option<String>,
    /// `channel='…'` of `spiceport` and `dbus`.
    pub channel: Option<String>,
    /// `append='…'` of `file`.
    pub append: Option<OnOff>,
    /// `mode='…'` of `tcp` and `unix`.
    pub mode: Option<SourceMode>,
    /// The other end: where to connect to, or where to listen (`tcp` with mode `bind`).
    pub peer: Peer,
    /// Our end of `udp`.
    pub local: Peer,
    /// `tls='…'` of `tcp`.
    pub tls: Option<YesNo>,
    /// Reconnecting of `tcp` and `unix`.
    pub reconnect: Option<Reconnect>,
    /// `<protocol>` of `tcp`.
    pub protocol: Option<SocketProtocol>,
    /// Both ends of a null modem, which QEMU does not have.
    pub nmdm: (Option<String>, Option<String>),
    /// `<clipboard copypaste='…'/>` of `qemu-vdagent`.
    pub clipboard: Option<YesNo>,
    /// `<mouse mode='…'/>` of `qemu-vdagent`.
    pub mouse: Option<MouseMode>,
    /// `<seclabel>` of the resource.
    pub seclabels: Vec<SourceSeclabel>,
    /// `<log>`
    pub log: Option<Log>,
    /// Where the `<source>` stands, or the device.
    pub site: Site,
}

impl ChardevSource {
    /// What the host's end is.
    pub fn kind(&self) -> SourceKind {
        self.kind.unwrap_or(SourceKind::Pty)
    }

    /// Whether QEMU listens.
    pub fn listens(&self) -> bool {
        self.mode == Some(SourceMode::Bind)
    }
}
