//! Secrets of a unit: credentials of systemd. They lie on the host encrypted with a key of its own, and only the processes of
//! the unit see what is in them; the run-time folder, where the runner puts them, does not outlive a stop.
//!
//! Sources: systemd.exec(5), `LoadCredentialEncrypted=`; systemd-creds(1).

use super::Lines;
use crate::diag::codes::emit::CREDENTIAL;
use crate::emit::fit::Fitter;
use crate::emit::names::Names;
use crate::escape::{UnitRest, UnitWord};
use crate::plan::{Arg, Instance, Plan, Process, Secret};

/// Where encrypted credentials of the system lie.
const STORE: &str = "/etc/credstore.encrypted";

/// The secrets that a process reads.
fn of<'a>(plan: &'a Plan, process: &'a Process) -> impl Iterator<Item = &'a Secret> {
    plan.secrets.iter().filter(|s| process.args.iter().any(|arg| arg.mentions(&s.path)))
}

/// Where a process of a unit finds a secret.
pub fn path(process: &Process, secret: &Secret, names: &Names) -> String {
    // That of a user is named from his own folder: `in_session`.
    format!("/run/credentials/{}/{}", names.unit_name(process), secret.credential())
}

/// The secrets of a process and the paths of their credentials.
pub fn paths<'a>(plan: &'a Plan, process: &'a Process, names: &Names) -> Vec<(&'a Secret, String)> {
    of(plan, process).map(|secret| (secret, path(process, secret, names))).collect()
}

/// An argument as the unit has it.
pub fn in_unit(arg: &Arg, credentials: &[(&Secret, String)]) -> Arg {
    let change = |text: &str| credentials.iter().fold(text.to_string(), |text, (s, path)| text.replace(&s.path, path));
    arg.with_texts(&change)
}

/// What has to be there before the start.
pub(super) fn asserted(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    for secret in of(plan, process).filter(|_| plan.instance == Instance::System) {
        let file = format!("{STORE}/{}", secret.credential());
        lines.from(&secret.cause);
        lines.maybe("AssertPathExists", fit.fit::<UnitRest>(&file, &secret.cause));
    }
}

/// `LoadCredentialEncrypted=`. A user's systemd has no key, so that his are as they are.
pub(super) fn load(plan: &Plan, process: &Process, fit: &mut Fitter<'_>, lines: &mut Lines) {
    for secret in of(plan, process) {
        let name = secret.credential();
        let Some(word) = fit.fit::<UnitWord>(&name, &secret.cause) else { continue };
        lines.because(&secret.cause);
        let (key, store, how) = match plan.instance {
            Instance::System => (
                "LoadCredentialEncrypted",
                ":/etc/credstore.encrypted/",
                format!("systemd-creds encrypt --name={name} FILE {STORE}/{name}"),
            ),
            Instance::Session => (
                "LoadCredential",
                ":%h/.config/credstore/",
                format!("install -m 600 -D FILE ~/.config/credstore/{name}"),
            ),
        };
        lines.push(key, word.clone().between("", store).joined(&word));
        fit.note(
            &CREDENTIAL,
            &secret.cause,
            format!("{}: the unit takes the secret '{}' from the credential {name}", secret.cause.what, secret.source),
            format!("before the first start: {how}"),
        );
    }
}
