//! Network interfaces.

mod defaults;
pub(crate) mod family;
pub(crate) mod lower;
pub mod mapping;
mod passt;
mod rules;
mod source;

use super::info::{DeviceInfo, device};
use crate::bind::model;
pub use crate::schema::words::{Backend, InterfaceType, LinkState, NetBackendType, TeamingType, TxMode};
use crate::vocab::{Mac, OnOff, YesNo};
pub use source::NetSource;

model! {
    /// `<mac>`
    pub struct MacAddress = "mac" {
        attr address: Mac = "address",
        attr kind: String = "type",
        attr check: YesNo = "check",
    }
}

model! {
    /// `<ip>`: an address that the guest gets from user-mode networking.
    pub struct Ip = "ip" {
        need address: String = "address",
        attr family: String = "family",
        attr prefix: u32 = "prefix",
        attr peer: String = "peer",
    }
}

model! {
    /// `<route>`
    pub struct Route = "route" {
        attr family: String = "family",
        attr address: String = "address",
        attr netmask: String = "netmask",
        attr prefix: u32 = "prefix",
        attr gateway: String = "gateway",
        attr metric: u32 = "metric",
    }
}

model! {
    /// `<range>` of `<portForward>`.
    pub struct PortRange = "range" {
        need start: u16 = "start",
        attr end: u16 = "end",
        attr to: u16 = "to",
        attr exclude: YesNo = "exclude",
    }
}

impl PortRange {
    /// Its first and its last port; none if it has no first one, which is a fault.
    pub fn bounds(&self) -> Option<(u16, u16)> {
        let first = self.start?;
        Some((first, self.end.unwrap_or(first)))
    }
}

model! {
    /// `<portForward>`: ports of the host that lead into the guest (passt).
    pub struct PortForward = "portForward" {
        need proto: String = "proto",
        attr address: String = "address",
        attr dev: String = "dev",
        many ranges: PortRange,
    }
}

model! {
    /// `<tag>` of `<vlan>`.
    pub struct VlanTag = "tag" {
        need id: u32 = "id",
        attr native_mode: String = "nativeMode",
    }
}

model! {
    /// `<vlan>`: tags that the switch puts on the guest's frames.
    pub struct Vlan = "vlan" {
        attr trunk: YesNo = "trunk",
        many tags: VlanTag,
    }
}

model! {
    /// `<parameters>` of `<virtualport>`.
    pub struct PortParameters = "parameters" {
        attr managerid: String = "managerid",
        attr typeid: String = "typeid",
        attr typeidversion: String = "typeidversion",
        attr instanceid: String = "instanceid",
        attr interfaceid: String = "interfaceid",
        attr profileid: String = "profileid",
    }
}

model! {
    /// `<virtualport>`
    pub struct VirtualPort = "virtualport" {
        attr kind: String = "type",
        child parameters: PortParameters,
    }
}

model! {
    /// `<inbound>` or `<outbound>`: KiB/s, KiB.
    pub struct Rate {
        attr average: u64 = "average",
        attr peak: u64 = "peak",
        attr floor: u64 = "floor",
        attr burst: u64 = "burst",
    }
}

model! {
    /// `<bandwidth>`: traffic shaping.
    pub struct Bandwidth = "bandwidth" {
        child inbound: Rate = "inbound",
        child outbound: Rate = "outbound",
    }
}

model! {
    /// `<port isolated='yes'/>`
    pub struct Port = "port" {
        attr isolated: YesNo = "isolated",
    }
}

model! {
    /// `<script>` or `<downscript>`.
    pub struct Script {
        key path: String = "path",
    }
}

model! {
    /// `<target>`: the name on the host.
    pub struct Target = "target" {
        attr dev: String = "dev",
        attr managed: YesNo = "managed",
    }
}

model! {
    /// `<model>`: what the guest sees.
    pub struct NicModel = "model" {
        attr kind: String = "type",
    }
}

model! {
    /// `<host>` or `<guest>` of `<driver>`: offloads on one side.
    pub struct Offloads {
        attr csum: OnOff = "csum",
        attr gso: OnOff = "gso",
        attr tso4: OnOff = "tso4",
        attr tso6: OnOff = "tso6",
        attr ecn: OnOff = "ecn",
        attr ufo: OnOff = "ufo",
        attr mrg_rxbuf: OnOff = "mrg_rxbuf",
    }
}

model! {
    /// `<driver>`
    pub struct Driver = "driver" {
        attr name: Backend = "name",
        attr model: String = "model",
        attr iommufd: YesNo = "iommufd",
        attr txmode: TxMode = "txmode",
        attr ioeventfd: OnOff = "ioeventfd",
        attr event_idx: OnOff = "event_idx",
        attr queues: u32 = "queues",
        attr rx_queue_size: u32 = "rx_queue_size",
        attr tx_queue_size: u32 = "tx_queue_size",
        attr rss: OnOff = "rss",
        attr rss_hash_report: OnOff = "rss_hash_report",
        part virtio: super::virtio::VirtioOptions,
        child host: Offloads = "host",
        child guest: Offloads = "guest",
    }
}

