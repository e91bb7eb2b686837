//! Confinement scored against oracles: what libvirt's own code and tools do with the same domains.
//!
//! `VIRTC_SECURITY_PACK` names the folder of the security pack (with the conformance pack beside it);
//! without it the tests are skipped. What passes once must pass always: `passing.txt` lists it, and
//! `VIRTC_BLESS=1` adds to it. Differences that are meant are in `differences.txt`, each with its reason.

mod access;
mod apparmor;
mod hostile;
mod labels;
mod pack;
mod ratchet;
mod selinux;
