//! Where the files of a domain are.

use crate::domain::Domain;
use crate::resolve::Env;

/// Directories of one domain.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `domain-ID-NAME`, the name cut to 20 characters, as libvirt forms it; or the name alone.
    pub short: String,
    /// State of the domain: master key, sockets, HOME.
    pub lib: String,
    /// Run-time directory: monitor socket. Target `standalone` only.
    pub run: String,
}

impl Paths {
    /// The directories of a domain.
    pub fn of(domain: &Domain, env: &Env<'_>) -> Paths {
        let host = env.host;
        let name: String = domain.name().chars().take(20).collect();
        if env.is_libvirt() {
            let short = format!("{}-{name}", host.instance.domain_id);
            let lib = format!("{}/domain-{short}", host.directories.lib);
            return Paths { run: lib.clone(), lib, short };
        }
        let safe = domain.name().to_string();
        Paths { lib: format!("/var/lib/virtc/{safe}"), run: format!("/run/virtc/{safe}"), short: safe }
    }
}
