//! What a lock keeps: places of devices that a default adds, and places that nobody gets.

use crate::device::Devices;
use crate::device::address::Address;

/// Gives the devices that defaults added the places that they had. A place whose device did not come again stays free, too.
pub fn place(devices: &mut Devices) {
    let mut implied = std::mem::take(&mut devices.held.implied);
    if implied.is_empty() {
        return;
    }
    devices.each_named_mut(&mut |element, device| {
        if !device.site().is_none() {
            return;
        }
        let Some(at) = implied.iter().position(|i| i.element == element) else { return };
        let found = implied.remove(at);
        if !device.info().has_address() {
            device.info_mut().place(found.address);
        }
    });
    devices.held.places.extend(implied.into_iter().map(|i| i.address));
}

/// The places that stay free, of one kind.
pub fn places<'d, T: 'd>(
    devices: &'d Devices,
    of: impl Fn(&'d Address) -> Option<T> + 'd,
) -> impl Iterator<Item = T> + 'd {
    devices.held.places.iter().filter_map(of)
}