model! {
    /// `<backend>`: the program or device behind the interface.
    pub struct NetBackend = "backend" {
        attr kind: NetBackendType = "type",
        attr tap: String = "tap",
        attr vhost: String = "vhost",
        attr log_file: String = "logFile",
        attr hostname: String = "hostname",
        attr fqdn: String = "fqdn",
    }
}

model! {
    /// `<parameter>` of `<filterref>`.
    pub struct FilterParameter = "parameter" {
        need name: String = "name",
        need value: String = "value",
    }
}

model! {
    /// `<filterref>`: a network filter of the host.
    pub struct FilterRef = "filterref" {
        need filter: String = "filter",
        many parameters: FilterParameter,
    }
}

model! {
    /// `<tune>`
    pub struct Tune = "tune" {
        leaf sndbuf: u64 = "sndbuf",
    }
}

model! {
    /// `<teaming>`: two interfaces that the guest joins, so that one can be unplugged.
    pub struct Teaming = "teaming" {
        key kind: TeamingType = "type",
        attr persistent: String = "persistent",
    }
}

model! {
    /// `<link>`
    pub struct LinkElement = "link" {
        attr state: LinkState = "state",
    }
}

model! {
    /// `<mtu>`
    pub struct Mtu = "mtu" {
        key size: u32 = "size",
    }
}

model! {
    /// `<frames>` of `<coalesce>`.
    pub struct Frames = "frames" {
        attr max: u32 = "max",
    }
}

model! {
    /// `<rx>` of `<coalesce>`.
    pub struct CoalesceRx = "rx" {
        child frames: Frames,
    }
}

model! {
    /// `<coalesce>`: interrupt coalescing of the host's side.
    pub struct Coalesce = "coalesce" {
        child rx: CoalesceRx,
    }
}

model! {
    /// `<interface>`
    pub struct Interface = "interface" {
        attr kind: InterfaceType = "type",
        attr managed: YesNo = "managed",
        attr trust_guest_rx_filters: YesNo = "trustGuestRxFilters",
        child mac: MacAddress,
        part source: NetSource,
        many ips: Ip,
        many routes: Route,
        many port_forwards: PortForward,
        child vlan: Vlan,
        child virtualport: VirtualPort,
        child bandwidth: Bandwidth,
        child port: Port,
        child script: Script = "script",
        child downscript: Script = "downscript",
        child target: Target,
        child model: NicModel,
        child driver: Driver,
        child backend: NetBackend,
        child filterref: FilterRef,
        child tune: Tune,
        child teaming: Teaming,
        child link: LinkElement,
        child mtu: Mtu,
        child coalesce: Coalesce,
        part info: DeviceInfo,
        /// The device of the host that the network hands out, where its port is one (host facts).
        extra network_device: Option<crate::host::PciAddress>,
    }
}

device!(Interface, "interface");

impl Interface {
    /// The type; `user` while it is unknown.
    pub fn kind(&self) -> InterfaceType {
        self.kind.unwrap_or(InterfaceType::User)
    }

    /// Whether the guest gets a device of the host: by type, or because the network hands one out.
    pub fn is_host_device(&self) -> bool {
        self.kind() == InterfaceType::Hostdev || self.network_device.is_some()
    }

    /// Whether virtc makes the interface of the host, rather than somebody else.
    pub fn is_managed(&self) -> bool {
        self.target.as_ref().and_then(|t| t.managed).is_none_or(YesNo::is_yes)
    }

    /// The model: `virtio`, `e1000`.
    pub fn model(&self) -> &str {
        self.model.as_ref().and_then(|m| m.kind.as_deref()).unwrap_or("")
    }

    /// Whether the model is a virtio one.
    pub fn is_virtio(&self) -> bool {
        matches!(self.model(), "virtio" | "virtio-transitional" | "virtio-non-transitional")
    }

    /// The MAC address in text form; empty where none is given.
    pub fn mac(&self) -> String {
        self.mac.as_ref().and_then(|m| m.address).map_or(String::new(), |m| m.to_string())
    }

    /// The number of queues, at least 1.
    pub fn queues(&self) -> u32 {
        self.driver.as_ref().and_then(|d| d.queues).unwrap_or(1).max(1)
    }

    /// Whether passt is behind it.
    pub fn uses_passt(&self) -> bool {
        self.backend.as_ref().is_some_and(|b| b.kind == Some(NetBackendType::Passt))
    }
}

/// The cards that are known to be for conventional PCI. libvirt takes all that it does not know for PCI Express.
const CONVENTIONAL: [&str; 12] = [
    "82540EM",
    "82543GC",
    "82545EM",
    "Am79C970A",
    "Am79C973",
    "e1000",
    "netfront",
    "rtl8139",
    "vlance",
    "vmxnet",
    "vmxnet2",
    "vmxnet3",
];
