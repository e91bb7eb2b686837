//! Audio backends: what the passes ask of the family.

use super::{Audio, AudioType, lower};
use crate::device::family::Family;
use crate::diag::codes::{display as codes, general as support};
use crate::domain::Domain;
use crate::stage::Lower;
use crate::stage::{Cx, Machine};
use crate::vocab::YesNo;

impl Family for Audio {
    fn defaults(&mut self, _: &Machine, _: &mut Cx<'_>) {
        for direction in [&mut self.input, &mut self.output].into_iter().flatten() {
            if direction.fixed_settings == Some(YesNo::Yes) {
                direction.settings.get_or_insert_default();
            }
        }
    }

    fn rules(&self, domain: &Domain, _: &Machine, cx: &mut Cx<'_>) {
        let id = self.id.unwrap_or(0);
        if self.id == Some(0) {
            cx.error_at(&codes::AUDIO, self.site, "id", "the id of an <audio> backend must be greater than 0");
        }
        let twins = domain.devices.iter().flat_map(|d| &d.audios).filter(|a| a.id == self.id);
        if twins.take_while(|a| a.site != self.site).count() > 0 {
            cx.error_at(&codes::AUDIO, self.site, "id", format!("duplicate audio id '{id}'"));
        }
        if self.kind() == AudioType::Dbus && !cx.has(crate::caps::Cap::DisplayDbus) {
            cx.error(&support::NOT_BY_QEMU, self.site, "<audio type='dbus'>: this QEMU binary was built without it");
        }
        if self.timer_period == Some(0) {
            cx.error_at(
                &codes::AUDIO,
                self.site,
                "timerPeriod",
                "timerPeriod='0' of <audio>: a period of zero is not permitted",
            );
        }
        if self.kind() == AudioType::Spice
            && !domain
                .devices
                .iter()
                .flat_map(|d| &d.graphics)
                .any(|g| g.is(crate::device::graphics::GraphicsKind::Spice))
        {
            cx.error(
                &codes::AUDIO,
                self.site,
                "<audio type='spice'> goes through a spice display: without graphics of that type nobody would hear it",
            )
            .help("add <graphics type='spice'/>");
        }
        for direction in [&self.input, &self.output].into_iter().flatten() {
            let settings = direction.settings.as_ref();
            for (name, value) in [
                ("voices", direction.voices),
                ("bufferLength", direction.buffer_length),
                ("frequency", settings.and_then(|s| s.frequency)),
                ("channels", settings.and_then(|s| s.channels)),
            ] {
                if value == Some(0) {
                    let message = format!("{name}='0' of an <audio> direction: zero is not permitted");
                    cx.error_at(&codes::AUDIO, direction.site, name, message);
                }
            }
            let fixed = direction.fixed_settings == Some(YesNo::Yes);
            // Libvirt wants to read that the engine is on; QEMU has it on by itself.
            let strict = !cx.env.is_guardian();
            let off = direction.mixing_engine.map_or(strict, |m| !m.is_yes());
            if fixed && off {
                cx.error(
                    &codes::AUDIO,
                    direction.site,
                    "fixedSettings='yes' is done by the mixing engine, which is off",
                )
                .help("set mixingEngine='yes'");
            }
            if !fixed && direction.settings.is_some() {
                cx.error(&codes::AUDIO, direction.site, "audio settings are only used with fixedSettings='yes'")
                    .help("set fixedSettings='yes'");
            }
        }
    }

    fn lower(&self, lx: &mut Lower<'_>) {
        lower::audio(self, lx);
    }
}
