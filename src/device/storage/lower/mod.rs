//! Images on the command line: a `-blockdev` node for each layer of each image of a chain.
//!
//! An image has a storage node (where the bytes are), a slice node when only a part of them is meant,
//! and a format node, unless the bytes are the content. The topmost node of the topmost image is what
//! the drive uses.

mod access;
pub mod backend;
mod nbdkit;
mod network;
mod nodes;
pub mod secrets;
mod volume;

pub use access::{ImageUse, source as touch};
pub use backend::{Backend, backend};
pub use nodes::{Chain, ChainOptions, chain};
pub use secrets::objects;
pub use volume::{Found, find, is_dropped};
