//! `virtc run` and its companions, with a real QEMU and a guest that reacts: nothing is simulated.
//!
//! VIRTC_CYCLES sets how many start/stop cycles the endurance test does.

mod bed;
mod deploy;
mod examples;
mod lifecycle;
mod limits;
mod new_machines;
mod preflight;
mod surroundings;
mod survival;
mod talking;
