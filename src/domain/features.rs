//! `<features>`: what the machine can do. The fields stand in libvirt's order.

use super::memory::Amount;
use crate::bind::{Binder, Model, Part, Shape, model, print_attr};
use crate::diag::codes::schema as codes;
pub use crate::schema::words::{
    Aia, Cfpc, ContainerPolicy, GicVersion, HptResizing, HypervMode, Ibs, IoapicDriver, Sbbc, UnknownMsrs,
    XenPassthroughMode,
};
use crate::vocab::{OnOff, Size, YesNo};
use crate::xml::{El, Site, XmlWriter};

/// A feature that is on or off. Some are on when their element stands without a state; it is always printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Switch {
    /// On or off.
    pub state: Option<OnOff>,
    /// Where it stands.
    pub site: Site,
}

impl Switch {
    /// Elements that need no state.
    const ON_BY_ITSELF: [&str; 6] = ["hap", "pvspinlock", "pmu", "vmport", "smm", "vmcoreinfo"];

    /// One that is on.
    pub fn on() -> Switch {
        Switch { state: Some(OnOff::On), ..Switch::default() }
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.state != Some(OnOff::Off)
    }

    /// On or off.
    pub fn state(&self) -> OnOff {
        self.state.unwrap_or(OnOff::On)
    }
}

impl Part for Switch {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        let by_itself = Self::ON_BY_ITSELF.iter().any(|name| el.is(name));
        self.state = match el.peek("state") {
            None if by_itself => Some(OnOff::On),
            // The same, but it stays unsaid.
            None if el.is("virtualization") => None,
            _ => cx.need(el, "state"),
        };
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "state", &self.state);
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        shape.attr("state");
    }
}

model! {
    /// `<apic>`
    pub struct Apic = "apic" {
        attr eoi: OnOff = "eoi",
    }
}

model! {
    /// `<spinlocks>`: after how many attempts the guest tells the hypervisor.
    pub struct Spinlocks = "spinlocks" {
        part switch: Switch,
        attr retries: u32 = "retries",
    }
}

model! {
    /// `<stimer>`
    pub struct Stimer = "stimer" {
        part switch: Switch,
        child direct: Switch = "direct",
    }
}

model! {
    /// `<vendor_id>`
    pub struct HypervVendor = "vendor_id" {
        part switch: Switch,
        attr value: String = "value",
    }
}

model! {
    /// `<tlbflush>`
    pub struct TlbFlush = "tlbflush" {
        part switch: Switch,
        child direct: Switch = "direct",
        child extended: Switch = "extended",
    }
}

model! {
    /// `<hyperv>`: enlightenments for Windows guests.
    pub struct Hyperv = "hyperv" {
        attr mode: HypervMode = "mode",
        child relaxed: Switch = "relaxed",
        child vapic: Switch = "vapic",
        child spinlocks: Spinlocks,
        child vpindex: Switch = "vpindex",
        child runtime: Switch = "runtime",
        child synic: Switch = "synic",
        child stimer: Stimer,
        child reset: Switch = "reset",
        child vendor_id: HypervVendor,
        child frequencies: Switch = "frequencies",
        child reenlightenment: Switch = "reenlightenment",
        child tlbflush: TlbFlush,
        child ipi: Switch = "ipi",
        child evmcs: Switch = "evmcs",
        child avic: Switch = "avic",
        child emsr_bitmap: Switch = "emsr_bitmap",
        child xmm_input: Switch = "xmm_input",
    }
}

model! {
    /// `<dirty-ring>`: how many dirty pages KVM keeps for each virtual CPU.
    pub struct DirtyRing = "dirty-ring" {
        part switch: Switch,
        attr size: u32 = "size",
    }
}

model! {
    /// `<kvm>`
    pub struct KvmFeatures = "kvm" {
        child hidden: Switch = "hidden",
        child hint_dedicated: Switch = "hint-dedicated",
        child poll_control: Switch = "poll-control",
        child pv_ipi: Switch = "pv-ipi",
        child dirty_ring: DirtyRing,
    }
}

model! {
    /// `<gic>`: the interrupt controller of ARM.
    pub struct Gic = "gic" {
        attr version: GicVersion = "version",
    }
}

/// `<tseg>`: memory of system management mode; MiB without a unit, printed in the largest unit that fits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tseg {
    /// How much.
    pub size: Size,
    /// Where it stands.
    pub site: Site,
}

impl Part for Tseg {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        let unit: Option<String> = cx.attr(el, "unit");
        let unit = unit.as_deref().unwrap_or("MiB");
        if let Some(number) = cx.text::<u64>(el) {
            match Size::of(number, unit) {
                Some(size) => self.size = size,
                None => {
                    let message = format!("unknown unit '{unit}', or too large: {number}");
                    cx.diags.error(&codes::WRONG_VALUE, el.span(), message);
                }
            }
        }
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        out.attr("unit", self.size.in_largest_unit().1);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        out.text(&self.size.in_largest_unit().0.to_string());
    }
    fn shape(shape: &mut Shape) {
        shape.attr("unit");
        shape.text = true;
    }
}

