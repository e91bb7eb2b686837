//! SELinux: which file gets which label, as a table for tools, as `file_contexts` for the policy, and as
//! a CIL module for what a distribution's policy lacks.

use super::artifact::Artifact;
use super::fit::Fitter;
use super::names::Names;
use super::template::{Fields, Templates};
use super::traced::Traced;
use crate::diag::Diagnostics;
use crate::escape::{
    CilContext, CilName, Escaped, FileContextsPath, SelinuxContext, TableField, TablePath, format::Selinux as Format,
};
use crate::plan::{Accelerator, Access, Cause, DirectoryRole, LabelRole, Need, PathKind, Plan, Role, Selinux, Use};
use crate::vocab::nodes::{Class, is_node};
use std::collections::{BTreeMap, BTreeSet};

/// The context that an access gives its file; none when the file is left as it is.
pub fn context_of<'a>(selinux: &'a Selinux, access: &'a Access) -> Option<&'a str> {
    match &access.label {
        LabelRole::Image => Some(&selinux.image),
        LabelRole::Shared => Some(&selinux.shared),
        LabelRole::Content => Some(&selinux.content),
        LabelRole::Explicit(label) => Some(label),
        LabelRole::Keep => None,
    }
}

/// What stands for a path in the row of the processes in the table of labels.
const OF_PROCESSES: &str = "(the processes)";

/// The context of a machine's processes, as its table of labels (`selinux/labels`) has it.
pub fn process_context(labels: &str) -> Option<&str> {
    let columns = labels.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    columns.filter(|columns| columns.get(2) == Some(&OF_PROCESSES)).find_map(|columns| columns.first().copied())
}

/// All SELinux artifacts; nothing when the domain is not confined by it.
pub fn emit(plan: &Plan, names: &Names, templates: &Templates, diags: &mut Diagnostics) -> Vec<Artifact> {
    let Some(selinux) = &plan.confinement.selinux else { return Vec::new() };
    let mut out = Vec::new();
    let mut fit = Fitter::new(diags);
    let Some(process) = fit.fit::<SelinuxContext>(&selinux.process, &selinux.cause) else { return out };

    let mut labels = Traced::plain("# context\trestore\tpath\treason\n");
    let of_processes = format!("{process}\t-\t{OF_PROCESSES}\t{}", cause_text(&selinux.cause, &mut fit));
    labels.push(&of_processes, &selinux.cause);
    labels.push_str("\n");
    let mut files: BTreeMap<&str, (&Access, &str)> = BTreeMap::new();
    if selinux.relabel {
        for access in &plan.access {
            if let Some(context) = context_of(selinux, access) {
                files.entry(&access.path).or_insert((access, context));
            }
        }
    }
    let mut records = Vec::new();
    let mut labels_of_module = Vec::new();
    // Nodes below /dev are labelled by udev as they appear.
    let folders = plan.directories.iter().filter(|d| selinux.relabel && d.role != DirectoryRole::Log);
    for directory in folders {
        labels_of_module.extend(filecon(&directory.path, PathKind::Tree, &selinux.image, &directory.cause, &mut fit));
    }
    for (path, (access, context)) in &files {
        let Some(context) = fit.fit::<SelinuxContext>(context, &access.cause) else { continue };
        let Some(field) = fit.fit::<TablePath>(path, &access.cause) else { continue };
        let restore = if access.restore_label { "yes" } else { "no" };
        let line = format!("{context}\t{restore}\t{field}\t{}", cause_text(&access.cause, &mut fit));
        labels.push(&line, &access.cause);
        labels.push_str("\n");
        let real = access.resolved.as_deref().unwrap_or(path);
        records.extend(file_contexts(real, access, context, &mut fit));
        let made = plan.directories.iter().any(|d| d.path == real);
        let label = files.get(path).map_or("", |(_, context)| context);
        if !made && !is_node(real) {
            labels_of_module.extend(filecon(real, access.kind, label, &access.cause, &mut fit));
        }
    }
    let mut fields = Fields::new();
    title(plan, &mut fit, &mut fields);
    fields.list("files", records);
    let types = BTreeSet::from_iter(labels_of_module.iter().map(|(kind, _)| kind.clone()));
    let module = cil(plan, selinux, &mut fit).map(|mut module| {
        module.list("labels", types.iter().map(|name| type_record(name)).collect());
        module.list("files", labels_of_module.into_iter().map(|(_, record)| record).collect());
        module
    });
    out.push(Artifact::traced(names.share("selinux/labels"), labels));
    out.push(Artifact::new(names.share("selinux/booleans"), booleans(plan, selinux)));
    out.push(Artifact::traced(names.share("selinux/file_contexts"), templates.render("file_contexts", &fields, diags)));
    if let Some(fields) = module {
        // The name of the file is the name of the module, which takes no backslash.
        out.push(Artifact::traced(
            names.share(&format!("selinux/virtc_{}.cil", short(plan))),
            templates.render("cil", &fields, diags),
        ));
    }
    out
}

