//! Sound cards: what the passes ask of the family.

use super::{Sound, SoundModel, lower};
use crate::caps::Cap;
use crate::device::audio;
use crate::device::family::Family;
use crate::device::plug::{Plug, VirtioModel};
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Env, Machine};

impl Family for Sound {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        if self.model == Some(SoundModel::Virtio) {
            // QEMU's own default: one stream in, one out.
            self.streams.get_or_insert(2);
        }
    }

    fn plug(&self, _: &Machine, _: &Env<'_>) -> Plug {
        match self.model {
            Some(SoundModel::Sb16 | SoundModel::Pcspk | SoundModel::Ich7) | None => Plug::Nowhere,
            Some(SoundModel::Es1370 | SoundModel::Ac97 | SoundModel::Ich6 | SoundModel::Ich9) => Plug::Pci,
            Some(SoundModel::Usb) => Plug::Usb,
            Some(SoundModel::Virtio) => Plug::Virtio(VirtioModel::Virtio),
        }
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let Some(model) = self.model else { return };
        let cap = match model {
            SoundModel::Usb => Some(Cap::UsbAudio),
            SoundModel::Ich9 => Some(Cap::Ich9IntelHda),
            SoundModel::Virtio => Some(Cap::VirtioSound),
            SoundModel::Ich7 => {
                cx.error_at(
                    &support::OTHER_HYPERVISOR,
                    self.site,
                    "model",
                    "<sound model='ich7'>: QEMU has no such card; the format has it for another hypervisor",
                )
                .help("use model='ich6' or 'ich9'");
                None
            }
            _ => None,
        };
        if let Some(cap) = cap
            && !cx.has(cap)
        {
            cx.error_at(
                &support::NOT_BY_QEMU,
                self.site,
                "model",
                format!("<sound model='{model}'>: this QEMU binary was built without the card"),
            );
        }
        if self.multichannel.is_some() && model != SoundModel::Usb {
            cx.error_at(
                &codes::SOUND,
                self.site,
                "multichannel",
                format!(
                    "<sound multichannel>: only a sound card of model 'usb' has this setting, and this one is '{model}'"
                ),
            );
        }
        if self.streams.is_some() && model != SoundModel::Virtio {
            cx.error_at(
                &codes::SOUND,
                self.site,
                "streams",
                format!(
                    "<sound streams>: only a sound card of model 'virtio' has this setting, and this one is '{model}'"
                ),
            );
        }
        if let Some(driver) = &self.driver {
            driver.virtio.refuse_unless(model == SoundModel::Virtio, cx);
        }
        if let Some(audio) = &self.audio
            && let Some(devices) = &domain.devices
            && (audio.id == Some(0) || audio::implied::find(devices, audio.id).is_none())
        {
            let id = audio.id.unwrap_or(0);
            cx.error(&codes::AUDIO, audio.site, format!("<audio id='{id}'>: no <audio> has this id"))
                .help(format!("add <audio id='{id}' type='…'/>"));
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::sound(self, lx);
    }
}
