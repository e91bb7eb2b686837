//! Watchdogs: what the passes ask of the family.

use super::{Watchdog, WatchdogAction, WatchdogModel};
use crate::device::address::AddressKind;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{hostdev as codes, schema};
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};
use crate::xml::Site;

/// Adds the watchdog of the Q35 chipset, which does what the others do.
pub fn add_board(watchdogs: &mut Vec<Watchdog>, machine: &Machine) {
    if machine.board == Board::Q35 && !watchdogs.iter().any(|w| w.model == Some(WatchdogModel::Itco)) {
        let action = watchdogs.first().and_then(|w| w.action).or(Some(WatchdogAction::Reset));
        watchdogs.push(Watchdog { model: Some(WatchdogModel::Itco), action, ..Watchdog::default() });
    }
}

impl Family for Watchdog {
    fn defaults(&mut self, machine: &Machine, _: &mut Cx<'_>) {
        let usual = if machine.arch.is_s390() { WatchdogModel::Diag288 } else { WatchdogModel::I6300esb };
        self.model.get_or_insert(usual);
        self.action.get_or_insert(WatchdogAction::Reset);
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        if self.model == Some(WatchdogModel::I6300esb) { Plug::Pci } else { Plug::Nowhere }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        let Some(model) = self.model else { return };
        // libvirt asks for it, though it has a usual one.
        let unnamed = cx.doc.elements().find(|e| e.site() == self.site).is_some_and(|e| e.peek("model").is_none());
        if unnamed && !self.site.is_none() {
            cx.error(&schema::MISSING_ATTRIBUTE, self.site, "<watchdog> lacks its required attribute 'model'")
                .help(format!("add model='{model}'"));
        }
        let fits = match model {
            WatchdogModel::I6300esb => machine.has_pci_root() || machine.has_pcie_root(),
            WatchdogModel::Ib700 => machine.arch.is_x86() && machine.board != Board::Q35,
            WatchdogModel::Diag288 => machine.arch.is_s390(),
            WatchdogModel::Itco => machine.board == Board::Q35,
        };
        if !fits {
            let message = match model {
                WatchdogModel::Itco => "'itco' watchdog is only available with Q35 machines".to_string(),
                WatchdogModel::I6300esb => "i6300esb watchdog must be on a machine with PCI".to_string(),
                _ => format!("{} has no {model} watchdog", machine.arch),
            };
            cx.error_at(&codes::UNSUPPORTED_MODEL, self.site, "model", message);
        }
        if model != WatchdogModel::I6300esb && self.info.has_address() {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.info.address_site(),
                format!("{model} watchdog device does not support an address"),
            );
        }
        let kind = self.info.address_kind();
        if model == WatchdogModel::I6300esb && kind.is_some_and(|k| k != AddressKind::Pci) {
            let message = format!("a watchdog of model {model} is a PCI card: it has no place on another bus");
            cx.error(&codes::UNSUPPORTED_MODEL, self.info.address_site(), message);
        }
        let same = domain.devices.iter().flat_map(|d| &d.watchdogs).filter(|w| w.model == self.model);
        if model != WatchdogModel::I6300esb
            && same.clone().count() > 1
            && same.clone().next().is_some_and(|first| first.site != self.site)
        {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                format!("a second watchdog of model '{model}': a guest has one"),
            );
        }
        let first = domain.devices.iter().flat_map(|d| d.watchdogs.first()).next();
        if first.is_some_and(|w| w.action != self.action) && !self.site.is_none() {
            cx.error_at(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "action",
                "watchdogs with different actions are not supported: QEMU has one action for the whole machine",
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let Some(model) = self.model else { return };
        if model == WatchdogModel::Itco {
            return; // part of the board
        }
        let mut props = Props::driver(model.as_str());
        props.set("id", self.info.id.clone());
        lx.address(&mut props, &self.info);
        lx.device(props, self);
    }

    /// Adds all watchdogs, and what QEMU does when one of them barks.
    fn lower_all(watchdogs: &[Watchdog], lx: &mut Lower<'_>) {
        watchdogs.iter().for_each(|w| w.lower(lx));
        for of_board in watchdogs.iter().filter(|w| w.model == Some(WatchdogModel::Itco)) {
            lx.text("-global", "ICH9-LPC.noreboot=off", of_board.site, "watchdog of the chipset");
        }
        let Some(first) = watchdogs.first() else { return };
        let action = match first.action {
            // QEMU pauses; taking the dump is the controller's part.
            Some(WatchdogAction::Dump) => "pause",
            Some(action) => action.as_str(),
            None => "reset",
        };
        let site: Site = first.site;
        lx.text("-watchdog-action", action, site, "watchdog");
    }
}
