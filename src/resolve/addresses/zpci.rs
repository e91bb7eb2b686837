//! S/390: the identifiers by which a guest knows its PCI devices.

use crate::device::Device;
use crate::device::address::{Address, Zpci};
use crate::diag::codes::{address as codes, general};
use crate::domain::Domain;
use crate::stage::{Cx, Machine};

/// Gives the PCI devices of an S/390 their identifiers: the lowest that are free.
pub fn assign(domain: &mut Domain, machine: &Machine, cx: &mut Cx<'_>) {
    let Some(devices) = &mut domain.devices else { return };
    let (mut uids, mut fids): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    devices.each(&mut |d| {
        let site = d.info().address_site();
        let given = match &d.info().address.address {
            Some(Address::Pci(at)) => at.zpci.or(d.info().address.zpci),
            _ => d.info().address.zpci,
        };
        let Some(zpci) = given else { return };
        if !machine.arch.is_s390() {
            cx.error(
                &general::ONLY_S390,
                site,
                "<zpci>: only S/390 identifies PCI devices like that, and this is a machine of another architecture",
            )
            .help("remove <zpci>");
            return;
        }
        let mut take = |used: &mut Vec<u32>, what: &str, id: Option<u32>| {
            let Some(id) = id else { return };
            if used.contains(&id) {
                cx.error(
                    &codes::CONFLICT,
                    site,
                    format!("two devices have the zPCI {what} {id}: it is reserved already"),
                );
            }
            used.push(id);
        };
        take(&mut uids, "uid", zpci.uid);
        take(&mut fids, "fid", zpci.fid);
    });
    if !machine.arch.is_s390() {
        return;
    }
    fn free(used: &mut Vec<u32>, from: u32) -> u32 {
        let mut id = from;
        while used.contains(&id) {
            id += 1;
        }
        used.push(id);
        id
    }
    devices.each_mut(&mut |d: &mut dyn Device| {
        let asked = d.info().address.zpci;
        let Some(Address::Pci(at)) = &mut d.info_mut().address.address else { return };
        let given = at.zpci.or(asked).unwrap_or_default();
        let uid = given.uid.unwrap_or_else(|| free(&mut uids, 1));
        let fid = given.fid.unwrap_or_else(|| free(&mut fids, 0));
        at.zpci = Some(Zpci { uid: Some(uid), fid: Some(fid) });
    });
}
