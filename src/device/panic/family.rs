//! Panic notifiers: what the passes ask of the family.

use super::{Panic, PanicModel};
use crate::caps::Cap;
use crate::device::address::{Address, AddressKind};
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};

/// Adds the notifier that POWER and S/390 machines have anyway.
pub fn add_board(panics: &mut Vec<Panic>, machine: &Machine) {
    let built_in = machine.board == Board::Pseries || machine.arch.is_s390();
    if built_in && panics.is_empty() {
        panics.push(Panic::default());
    }
}

impl Family for Panic {
    fn defaults(&mut self, machine: &Machine, cx: &mut Cx<'_>) {
        if self.model.is_some() {
            return;
        }
        self.model = match machine.board {
            Board::Pseries => Some(PanicModel::Pseries),
            _ if machine.arch.is_s390() => Some(PanicModel::S390),
            _ if machine.arch.is_x86() => Some(PanicModel::Isa),
            _ => None,
        };
        if self.model.is_none() {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "<panic> needs a model: this machine type and architecture have no default",
            )
            .help("add model='pvpanic'");
        }
    }

    fn plug(&self, machine: &Machine, _: &Env<'_>) -> Plug {
        match self.model {
            Some(PanicModel::Pvpanic) if machine.has_pcie_root() => Plug::RootComplex,
            Some(PanicModel::Pvpanic) => Plug::Pci,
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        let Some(model) = self.model else { return };
        let kind = self.info.address_kind();
        let fits = match model {
            PanicModel::Pseries => machine.board == Board::Pseries,
            PanicModel::S390 => machine.arch.is_s390(),
            PanicModel::Isa | PanicModel::Hyperv => machine.arch.is_x86(),
            PanicModel::Pvpanic => true,
        };
        if !fits {
            cx.error_at(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "model",
                format!("a panic device of model '{model}' does not exist on this architecture or machine type"),
            );
        }
        let site = self.info.address_site();
        match (model, kind) {
            (PanicModel::Pseries | PanicModel::S390 | PanicModel::Hyperv, Some(_)) => {
                cx.error(
                    &codes::UNSUPPORTED_MODEL,
                    site,
                    format!("a panic device of model '{model}' is no device with an address"),
                )
                .help("remove the <address>");
            }
            (PanicModel::Isa, Some(kind)) if kind != AddressKind::Isa => {
                cx.error(
                    &codes::UNSUPPORTED_MODEL,
                    site,
                    "a panic device of this model has an address of type ISA only",
                );
            }
            (PanicModel::Pvpanic, kind) if kind != Some(AddressKind::Pci) => {
                cx.error(&codes::UNSUPPORTED_MODEL, site, "pvpanic is supported only at an address of type PCI");
            }
            _ => {}
        }
        let needed = match model {
            PanicModel::Isa => Some(Cap::Pvpanic),
            PanicModel::Pvpanic => Some(Cap::PvpanicPci),
            _ => None,
        };
        if needed.is_some_and(|cap| !cx.has(cap)) {
            cx.error(
                &general::NOT_BY_QEMU,
                self.site,
                format!("this QEMU binary has no panic device of model '{model}'"),
            );
        }
        let mut same = domain.devices.iter().flat_map(|d| &d.panics).filter(|p| p.model == self.model);
        let repeated = same.next().is_some_and(|first| first.site != self.site);
        if repeated {
            cx.error(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                format!("a second panic device of model '{model}': one is enough"),
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let props = match self.model {
            Some(PanicModel::Isa) => {
                let mut props = Props::driver("pvpanic");
                if let Some(Address::Isa { iobase, .. }) = self.info.address.address {
                    props.set("ioport", iobase.unwrap_or(0));
                }
                props
            }
            Some(PanicModel::Pvpanic) => {
                let mut props = Props::driver("pvpanic-pci");
                lx.address(&mut props, &self.info);
                props
            }
            // Part of the machine, or of its CPU.
            _ => return,
        };
        lx.device(props, self);
    }
}
