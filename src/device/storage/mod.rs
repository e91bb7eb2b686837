//! Storage: where the content of disks is, shared by disks, their backing chains and SCSI host devices.

pub mod credentials;
mod kinds;
pub mod lower;
mod network;
pub mod rules;
mod source;

pub use credentials::{Auth, Encryption, EncryptionEngine, EncryptionFormat, SecretName, SecretRef};
pub use kinds::{Format, Protocol, StartupPolicy, StorageKind, Transport, VolumeMode};
pub use network::{Cookie, Identity, Initiator, IscsiSource, Network, StorageHost};
pub use source::{
    Layer, LayerFormat, Location, MetadataCache, Nvme, Reconnect, Reservations, Slice, SocketSource, StorageSource,
    VolumeRef, bind_backing,
};
