//! What libvirt prints about a host and its QEMUs: `<capabilities>` and `<domainCapabilities>`.
//!
//! Pure functions of host facts and capabilities, for tools that expect libvirt's XML.

mod capabilities;
mod domain_capabilities;
mod firmware;

pub use capabilities::capabilities;
pub use domain_capabilities::{Question, domain_capabilities};
