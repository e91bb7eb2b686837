//! Virtual CPUs.

use super::model::model;
use crate::vocab::keywords;

keywords! {
    /// Where CPUs or memory are placed.
    pub enum Placement { Static = "static", Auto = "auto" }
}

model! {
    /// `<vcpu>`: how many CPUs the guest can have.
    pub struct Vcpu = "vcpu" {
        attr placement: Placement = "placement",
        attr cpuset: String = "cpuset",
        attr current: u32 = "current",
        text count: u32,
    }
}
