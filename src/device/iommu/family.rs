//! `<iommu>`: what the passes ask of the family.

use super::{Granule, Iommu, IommuDriver, IommuModel};
use crate::caps::Cap;
use crate::device::controller::ControllerKind;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::mapping;
use crate::stage::{Board, Cx, Env, Machine};
use crate::vocab::OnOff;

impl Family for Iommu {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.model {
            Some(IommuModel::Virtio | IommuModel::Amd) => Plug::RootComplex,
            _ => Plug::Nowhere,
        }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        let Some(model) = self.model else { return };
        let (fits, boards, cap) = match model {
            IommuModel::Intel => (machine.board == Board::Q35, "Q35", Cap::IntelIommu),
            IommuModel::Amd => (machine.board == Board::Q35, "Q35", Cap::AmdIommu),
            IommuModel::Smmuv3 => {
                (machine.arch.is_arm() && machine.board == Board::Virt, "ARM Virt", Cap::MachineVirtIommu)
            }
            IommuModel::Virtio => (
                machine.board == Board::Q35 || (machine.arch.is_arm() && machine.board == Board::Virt),
                "Q35 and ARM Virt",
                Cap::VirtioIommuPci,
            ),
        };
        if !fits {
            cx.error_at(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "model",
                format!("the IOMMU device '{model}' exists on {boards} machines only"),
            );
            return;
        }
        if !cx.has(cap) {
            cx.error_at(
                &general::NOT_BY_QEMU,
                self.site,
                "model",
                format!("this QEMU binary has no IOMMU device '{model}'"),
            );
        }
        if model == IommuModel::Virtio && !domain.features.as_ref().is_some_and(|f| f.acpi) {
            cx.error_at(
                &codes::UNSUPPORTED_MODEL,
                self.site,
                "model",
                "a 'virtio' IOMMU device is found by the guest through ACPI: add <acpi/>",
            )
            .help("add <acpi/> to <features>");
        }
        if !matches!(model, IommuModel::Virtio | IommuModel::Amd) && self.info.has_address() {
            cx.error(
                &codes::VALUE,
                self.info.address_site(),
                format!(
                    "an <address> is given, and an iommu of model '{model}' is no device on a bus: it can't have one"
                ),
            );
        }
        let Some(driver) = &self.driver else { return };
        driver.rules(model, cx);
        if driver.pci_bus.is_some() && model == IommuModel::Smmuv3 && !cx.has(Cap::ArmSmmuv3SmmuPerBus) {
            let message = "pciBus: this QEMU has one smmuv3 for the whole machine, and none for a bus";
            cx.error_at(&general::NOT_BY_QEMU, driver.site, "pciBus", message).help("QEMU has it since 10.1");
        }
        if let Some(bus) = driver.pci_bus {
            let mut controllers = domain.devices.iter().flat_map(|d| &d.controllers);
            let at = controllers.find(|c| c.is(ControllerKind::Pci) && c.index() == bus);
            let fits = at.is_some();
            // Standalone it is said before anything is planned.
            if !fits && cx.env.is_guardian() {
                cx.error_at(&codes::VALUE, driver.site, "pciBus", no_controller(bus));
            }
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let props = match self.model {
            Some(IommuModel::Intel) => {
                let mut props = Props::driver("intel-iommu");
                props.set("id", self.info.id.clone());
                if let Some(driver) = &self.driver {
                    mapping::lower(super::mapping::INTEL, driver, &mut props);
                }
                props
            }
            Some(IommuModel::Virtio) => {
                let mut props = Props::driver("virtio-iommu");
                props.set("id", self.info.id.clone());
                if let Some(driver) = &self.driver {
                    props.maybe("aw-bits", driver.aw_bits);
                    let size = |g: &Granule| g.kib.map_or("host".to_string(), |kib| format!("{kib}k"));
                    props.maybe("granule", driver.granule.as_ref().map(size));
                }
                lx.address(&mut props, &self.info);
                props
            }
            Some(IommuModel::Amd) => return self.amd(lx),
            // A property of the machine, or a device behind a controller.
            Some(IommuModel::Smmuv3) | None => return,
        };
        lx.device(props, self);
    }
}

/// Adds the SMMUs of single PCI buses, which come behind the controllers.
pub fn behind_controllers(lx: &mut Lower<'_>) {
    for iommu in lx.devices.iommus.iter().filter(|i| i.model == Some(IommuModel::Smmuv3)) {
        if let Some((driver, bus)) = iommu.driver.as_ref().and_then(|d| Some((d, d.pci_bus?))) {
            iommu.smmu(driver, bus, lx);
        }
    }
}

fn no_controller(bus: u32) -> String {
    format!("pciBus='{bus}': the domain has no PCI controller with this index for the smmuv3")
}

