//! How QEMU makes a lost connection of a socket again.

use crate::caps::Cap;
use crate::plan::Props;
use crate::stage::Lower;
use crate::vocab::YesNo;
use crate::xml::Site;

/// What QEMU takes for a connection that is not made again.
const NEVER: u32 = 0;

impl Lower<'_> {
    /// Writes what `<reconnect enabled='…' timeout='…'/>` says of a socket, seconds; younger QEMUs count in milliseconds.
    pub fn reconnect(&mut self, enabled: Option<YesNo>, timeout: Option<u32>, site: Site, props: &mut Props) {
        let seconds = match enabled.is_some_and(YesNo::is_yes) {
            true => self.must(timeout, "the timeout of a <reconnect>", site),
            false => NEVER,
        };
        if self.has(Cap::ChardevReconnectMiliseconds) {
            props.set("reconnect-ms", u64::from(seconds) * 1000);
        } else {
            props.set("reconnect", seconds);
        }
    }
}
