//! A denial held against a Plan: who asked for it, or that nobody did, and what helps.

use super::file::FileDenial;
use super::finding::{Finding, Hints, Verdict, policy_help, unasked};
use super::{Denial, Module, Object};
use crate::plan::{Accelerator, Plan, Role};

/// The process of a domain that a denial is about, by its id; none if it is of another domain.
pub fn belongs_to<'a>(denial: &Denial, plan: &'a Plan) -> Option<&'a str> {
    let by_name = || {
        let comm = denial.comm.as_deref()?;
        let process = plan.processes.iter().find(|p| {
            let program = p.program.rsplit('/').next().unwrap_or_default();
            // The kernel keeps 15 bytes of a name.
            program == comm || (comm.len() == 15 && program.starts_with(comm))
        })?;
        Some(process.id.as_str())
    };
    let qemu = || plan.qemu().map(|q| q.id.as_str());
    match denial.module {
        Module::Apparmor => {
            let profile = plan.confinement.apparmor.as_ref()?.profile.as_str();
            if let Object::Confinement(name) = &denial.object
                && name.split("//").next() == Some(profile)
            {
                return qemu();
            }
            match denial.subject.strip_prefix(profile)? {
                "" => qemu(),
                rest => {
                    let helper = rest.strip_prefix("//")?;
                    plan.processes.iter().find(|p| p.id == helper).map(|p| p.id.as_str()).or_else(qemu)
                }
            }
        }
        Module::Selinux => {
            let own = plan.confinement.selinux.as_ref()?.process.as_str();
            // The pair of categories is the domain's own, whatever type a helper has.
            let range = |context: &str| context.splitn(4, ':').nth(3).map(str::to_string);
            let same = range(own).is_some_and(|r| r.contains(':') && Some(r) == range(&denial.subject));
            (own == denial.subject || same).then(|| by_name().or_else(qemu)).flatten()
        }
    }
}

/// What a denial of a process of the domain means.
pub fn judge(denial: &Denial, plan: &Plan, process: &str, hints: &Hints) -> Finding {
    match &denial.object {
        Object::File { path, asked, label } => {
            FileDenial { denial, plan, process, path, asked: *asked, label: label.as_deref(), hints }.judge()
        }
        Object::Capability(name) => capability(plan, process, name),
        Object::Network(what) => unasked(
            format!("{process} wanted a network socket ({what}), and nothing in the domain uses the network that way"),
            "if it is meant, give the domain the display, character device or network disk that needs it",
        ),
        Object::Process(peer) => unasked(
            format!("{process} wanted to reach the process confined as '{peer}' ({})", denial.operation),
            "a guest has no business with other processes: look at what it does",
        ),
        Object::Own(right) => own_right(plan, right),
        Object::Confinement(name) => Finding {
            verdict: Verdict::Granted,
            cause: plan.confinement.apparmor.as_ref().map(|a| a.cause.clone()),
            message: format!(
                "the process could not enter the profile '{name}': it is not loaded, or not under this name"
            ),
            help: format!("apparmor_parser --replace /etc/apparmor.d/libvirt/{name}"),
        },
        Object::Other(what) => unasked(
            format!("{process} was refused '{what}', which no domain of virtc asks for"),
            "if it is meant, add a rule to the local part of the profile or policy",
        ),
    }
}

fn capability(plan: &Plan, process: &str, name: &str) -> Finding {
    let full = format!("CAP_{}", name.to_ascii_uppercase());
    let found = plan.processes.iter().find(|p| p.id == process && p.capabilities.iter().any(|c| *c == full));
    match found {
        Some(found) => Finding {
            verdict: Verdict::Granted,
            cause: Some(found.cause.clone()),
            message: format!("{} needs {full}, and what virtc makes leaves it to {process}", found.cause),
            help: "build and deploy again, and restart the machine".to_string(),
        },
        None => unasked(
            format!("{process} tried to use {full}, which no device of the domain needs"),
            "QEMU and its libraries try some at every start, without harm; rawio='yes' and the like ask for the rest",
        ),
    }
}

fn own_right(plan: &Plan, right: &str) -> Finding {
    let cause = plan.confinement.selinux.as_ref().map(|s| s.cause.clone());
    let emulated = plan.accelerator == Accelerator::Tcg;
    if right.contains("execmem") && emulated {
        return Finding {
            verdict: Verdict::Policy,
            cause: plan.processes.iter().find(|p| p.role == Role::Qemu).map(|p| p.cause.clone()),
            message: "QEMU's own emulation writes code and runs it, and the type of the process may not".to_string(),
            help: format!("setsebool -P virt_use_execmem on; or {}", policy_help(plan)),
        };
    }
    Finding {
        verdict: Verdict::Policy,
        cause,
        message: format!("the policy of the host does not let the processes of a guest {right}"),
        help: policy_help(plan),
    }
}
