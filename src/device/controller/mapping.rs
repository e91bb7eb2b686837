//! Attributes of `<driver>` that are one property of a controller each.

use super::ControllerDriver;
use crate::stage::mapping::mapping;

mapping! {
    /// virtio-scsi.
    pub SCSI: ControllerDriver {
        "num_queues" = queues: Number, "queues";
        "cmd_per_lun" = cmd_per_lun: Number, "cmd_per_lun";
        "max_sectors" = max_sectors: Number, "max_sectors";
        "ioeventfd" = ioeventfd: OnOff, "ioeventfd";
    }
}
