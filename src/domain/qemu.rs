//! The `qemu:` namespace: arguments, capabilities, overrides and deprecation behaviour.

use crate::bind::{Binder, Part, Shape};
use crate::diag::codes::schema as codes;
pub use crate::schema::words::OverrideType;
use crate::xml::{El, Namespace, Site, XmlWriter};

/// `<qemu:arg value='…'/>`
#[derive(Clone, Debug, PartialEq)]
pub struct QemuArg {
    /// One token of the command line.
    pub value: String,
    /// Where it stands.
    pub site: Site,
}

/// `<qemu:env name='…' value='…'/>`
#[derive(Clone, Debug, PartialEq)]
pub struct QemuEnv {
    /// Name of the variable.
    pub name: String,
    /// Its value; without one the variable is set to nothing.
    pub value: Option<String>,
    /// Where it stands.
    pub site: Site,
}

/// `<qemu:add>` or `<qemu:del>`.
#[derive(Clone, Debug, PartialEq)]
pub struct CapabilityEdit {
    /// Add it, or remove it.
    pub add: bool,
    /// libvirt's name of the capability.
    pub capability: String,
    /// Where it stands.
    pub site: Site,
}

/// `<qemu:property name='…' type='…' value='…'/>` of the frontend of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct PropertyOverride {
    /// Alias of the device.
    pub alias: String,
    /// Name of the property.
    pub name: String,
    /// Its type.
    pub kind: OverrideType,
    /// Its value; none for `remove`.
    pub value: Option<String>,
    /// Where it stands.
    pub site: Site,
}

/// Everything of the `qemu:` namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QemuNamespace {
    /// `<qemu:commandline>`: further arguments.
    pub args: Vec<QemuArg>,
    /// `<qemu:commandline>`: environment.
    pub env: Vec<QemuEnv>,
    /// `<qemu:capabilities>`, additions first.
    pub capabilities: Vec<CapabilityEdit>,
    /// `<qemu:override>`
    pub overrides: Vec<PropertyOverride>,
    /// `<qemu:deprecation behavior='…'/>`
    pub deprecation: Option<String>,
}

impl QemuNamespace {
    /// Whether there is anything to print.
    pub fn is_present(&self) -> bool {
        *self != QemuNamespace::default()
    }
}

/// The children of `el` in the qemu namespace with this name, marked as used.
fn qemu_children<'d>(el: El<'d>, name: &'static str) -> impl Iterator<Item = El<'d>> {
    el.children().filter(move |e| e.namespace() == Namespace::Qemu && e.name() == name).inspect(|e| e.mark())
}

/// A value is of the type that is given beside it.
fn check_value(property: El<'_>, kind: Option<OverrideType>, value: Option<&str>, cx: &mut Binder<'_>) {
    let Some(value) = value else { return };
    let (fits, expected) = match kind {
        Some(OverrideType::Unsigned) => (value.trim().parse::<u64>().is_ok(), "a number, 0 or more"),
        Some(OverrideType::Signed) => (value.trim().parse::<i64>().is_ok(), "a number"),
        Some(OverrideType::Bool) => (matches!(value, "true" | "false"), "'true' or 'false'"),
        _ => return,
    };
    if !fits {
        let message = format!("<qemu:property>: '{value}' is no value of the type that is given beside it");
        let span = property.document().span_of_attr(property.site(), "value");
        cx.diags.error(&codes::WRONG_VALUE, span, message).help(format!("expected {expected}"));
    }
}

impl Part for QemuNamespace {
    fn bind(&mut self, el: El<'_>, cx: &mut Binder<'_>) {
        for commandline in qemu_children(el, "commandline") {
            for arg in qemu_children(commandline, "arg") {
                self.args.extend(cx.need(arg, "value").map(|value| QemuArg { value, site: arg.site() }));
            }
            for env in qemu_children(commandline, "env") {
                let value = cx.attr(env, "value");
                if let Some(name) = cx.need::<String>(env, "name") {
                    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                    if !valid {
                        cx.diags
                            .error(
                                &codes::WRONG_VALUE,
                                env.document().span_of_attr(env.site(), "name"),
                                format!("invalid environment variable name '{name}'"),
                            )
                            .help("a name begins with a letter or '_' and holds only letters, digits and '_'");
                    }
                    self.env.push(QemuEnv { name, value, site: env.site() });
                }
            }
        }
        for capabilities in qemu_children(el, "capabilities") {
            for (name, add) in [("add", true), ("del", false)] {
                for edit in qemu_children(capabilities, name) {
                    let capability = cx.need(edit, "capability");
                    self.capabilities.extend(capability.map(|capability| CapabilityEdit {
                        add,
                        capability,
                        site: edit.site(),
                    }));
                }
            }
        }
        for overrides in qemu_children(el, "override") {
            for device in qemu_children(overrides, "device") {
                let alias: Option<String> = cx.need(device, "alias");
                for property in qemu_children(device, "frontend").flat_map(|f| qemu_children(f, "property")) {
                    let (name, kind) = (cx.need(property, "name"), cx.need(property, "type"));
                    let value: Option<String> = cx.attr(property, "value");
                    check_value(property, kind, value.as_deref(), cx);
                    if let (Some(alias), Some(name), Some(kind)) = (&alias, name, kind) {
                        let alias = alias.clone();
                        self.overrides.push(PropertyOverride { alias, name, kind, value, site: property.site() });
                    }
                }
            }
        }
        for deprecation in qemu_children(el, "deprecation") {
            self.deprecation = cx.attr(deprecation, "behavior");
        }
    }

    fn print_attrs(&self, _: &mut XmlWriter) {}

    fn print_body(&self, out: &mut XmlWriter) {
        if !self.args.is_empty() || !self.env.is_empty() {
            out.start("qemu:commandline");
            for arg in &self.args {
                out.start("qemu:arg");
                out.attr("value", &arg.value);
                out.end();
            }
            for env in &self.env {
                out.start("qemu:env");
                out.attr("name", &env.name);
                if let Some(value) = &env.value {
                    out.attr("value", value);
                }
                out.end();
            }
            out.end();
        }
        if !self.capabilities.is_empty() {
            out.start("qemu:capabilities");
            for edit in &self.capabilities {
                out.start(if edit.add { "qemu:add" } else { "qemu:del" });
                out.attr("capability", &edit.capability);
                out.end();
            }
            out.end();
        }
        if !self.overrides.is_empty() {
            out.start("qemu:override");
            for device in self.overrides.chunk_by(|a, b| a.alias == b.alias) {
                out.start("qemu:device");
                out.attr("alias", &device[0].alias);
                out.start("qemu:frontend");
                for property in device {
                    out.start("qemu:property");
                    out.attr("name", &property.name);
                    out.attr("type", property.kind.as_str());
                    if let Some(value) = &property.value {
                        out.attr("value", value);
                    }
                    out.end();
                }
                out.end();
                out.end();
            }
            out.end();
        }
        if let Some(behavior) = &self.deprecation {
            out.start("qemu:deprecation");
            out.attr("behavior", behavior);
            out.end();
        }
    }

    fn shape(_: &mut Shape) {}
}
