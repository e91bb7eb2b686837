//! `<listen>`: where a display waits for clients.

use crate::bind::model;
pub use crate::schema::words::ListenKind;

model! {
    /// `<listen>`
    pub struct Listen = "listen" {
        need kind: ListenKind = "type",
        attr address: String = "address",
        attr network: String = "network",
        attr socket: String = "socket",
    }
}

impl Listen {
    /// What it is; `address` while it is not known.
    pub fn kind(&self) -> ListenKind {
        self.kind.unwrap_or(ListenKind::Address)
    }
}