impl Iommu {
    /// A device of PCI, and the translation behind it.
    fn amd(&self, lx: &mut Lower<'_>) {
        let mut front = Props::driver("AMDVI-PCI");
        front.set("id", self.info.id.clone());
        lx.address(&mut front, &self.info);
        lx.device(front, self);
        let mut props = Props::driver("amd-iommu");
        props.set("pci-id", self.info.id.clone());
        if let Some(driver) = &self.driver {
            props.maybe("intremap", driver.intremap);
            props.maybe("pt", driver.passthrough.map(OnOff::is_on));
            props.maybe("xtsup", driver.xtsup.map(OnOff::is_on));
            props.maybe("device-iotlb", driver.iotlb.map(OnOff::is_on));
        }
        lx.device(props, self);
    }

    /// An SMMU for the devices behind one PCI controller.
    fn smmu(&self, driver: &IommuDriver, bus: u32, lx: &mut Lower<'_>) {
        if !lx.devices.controllers.iter().any(|c| c.is(ControllerKind::Pci) && c.index() == bus) {
            lx.error(&codes::VALUE, driver.site, no_controller(bus));
            return;
        }
        let mut props = Props::driver("arm-smmuv3");
        props.set("primary-bus", lx.controller_id(ControllerKind::Pci, bus)).set("id", self.info.id.clone());
        props.maybe("accel", driver.accel.map(OnOff::is_on));
        props.maybe("ats", driver.ats).maybe("ril", driver.ril);
        props.maybe("ssidsize", driver.ssidsize.map(|n| n.to_string()));
        props.maybe("oas", driver.oas.map(|n| n.to_string()));
        props.maybe("cmdqv", driver.cmdqv);
        lx.device(props, self);
    }
}

/// Models that have an option, and what QEMU must have for it.
type Models = &'static [(IommuModel, Option<Cap>)];

impl IommuDriver {
    /// Options that this model, and this QEMU, has.
    fn rules(&self, model: IommuModel, cx: &mut Cx<'_>) {
        use IommuModel::{Amd, Intel, Smmuv3, Virtio};
        let options: [(&str, bool, Models); 15] = [
            ("intremap", self.intremap.is_some(), &[(Intel, None), (Amd, None)]),
            ("caching_mode", self.caching_mode.is_some(), &[(Intel, Some(Cap::IntelIommuCachingMode))]),
            ("eim", self.eim.is_some(), &[(Intel, Some(Cap::IntelIommuEim))]),
            ("iotlb", self.iotlb.is_some(), &[(Intel, Some(Cap::IntelIommuDeviceIotlb)), (Amd, None)]),
            (
                "aw_bits",
                self.aw_bits.is_some(),
                &[(Intel, Some(Cap::IntelIommuAwBits)), (Virtio, Some(Cap::VirtioIommuAwBits))],
            ),
            ("dma_translation", self.dma_translation.is_some(), &[(Intel, Some(Cap::IntelIommuDmaTranslation))]),
            ("xtsup", self.xtsup.is_some(), &[(Amd, Some(Cap::AmdIommuXtsup))]),
            ("passthrough", self.passthrough.is_some(), &[(Amd, None)]),
            ("pciBus", self.pci_bus.is_some(), &[(Smmuv3, Some(Cap::ArmSmmuv3))]),
            ("accel", self.accel.is_some(), &[(Smmuv3, Some(Cap::ArmSmmuv3Accel))]),
            ("ats", self.ats.is_some(), &[(Smmuv3, None)]),
            ("ril", self.ril.is_some(), &[(Smmuv3, None)]),
            ("ssidsize or oas", self.ssidsize.or(self.oas).is_some(), &[(Smmuv3, None)]),
            ("cmdqv", self.cmdqv.is_some(), &[(Smmuv3, Some(Cap::ArmSmmuv3Cmdqv))]),
            ("<granule>", self.granule.is_some(), &[(Virtio, None)]),
        ];
        for (name, _, models) in options.iter().filter(|(_, set, _)| *set) {
            match models.iter().find(|(m, _)| *m == model) {
                None => {
                    let message = format!("<driver> of an iommu: '{name}' is for other models than '{model}'");
                    cx.error_at(&codes::VALUE, self.site, name, message);
                }
                Some((_, Some(cap))) if !cx.has(*cap) => {
                    let message = format!("<driver> of the iommu: this QEMU binary has no {name}");
                    cx.error_at(&general::NOT_BY_QEMU, self.site, name, message);
                }
                Some(_) => {}
            }
        }
        let accelerated = self.accel.is_some_and(OnOff::is_on);
        let more = self.ats.or(self.ril).or(self.cmdqv).is_some() || self.ssidsize.or(self.oas).is_some();
        if model == Smmuv3 && more && !accelerated {
            let message = "<driver> of an iommu: ats, ril, ssidsize, oas and cmdqv of an smmuv3 need accel='on'";
            cx.error(&codes::VALUE, self.site, message);
        }
        if let Some(granule) = &self.granule {
            let fits = granule.kib.is_none_or(|kib| [4, 8, 16, 64].contains(&kib));
            if !fits || granule.kib.is_some() == granule.mode.is_some() {
                let message = "<granule> of an iommu: the size is 4, 8, 16 or 64 KiB, or the mode is 'host'";
                cx.error(&codes::VALUE, granule.site, message);
            }
        }
    }
}
