//! Displays: VNC, SPICE, SDL, RDP, D-Bus, and rendering without any.

mod bind;
mod defaults;
pub(crate) mod family;
mod listen;
mod lower;
mod rdp;
mod rules;
mod spice;

use super::info::{DeviceInfo, device};
pub use crate::schema::words::{Connected, GraphicsKind, SharePolicy};
use crate::vocab::YesNo;
use crate::xml::Site;
pub use listen::{Listen, ListenKind};
pub use spice::{ChannelMode, SpiceOptions};

/// `<gl>`: rendering on the host's GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gl {
    /// `enable='…'`
    pub enable: Option<YesNo>,
    /// `rendernode='…'`
    pub rendernode: Option<String>,
    /// Where it stands.
    pub site: Site,
}

/// `<graphics>`. Which fields mean something depends on the type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graphics {
    /// `type='…'`
    pub kind: Option<GraphicsKind>,
    /// The port; -1: this one is chosen at the start (SPICE); none when all are, or when there is none.
    pub port: Option<i32>,
    /// The port for TLS (SPICE); -1: chosen at the start.
    pub tls_port: Option<i32>,
    /// Whether ports are chosen at the start.
    pub autoport: bool,
    /// The port for WebSocket (VNC); -1: chosen at the start.
    pub websocket: Option<i32>,
    /// Layout of the client's keyboard.
    pub keymap: Option<String>,
    /// `sharePolicy='…'` (VNC)
    pub share_policy: Option<SharePolicy>,
    /// Whether the guest waits for a client before it starts (VNC).
    pub wait: Option<YesNo>,
    /// `powerControl='…'` (VNC)
    pub power_control: Option<YesNo>,
    /// `passwd='…'`
    pub passwd: Option<String>,
    /// `passwdValidTo='…'`
    pub passwd_valid_to: Option<String>,
    /// `connected='…'`
    pub connected: Option<Connected>,
    /// `display='…'` (SDL)
    pub display: Option<String>,
    /// `xauth='…'` (SDL)
    pub xauth: Option<String>,
    /// `fullscreen='…'` (SDL, desktop)
    pub fullscreen: Option<YesNo>,
    /// `replaceUser='…'` (RDP)
    pub replace_user: Option<YesNo>,
    /// `multiUser='…'` (RDP)
    pub multi_user: Option<YesNo>,
    /// `username='…'` (RDP)
    pub username: Option<String>,
    /// `p2p='…'` (D-Bus)
    pub p2p: Option<YesNo>,
    /// `address='…'` (D-Bus)
    pub address: Option<String>,
    /// What SPICE alone has.
    pub spice: SpiceOptions,
    /// Where it listens.
    pub listens: Vec<Listen>,
    /// `<gl>`
    pub gl: Option<Gl>,
    /// `<audio id='…'/>`: the audio backend of the display.
    pub audio: Option<u32>,
    /// Nothing: a display is no device with an address.
    pub info: DeviceInfo,
    /// Where it stands.
    pub site: Site,
}

device!(Graphics, "graphics");

impl Graphics {
    /// Whether the type is this one.
    pub fn is(&self, kind: GraphicsKind) -> bool {
        self.kind == Some(kind)
    }

    /// The port that the XML fixes.
    pub fn fixed_port(&self) -> Option<u16> {
        self.port.filter(|p| *p > 0).and_then(|p| u16::try_from(p).ok())
    }

    /// Whether it renders on the host's GPU.
    pub fn has_gl(&self) -> bool {
        match self.kind {
            Some(GraphicsKind::EglHeadless) => true,
            Some(GraphicsKind::Spice | GraphicsKind::Sdl | GraphicsKind::Dbus) => {
                self.gl.as_ref().and_then(|g| g.enable) == Some(YesNo::Yes)
            }
            _ => false,
        }
    }
}
