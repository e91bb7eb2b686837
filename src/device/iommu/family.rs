//! `<iommu>`: what the passes ask of the family.

use super::{Iommu, IommuModel};
use crate::caps::Cap;
use crate::device::family::Family;
use crate::device::plug::Plug;
use crate::diag::codes::{general, hostdev as codes};
use crate::domain::Domain;
use crate::plan::Props;
use crate::stage::Lower;
use crate::stage::{Board, Cx, Env, Machine};
use crate::vocab::OnOff;

impl Family for Iommu {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {}

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        if self.model == Some(IommuModel::Virtio) { Plug::RootComplex } else { Plug::Nowhere }
    }

    fn rules(&self, domain: &Domain, machine: &Machine, cx: &mut Cx<'_>) {
        let Some(model) = self.model else { return };
        let (fits, boards, cap) = match model {
            IommuModel::Intel => (machine.board == Board::Q35, "Q35", Cap::IntelIommu),
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
        if model != IommuModel::Virtio && self.info.has_address() {
            cx.error(
                &codes::VALUE,
                self.info.address_site(),
                format!(
                    "an <address> is given, and an iommu of model '{model}' is no device on a bus: it can't have one"
                ),
            );
        }
        let Some(driver) = &self.driver else { return };
        if model != IommuModel::Intel {
            cx.error(
                &codes::VALUE,
                driver.site,
                format!("<driver> of an iommu: additional attributes are for other models than '{model}', which doesn't have any"),
            );
            return;
        }
        let options = [
            ("caching_mode", driver.caching_mode.is_some(), Cap::IntelIommuCachingMode),
            ("eim", driver.eim.is_some(), Cap::IntelIommuEim),
            ("iotlb", driver.iotlb.is_some(), Cap::IntelIommuDeviceIotlb),
            ("aw_bits", driver.aw_bits.is_some(), Cap::IntelIommuAwBits),
            ("dma_translation", driver.dma_translation.is_some(), Cap::IntelIommuDmaTranslation),
        ];
        let env = cx.env;
        for (name, _, _) in options.iter().filter(|(_, set, cap)| *set && !env.has(*cap)) {
            cx.error_at(
                &general::NOT_BY_QEMU,
                driver.site,
                name,
                format!("<driver> of the iommu: this QEMU binary has no {name}"),
            );
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        let props = match self.model {
            Some(IommuModel::Intel) => {
                let mut props = Props::driver("intel-iommu");
                props.set("id", self.info.id.clone());
                if let Some(driver) = &self.driver {
                    props.maybe("intremap", driver.intremap);
                    props.maybe("caching-mode", driver.caching_mode.map(OnOff::is_on));
                    props.maybe("eim", driver.eim);
                    props.maybe("device-iotlb", driver.iotlb.map(OnOff::is_on));
                    props.maybe("aw-bits", driver.aw_bits);
                    props.maybe("dma-translation", driver.dma_translation.map(OnOff::is_on));
                }
                props
            }
            Some(IommuModel::Virtio) => {
                let mut props = Props::driver("virtio-iommu");
                props.set("id", self.info.id.clone());
                lx.address(&mut props, &self.info);
                props
            }
            // A property of the machine.
            _ => return,
        };
        lx.device(props, self);
    }
}
