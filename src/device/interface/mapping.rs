//! Attributes of `<driver>` that are one property of a virtio network card each.

use super::{Driver, Offloads};
use crate::stage::mapping::mapping;

mapping! {
    /// How the guest tells that it has sent something.
    pub DRIVER: Driver {
        "ioeventfd" = ioeventfd: OnOff, "ioeventfd";
        "event_idx" = event_idx: OnOff, "event_idx";
    }
}

mapping! {
    /// `<host>`: what the host does for the guest.
    pub HOST: Offloads {
        "csum" = csum: OnOff, "csum";
        "gso" = gso: OnOff, "gso";
        "host_tso4" = tso4: OnOff, "tso4";
        "host_tso6" = tso6: OnOff, "tso6";
        "host_ecn" = ecn: OnOff, "ecn";
        "host_ufo" = ufo: OnOff, "ufo";
        "mrg_rxbuf" = mrg_rxbuf: OnOff, "mrg_rxbuf";
    }
}

mapping! {
    /// `<guest>`: what the guest may leave to the host.
    pub GUEST: Offloads {
        "guest_csum" = csum: OnOff, "csum";
        "guest_tso4" = tso4: OnOff, "tso4";
        "guest_tso6" = tso6: OnOff, "tso6";
        "guest_ecn" = ecn: OnOff, "ecn";
        "guest_ufo" = ufo: OnOff, "ufo";
    }
}

mapping! {
    /// Sizes of queues.
    pub QUEUES: Driver {
        "rx_queue_size" = rx_queue_size: Number, "rx_queue_size";
        "tx_queue_size" = tx_queue_size: Number, "tx_queue_size";
    }
}

mapping! {
    /// How packets are spread over queues.
    pub HASH: Driver {
        "rss" = rss: OnOff, "rss";
        "hash" = rss_hash_report: OnOff, "rss_hash_report";
    }
}