/// A name that tells the modules of domains apart: the UUID without hyphens.
pub fn short(plan: &Plan) -> String {
    plan.uuid.chars().filter(char::is_ascii_hexdigit).collect()
}

fn cause_text(cause: &Cause, fit: &mut Fitter<'_>) -> String {
    let what = if cause.what.is_empty() { "the domain" } else { cause.what.as_ref() };
    let what = fit.fit::<TableField>(what, cause).map(|t| t.to_string()).unwrap_or_default();
    Cause { what: what.into(), ..cause.clone() }.to_string()
}

fn title(plan: &Plan, fit: &mut Fitter<'_>, fields: &mut Fields<Format>) {
    fields.maybe::<Comment>("title", fit.fit(&plan.name, &Cause::default()));
}

/// A comment.
struct Comment;

impl crate::escape::Language for Comment {
    type Format = Format;
    const NAME: &'static str = "a comment";
    fn spell(value: &str, out: &mut String) -> Result<(), crate::escape::Unfit> {
        crate::escape::spell_comment(value, out);
        Ok(())
    }
}

/// The lines of one path: a pipe may have two ends, a tree has what is below.
fn file_contexts(
    path: &str,
    access: &Access,
    context: Escaped<SelinuxContext>,
    fit: &mut Fitter<'_>,
) -> Vec<Fields<Format>> {
    let (kind, end) = match access.kind {
        PathKind::File => ("--\t", ""),
        PathKind::BlockDevice => ("-b\t", ""),
        PathKind::CharDevice => ("-c\t", ""),
        PathKind::Directory => ("-d\t", ""),
        PathKind::Files => ("", "(/[^/]*)?"),
        PathKind::Tree => ("", "(/.*)?"),
        PathKind::Socket => ("-s\t", ""),
        PathKind::Pipe => ("-p\t", "(\\.in|\\.out)?"),
    };
    let Some(path) = fit.fit::<FileContextsPath>(path, &access.cause) else { return Vec::new() };
    let mut record = Fields::new();
    record.traced("path", path.between("", end), &[&access.cause]).word("kind", kind).put("context", context);
    vec![record]
}

/// The type of a context.
fn type_of(context: &str) -> &str {
    context.split(':').nth(2).unwrap_or_default()
}

fn type_record(name: &str) -> Fields<Format> {
    let mut record = Fields::new();
    record.maybe::<CilName>("type", Escaped::new(name).ok());
    record
}

/// The label of a path in the module, and its type.
fn filecon(
    path: &str,
    kind: PathKind,
    context: &str,
    cause: &Cause,
    fit: &mut Fitter<'_>,
) -> Option<(String, Fields<Format>)> {
    let (object, end) = match kind {
        PathKind::File => ("file", ""),
        PathKind::BlockDevice => ("block", ""),
        PathKind::CharDevice => ("char", ""),
        PathKind::Directory => ("dir", ""),
        PathKind::Files => ("any", "(/[^/]*)?"),
        PathKind::Tree => ("any", "(/.*)?"),
        PathKind::Socket => ("socket", ""),
        PathKind::Pipe => ("pipe", "(\\.in|\\.out)?"),
    };
    let mut record = Fields::new();
    record.traced("path", fit.fit::<FileContextsPath>(path, cause)?.between("", end), &[cause]).word("object", object);
    record.put("context", fit.fit::<CilContext>(context, cause)?);
    Some((type_of(context).to_string(), record))
}

/// The module: the start by systemd, and emulation for types that the policy does not let make code.
fn cil(plan: &Plan, selinux: &Selinux, fit: &mut Fitter<'_>) -> Option<Fields<Format>> {
    let process = fit.fit::<CilName>(type_of(&selinux.process), &selinux.cause)?;
    let mut fields = Fields::new();
    title(plan, fit, &mut fields);
    fields.maybe::<CilName>("module", fit.fit(&format!("virtc_{}", short(plan)), &selinux.cause));
    let types: BTreeSet<String> = BTreeSet::from([process.to_string()]);
    fields.list("types", types.iter().map(|t| type_record(t)).collect());
    fields.list("processes", types.iter().map(|t| type_record(t)).collect());
    fields.maybe::<CilName>("image", fit.fit(type_of(&selinux.image), &selinux.cause));
    let in_file = |a: &Access| matches!(a.usage, Use::Memory | Use::SharedMemory | Use::ErrorLog);
    let module = fit.fit::<CilName>(&format!("virtc_{}", short(plan)), &selinux.cause)?;
    let named = |names: &[&'static str], wanted: bool| -> Vec<Fields<Format>> {
        let record = |name: &&'static str| {
            let mut record = Fields::new();
            record.put("module", module.clone()).put("type", process.clone()).word("name", name);
            record
        };
        if wanted { names.iter().map(record).collect() } else { Vec::new() }
    };
    let foreign = plan.access.iter().any(|a| is_foreign(plan, a));
    fields.list("programs", named(PROGRAMS, plan.processes.iter().any(|p| p.role != Role::Qemu)));
    fields.list("peers", named(PEERS, !plan.connects.is_empty() || foreign));
    fields.flag("bus", plan.processes.iter().any(|p| p.role == Role::Dbus));
    fields.flag("tap", !plan.links.is_empty() || plan.processes.iter().any(|p| p.needs(Need::Tap)));
    fields.flag("special", foreign || plan.access.iter().any(|a| a.kind == PathKind::Pipe));
    fields.list("capabilities", capabilities(plan, &process));
    fields.flag("usb", plan.processes.iter().any(|p| p.needs(Need::Usb)));
    fields.flag("spice", plan.processes.iter().any(|p| p.needs(Need::Spice)));
    fields.flag("memory", plan.access.iter().any(in_file));
    fields.flag("links", plan.access.iter().any(Access::may_be_behind_link));
    fields.flag("emulated", plan.accelerator == Accelerator::Tcg && process.as_str() != "svirt_tcg_t");
    Some(fields)
}

