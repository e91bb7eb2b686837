//! Where the files of a domain are.

use crate::domain::Domain;
use crate::stage::Env;

/// A longer name of a domain is not part of the paths of sockets: its beginning and the UUID stand for it.
const LONGEST_IN_SOCKETS: usize = 48;

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
        if env.has_parent() {
            let short = format!("{}-{name}", host.instance.domain_id);
            let lib = format!("{}/domain-{short}", host.directories.lib);
            return Paths { run: lib.clone(), lib, short };
        }
        let name = domain.name();
        let other = |uuid| format!("{}-{uuid}", name.chars().filter(|c| *c != ':').take(3).collect::<String>());
        // systemd takes no colon in the folders that it makes.
        let safe = match domain.uuid {
            Some(uuid) if name.contains(':') => other(uuid),
            _ => name.to_string(),
        };
        // The path of a socket has at most 107 bytes, and a name may have 200.
        let run = match domain.uuid {
            Some(uuid) if name.len() > LONGEST_IN_SOCKETS => other(uuid),
            _ => safe.clone(),
        };
        Paths { lib: format!("/var/lib/virtc/{safe}"), run: format!("/run/virtc/{run}"), short: safe }
    }
}