model! {
    /// `<smm>`
    pub struct Smm = "smm" {
        part switch: Switch,
        child tseg: Tseg = "tseg",
    }
}

model! {
    /// `<ioapic>`
    pub struct Ioapic = "ioapic" {
        attr driver: IoapicDriver = "driver",
    }
}

model! {
    /// `<hpt>`: the hashed page table of POWER.
    pub struct Hpt = "hpt" {
        attr resizing: HptResizing = "resizing",
        child max_page_size: Amount = "maxpagesize",
    }
}

model! {
    /// `<msrs>`
    pub struct Msrs = "msrs" {
        need unknown: UnknownMsrs = "unknown",
    }
}

/// An element with one needed attribute `value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<T> {
    /// The value.
    pub value: Option<T>,
    /// Where it stands.
    pub site: Site,
}

impl<T> Default for Choice<T> {
    fn default() -> Choice<T> {
        Choice { value: None, site: Site::NONE }
    }
}

impl<T: crate::vocab::Value> Part for Choice<T> {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.value = cx.need(el, "value");
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "value", &self.value);
    }
    fn print_body(&self, _: &mut XmlWriter) {}
    fn shape(shape: &mut Shape) {
        shape.attr("value");
    }
}

/// `<tcg>`: settings of the emulator.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tcg {
    /// `<tb-cache>`: room for translated code.
    pub tb_cache: Option<Amount>,
    /// Where it stands.
    pub site: Site,
}

impl Part for Tcg {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.site = el.site();
        self.tb_cache = el.child("tb-cache").map(|e| {
            let mut amount = Amount::default();
            amount.bind(e, cx);
            amount
        });
    }
    fn print_attrs(&self, _: &mut XmlWriter) {}
    fn print_body(&self, out: &mut XmlWriter) {
        if let Some(size) = &self.tb_cache {
            crate::bind::print_as("tb-cache", size, out);
        }
    }
    fn shape(shape: &mut Shape) {
        shape.child::<Amount>("tb-cache");
    }
}

impl Model for Tcg {
    const ELEMENT: &'static str = "tcg";
}

model! {
    /// `<async-teardown>`
    pub struct AsyncTeardown = "async-teardown" {
        attr enabled: YesNo = "enabled",
    }
}

model! {
    /// `<passthrough>` of `<xen>`
    pub struct XenPassthrough = "passthrough" {
        part switch: Switch,
        attr mode: XenPassthroughMode = "mode",
    }
}

model! {
    /// `<xen>` switches mean nothing to QEMU, except when it runs Xen guests itself.
    pub struct XenFeatures = "xen" {
        child e820_host: Switch = "e820_host",
        child passthrough: XenPassthrough,
    }
}

/// `<capabilities>`: what a container may do. It means nothing to a machine, and is printed as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerCapabilities {
    /// What holds for those that are not named.
    pub policy: Option<ContainerPolicy>,
    /// Each by its name.
    pub states: Vec<(String, OnOff)>,
}

impl Part for ContainerCapabilities {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        self.policy = cx.attr(el, "policy");
        let state = |e: El<'_>| Some((e.name().to_string(), cx.need(e, "state")?));
        self.states = el.children().inspect(|e| e.mark_all()).filter_map(state).collect();
    }
    fn print_attrs(&self, out: &mut XmlWriter) {
        print_attr(out, "policy", &self.policy);
    }
    fn print_body(&self, out: &mut XmlWriter) {
        for (name, state) in &self.states {
            out.raw(&format!("<{name} state='{}'/>", state.as_str()));
        }
    }
    fn shape(shape: &mut Shape) {
        shape.attr("policy");
    }
}

model! {
    /// `<features>`
    pub struct Features = "features" {
        flag acpi: bool = "acpi",
        mark apic: Apic,
        flag pae: bool = "pae",
        child hap: Switch = "hap",
        flag viridian: bool = "viridian",
        flag privnet: bool = "privnet",
        mark hyperv: Hyperv,
        mark kvm: KvmFeatures,
        child pvspinlock: Switch = "pvspinlock",
        child pmu: Switch = "pmu",
        child vmport: Switch = "vmport",
        child gic: Gic,
        child smm: Smm,
        child ioapic: Ioapic,
        child hpt: Hpt,
        child capabilities: ContainerCapabilities = "capabilities",
        child vmcoreinfo: Switch = "vmcoreinfo",
        child htm: Switch = "htm",
        child nested_hv: Switch = "nested-hv",
        child msrs: Msrs,
        child ccf_assist: Switch = "ccf-assist",
        mark xen: XenFeatures,
        child cfpc: Choice<Cfpc> = "cfpc",
        child sbbc: Choice<Sbbc> = "sbbc",
        child ibs: Choice<Ibs> = "ibs",
        child tcg: Tcg,
        child async_teardown: AsyncTeardown,
        child ras: Switch = "ras",
        mark virtualization: Switch = "virtualization",
        child ps2: Switch = "ps2",
        child aia: Choice<Aia> = "aia",
    }
}

impl Features {
    /// Whether nothing is there, so that the element is not printed.
    pub fn is_empty(&self) -> bool {
        Features { site: Site::NONE, ..self.clone() } == Features::default()
    }
}