/// Types of programs that are helpers: of most, and those that some policies have for one.
const PROGRAMS: &[&str] = &["bin_t", "lib_t", "dbusd_exec_t", "swtpm_exec_t", "passt_exec_t", "virtiofsd_exec_t"];

/// Types of services that no policy knows, in one distribution and another.
const PEERS: &[&str] = &["initrc_t", "unconfined_service_t", "unconfined_t"];

/// Whether a program that is none of the machine's listens at a socket.
fn is_foreign(plan: &Plan, access: &Access) -> bool {
    access.kind == PathKind::Socket && !plan.sockets.iter().any(|s| s.path == access.path)
}

/// Those that the kernel has in a class of their own, from `CAP_MAC_OVERRIDE` on (linux/security/selinux/include/classmap.h).
const OF_SECOND_CLASS: &[&str] = &[
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// What the processes of the domain may do besides, a record each.
fn capabilities(plan: &Plan, of: &Escaped<CilName>) -> Vec<Fields<Format>> {
    let given = plan.processes.iter().flat_map(|p| p.capabilities.iter());
    let mut names = BTreeSet::from_iter(given.map(|c| c.strip_prefix("CAP_").unwrap_or(c).to_ascii_lowercase()));
    if names.contains("dac_override") {
        // Which the kernel asks for first.
        names.insert("dac_read_search".to_string());
    }
    let record = |name: &String| {
        let mut record = Fields::new();
        record.put("type", of.clone()).maybe::<CilName>("name", Escaped::new(name).ok());
        record.word("class", if OF_SECOND_CLASS.contains(&name.as_str()) { "capability2" } else { "capability" });
        record
    };
    names.iter().map(record).collect()
}

/// Booleans of the policy that this domain needs, with the reason.
fn booleans(plan: &Plan, selinux: &Selinux) -> String {
    let mut out = String::from("# boolean\treason\n");
    let any = |prefix: &str| plan.access.iter().any(|a| a.path.starts_with(prefix));
    let of = |class: Class| plan.access.iter().any(|a| Class::of(&a.path) == Some(class));
    let mut need = |name: &str, reason: &str| out.push_str(&format!("{name}\t{reason}\n"));
    if plan.accelerator == Accelerator::Tcg && type_of(&selinux.process) != "svirt_tcg_t" {
        need("virt_use_execmem", "QEMU's own emulation; or install the CIL module");
    }
    if of(Class::Usb) {
        need("virt_use_usb", "USB devices of the host");
    }
    if of(Class::Vfio) || any("/sys/") {
        need("virt_use_sysfs", "PCI devices of the host");
    }
    if any("/dev/ttyS") || any("/dev/ttyUSB") {
        need("virt_use_comm", "serial ports of the host");
    }
    for (mount, kind) in &selinux.unlabelled {
        match boolean_of_mount(kind) {
            Some(boolean) => need(boolean, &format!("files on {} ({kind})", plain(mount))),
            None => need(
                "-",
                &format!(
                    "files on {} ({kind}), which has no labels: mount it with context=\"{}\"",
                    plain(mount),
                    selinux.image
                ),
            ),
        }
    }
    out.push_str("# If the file lies there: virt_use_nfs (NFS), virt_use_samba (CIFS), virt_use_fusefs (FUSE).\n");
    out
}

/// File systems without labels of their own: the type that all their files have, and the boolean that opens it.
const UNLABELLED: [(&str, &str); 3] =
    [("nfs_t", "virt_use_nfs"), ("cifs_t", "virt_use_samba"), ("fusefs_t", "virt_use_fusefs")];

/// The boolean that opens a file system, by its name in the table of mounts.
fn boolean_of_mount(file_system: &str) -> Option<&'static str> {
    boolean_of_type(match file_system {
        "nfs" | "nfs4" => "nfs_t",
        "cifs" | "smb3" => "cifs_t",
        kind if kind == "fuse" || kind.starts_with("fuse.") || kind == "fuseblk" => "fusefs_t",
        _ => return None,
    })
}

/// The boolean that opens a file system, by the type of its files.
pub fn boolean_of_type(label_type: &str) -> Option<&'static str> {
    UNLABELLED.iter().find(|(name, _)| *name == label_type).map(|(_, boolean)| *boolean)
}

/// A value in a table that only people read.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
