//! `virtc explain --denial`: lines of the audit log, and what in a domain they concern.

use super::check::expand;
use super::inputs::{Source, World, read, report, use_color};
use super::{Exit, MessageFormatName, Shared, complain, print};
use crate::compile::Until;
use crate::denial::{Denial, Finding, Hints, Object, Verdict, belongs_to, judge, records, verbs};
use crate::diag::render::{Lines, Report, render_all};
use crate::diag::{Diagnostics, Span, codes::security as codes};
use crate::host::Host;
use crate::plan::{Cause, Plan};
use crate::probe::images;
use std::io::Read;
use std::path::PathBuf;

/// Where deployed trees keep their Plans.
const DEPLOYED: &str = "/usr/share/virtc";

/// A machine that a denial may be about.
struct Machine {
    source: Source,
    plan: Plan,
}

/// Explains every denial of `line`, or of standard input.
pub fn run(files: &[PathBuf], line: &str, shared: &Shared) -> Exit {
    let text = if line == "-" {
        let mut bytes = Vec::new();
        if let Err(e) = std::io::stdin().lock().read_to_end(&mut bytes) {
            complain(&format!("cannot read standard input: {e}"));
            return Exit::Environment;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        line.to_string()
    };
    let machines = match machines(files, shared) {
        Ok(machines) => machines,
        Err(exit) => return exit,
    };
    let denials = records(&text);
    if denials.is_empty() {
        complain(&format!(
            "{}: there is no denial in that; it is to hold apparmor=\"DENIED\" or avc: denied",
            codes::NOT_A_DENIAL.id
        ));
        return Exit::Input;
    }
    let hints: Vec<Hints> = machines.iter().map(|m| hints(&m.plan)).collect();
    let mut exit = Exit::Done;
    let mut answers = Vec::new();
    // The same thing is refused again and again: told once, with its number.
    let mut told: Vec<(Denial, usize)> = Vec::new();
    for (_, denial) in denials {
        match told.iter_mut().find(|(d, _)| *d == denial) {
            Some((_, count)) => *count += 1,
            None => told.push((denial, 1)),
        }
    }
    for (denial, count) in told {
        let own = machines.iter().position(|m| belongs_to(&denial, &m.plan).is_some());
        let finding = match own {
            Some(at) => answer(&denial, at, &machines, &hints),
            None => {
                exit = exit.and(Exit::Input);
                stranger(&denial, &machines)
            }
        };
        answers.push(Answer { denial, count, machine: own, finding });
    }
    exit.and(show(&answers, &machines, shared))
}

/// A denial with what was found.
struct Answer {
    denial: Denial,
    count: usize,
    machine: Option<usize>,
    finding: Finding,
}

/// Reads the machines: XML is compiled, a Plan is taken as it is. Without files: those that are deployed here.
fn machines(files: &[PathBuf], shared: &Shared) -> Result<Vec<Machine>, Exit> {
    let mut paths: Vec<PathBuf> = files.iter().flat_map(|f| expand(f)).collect();
    if files.is_empty() {
        let entries = std::fs::read_dir(DEPLOYED).into_iter().flatten().flatten();
        paths = entries.map(|e| e.path().join("plan.json")).filter(|p| p.is_file()).collect();
        paths.sort();
        if paths.is_empty() {
            complain(&format!("which machine? virtc explain FILE… --denial LINE (none is deployed in {DEPLOYED})"));
            return Err(Exit::Usage);
        }
    }
    let mut world = None;
    let mut machines = Vec::new();
    for path in &paths {
        let source = read(path)?;
        if source.bytes.trim_ascii_start().starts_with(b"{") {
            match Plan::read(&source.bytes) {
                Ok(plan) => machines.push(Machine { source, plan }),
                Err(e) => {
                    complain(&format!("{}: {e}", source.name));
                    return Err(Exit::Input);
                }
            }
            continue;
        }
        let world = match &mut world {
            Some(world) => world,
            None => world.insert(World::load(shared)?),
        };
        let compiled = world.compile_source(&source, Until::Planned);
        match compiled.plan {
            Some(plan) => machines.push(Machine { source, plan }),
            None => {
                report(&compiled.diags, &source, shared);
                return Err(Exit::Input);
            }
        }
    }
    Ok(machines)
}

/// What this host says about the paths of a machine; nothing where they are not.
fn hints(plan: &Plan) -> Hints {
    let mut host = Host::default();
    images::look(plan, &mut host);
    let mut hints = Hints::default();
    hints.links.extend(host.links.iter().map(|l| (l.path.clone(), l.to.clone())));
    for access in &plan.access {
        let mut now = access.path.as_str();
        // The chain was followed to a bounded depth; it may lead back to itself.
        for _ in 0..host.images.len() {
            let Some(image) = host.image(now) else { break };
            let named = image.backing.iter().chain(&image.data_file);
            for path in named {
                hints.backing.push((access.path.clone(), path.clone()));
                hints.backing.extend(host.resolve(path).map(|real| (access.path.clone(), real)));
            }
            match &image.backing {
                Some(backing) => now = backing,
                None => break,
            }
        }
    }
    hints
}

/// What a denial of a known machine means; what another machine owns is said to be its.
fn answer(denial: &Denial, at: usize, machines: &[Machine], hints: &[Hints]) -> Finding {
    let plan = &machines[at].plan;
    let process = belongs_to(denial, plan).unwrap_or("qemu");
    let mut finding = judge(denial, plan, process, &hints[at]);
    if finding.verdict == Verdict::Unasked
        && let Object::File { path, .. } = &denial.object
    {
        let others = machines.iter().enumerate().filter(|(i, _)| *i != at);
        let owner = others.into_iter().find_map(|(_, m)| Some((m, m.plan.access.iter().find(|a| a.path == *path)?)));
        if let Some((other, access)) = owner {
            finding.message = format!(
                "{process} wanted '{path}', which is of another machine: {} of '{}' ({}{})",
                access.cause.what,
                other.plan.name,
                other.source.name,
                if access.cause.line > 0 { format!(":{}", access.cause.line) } else { String::new() }
            );
            finding.cause = None;
            finding.help = "a guest has no business with the files of another: look at what it does".to_string();
        }
    }
    finding
}

/// A denial of no machine that was given.
fn stranger(denial: &Denial, machines: &[Machine]) -> Finding {
    let known: Vec<String> = machines
        .iter()
        .take(5)
        .map(|m| {
            let confinement = &m.plan.confinement;
            let name = match denial.module {
                crate::denial::Module::Apparmor => confinement.apparmor.as_ref().map(|a| a.profile.as_str()),
                crate::denial::Module::Selinux => confinement.selinux.as_ref().map(|s| s.process.as_str()),
            };
            format!("{} is '{}'", m.source.name, name.unwrap_or("not confined by it"))
        })
        .collect();
    Finding {
        verdict: Verdict::Unasked,
        cause: None,
        message: format!("the line is about '{}', which is none of these machines", denial.subject),
        help: known.join(", "),
    }
}

fn show(answers: &[Answer], machines: &[Machine], shared: &Shared) -> Exit {
    if shared.message_format == MessageFormatName::Json {
        return print(&answers.iter().map(|a| json(a, machines)).collect::<String>());
    }
    let texts: Vec<_> = machines.iter().map(|m| String::from_utf8_lossy(&m.source.bytes)).collect();
    let all: Vec<Diagnostics> = answers.iter().map(diagnostics).collect();
    let reports: Vec<Report<'_>> = answers
        .iter()
        .zip(&all)
        .map(|(answer, diags)| match answer.machine {
            Some(at) => Report { diags, name: &machines[at].source.name, text: &texts[at] },
            None => Report { diags, name: "", text: "" },
        })
        .collect();
    let mut out = Vec::new();
    let _ =
        render_all(&reports, shared.message_format.into(), use_color(shared), super::paper::message_width(), &mut out);
    print(&String::from_utf8_lossy(&out))
}

/// An answer as a message with its place.
fn diagnostics(answer: &Answer) -> Diagnostics {
    let mut diags = Diagnostics::new();
    let finding = &answer.finding;
    let span = finding.cause.as_ref().map_or(Span::NONE, |c| c.span);
    let did = if answer.denial.allowed { "noted, and let through" } else { "refused" };
    let times = if answer.count > 1 { format!(" ({} times)", answer.count) } else { String::new() };
    let module = answer.denial.module.as_str();
    let message = format!("{module} {did} {}{times}: {}", answer.denial.operation, finding.message);
    let said = match (answer.machine, finding.verdict) {
        (None, _) => diags.warning(&codes::NOT_A_DENIAL, span, message),
        (_, Verdict::Unasked) => diags.warning(&codes::DENIAL_UNASKED, span, message),
        _ => diags.note(&codes::DENIAL_ASKED, span, message),
    };
    if !finding.help.is_empty() {
        said.help(finding.help.clone());
    }
    diags
}

/// An answer as one line of JSON.
fn json(answer: &Answer, machines: &[Machine]) -> String {
    let Answer { denial, count, finding, .. } = answer;
    let machine = answer.machine.map(|at| &machines[at]);
    let object = match &denial.object {
        Object::File { path, asked, label } => {
            serde_json::json!({"path": path, "asked": verbs(*asked), "label": label})
        }
        Object::Capability(name) => serde_json::json!({"capability": name}),
        Object::Network(what) => serde_json::json!({"network": what}),
        Object::Process(peer) => serde_json::json!({"peer": peer}),
        Object::Own(right) => serde_json::json!({"right": right}),
        Object::Confinement(name) => serde_json::json!({"confinement": name}),
        Object::Other(what) => serde_json::json!({"other": what}),
    };
    let cause = finding.cause.as_ref().map(|cause| place(cause, machine));
    let line = serde_json::json!({
        "module": denial.module.as_str(),
        "subject": denial.subject,
        "comm": denial.comm,
        "operation": denial.operation,
        "object": object,
        "allowed": denial.allowed,
        "count": count,
        "machine": machine.map(|m| &m.plan.name),
        "process": machine.and_then(|m| belongs_to(denial, &m.plan)),
        "verdict": if machine.is_some() { finding.verdict.as_str() } else { "unknown-machine" },
        "cause": cause,
        "message": finding.message,
        "help": finding.help,
    });
    format!("{line}\n")
}

/// Where in a file something is said.
fn place(cause: &Cause, machine: Option<&Machine>) -> serde_json::Value {
    let mut place = serde_json::json!({"what": cause.what, "line": cause.line});
    if let Some(machine) = machine {
        place["file"] = machine.source.name.as_str().into();
        if !cause.span.is_none() {
            let text = String::from_utf8_lossy(&machine.source.bytes);
            let (line, column) = Lines::of(&text).place(cause.span.start);
            place["span"] =
                serde_json::json!({"start": cause.span.start, "end": cause.span.end, "line": line, "column": column});
        }
    }
    place
}
