//! The TPM emulator: a process of its own beside QEMU.

use super::{Backend, Tpm, TpmSourceKind, TpmVersion};
use crate::diag::codes::{emit, hostdev as codes};
use crate::plan::{
    Arg, Cause, Directory, DirectoryRole, Inherited, Instance, PathKind, Process, Ready, Role, Setup, Use,
};
use crate::stage::{Grant, Lower};

/// Checks that the host's emulator can do it, and gives the socket on which QEMU talks to it. For a
/// standalone guest the emulator becomes a process of the Plan.
pub fn start(tpm: &Tpm, lx: &mut Lower<'_>) -> String {
    let version = tpm.backend.as_ref().and_then(|b| b.version).unwrap_or(TpmVersion::V20);
    let swtpm = lx.env.host.swtpm.as_ref();
    let site = tpm.backend.as_ref().map_or(tpm.site, |b| b.site);
    if let Some(swtpm) = swtpm
        && !swtpm.tpm_versions.is_empty()
        && !swtpm.tpm_versions.iter().any(|v| v == version.as_str())
    {
        lx.error(
            &codes::TPM,
            site,
            format!("<backend version='{version}'>: the TPM that libvirt's format knows is '1.2' or '2.0'"),
        )
        .help("the host facts list the versions that the host's swtpm offers");
    }
    if lx.env.has_parent() {
        return match swtpm.and_then(|s| s.socket.clone()) {
            Some(socket) => socket,
            None => format!("/run/libvirt/qemu/swtpm/{}-swtpm.sock", lx.paths.short),
        };
    }
    standalone(tpm, version, lx)
}

/// A TPM that libvirt has made: a new empty one in its place would cost what is sealed with it, such as the key of a disk.
fn inherit(state: &str, version: TpmVersion, cause: &Cause, lx: &mut Lower<'_>) {
    if lx.plan.instance != Instance::System {
        return;
    }
    let (folder, file) = match version {
        TpmVersion::V12 => ("tpm1.2", "tpm-00.permall"),
        TpmVersion::V20 => ("tpm2", "tpm2-00.permall"),
    };
    lx.plan.inherited.push(Inherited {
        path: format!("{state}/{file}"),
        from: format!("/var/lib/libvirt/swtpm/{}/{folder}/{file}", lx.plan.uuid),
        cause: cause.clone(),
    });
}

fn standalone(tpm: &Tpm, version: TpmVersion, lx: &mut Lower<'_>) -> String {
    let id = format!("swtpm-{}", tpm.info.id);
    let cause = lx.cause(tpm.site, "tpm");
    let socket = format!("{}/{id}.sock", lx.paths.run);
    let backend = tpm.backend.clone().unwrap_or_default();
    let (state, kind) = match &backend.source {
        Some(source) => {
            let kind = if source.kind == Some(TpmSourceKind::File) { PathKind::File } else { PathKind::Tree };
            (lx.must(source.path.clone(), "the path of the TPM's state", source.site), kind)
        }
        None => {
            let path = format!("{}/tpm{}", lx.paths.lib, if version == TpmVersion::V20 { "2" } else { "1.2" });
            lx.plan.directories.push(Directory {
                role: DirectoryRole::State,
                path: path.clone(),
                mode: 0o700,
                cause: cause.clone(),
            });
            inherit(&path, version, &cause, lx);
            (path, PathKind::Tree)
        }
    };
    // swtpm splits its options at commas and knows no escape for them.
    if state.contains(',') || socket.contains(',') {
        lx.error(&emit::NOT_EXPRESSIBLE, tpm.site, "swtpm cannot take a path with a comma");
    }
    let mut args = vec![Arg::switch("socket", cause.clone())];
    let mut option = |switch: &'static str, text: String| args.push(Arg::text(switch, text, cause.clone()));
    option("--ctrl", format!("type=unixio,path={},mode=0600", socket));
    option(
        "--tpmstate",
        if kind == PathKind::File {
            format!("backend-uri=file://{}", state)
        } else {
            format!("dir={},mode=0600", state)
        },
    );
    if let Some(debug) = backend.debug {
        option("--log", format!("level={debug}"));
    }
    let mut switches = vec!["--terminate"];
    if version == TpmVersion::V20 {
        switches.push("--tpm2");
    }
    args.extend(switches.into_iter().map(|s| Arg::switch(s, cause.clone())));
    if let Some(encryption) = &backend.encryption {
        let path = format!("{}/{id}.key", lx.paths.run);
        let source = lx.must(encryption.secret.clone(), "the secret of the TPM's state", encryption.site);
        lx.plan.secrets.push(crate::plan::Secret {
            id: format!("{id}-key"),
            path: path.clone(),
            source,
            base64: false,
            cause: cause.clone(),
        });
        let text = format!("pwdfile={},mode=aes-256-cbc", path);
        args.push(Arg::text("--key", text, cause.clone()));
    }
    set_up(&backend, version, &id, &state, kind, &cause, lx);
    lx.touch_by(&id, &state, Grant::HELPER_STATE.on(kind), Use::TpmState, tpm.site, "tpm: state");
    lx.listens(&id, &socket, &cause);
    lx.touch(&socket, Grant::HELPER_SOCKET, Use::Tpm, tpm.site, "tpm");
    // libvirt's swtpm has an account for all machines: here it has that of the machine, whose folder it serves from.
    lx.plan.processes.push(Process {
        role: Role::Swtpm,
        id,
        program: "/usr/bin/swtpm".to_string(),
        args,
        ready: Ready::Socket(socket.clone()),
        cause,
        ..Process::default()
    });
    socket
}

/// A TPM as its maker would hand it over: with an endorsement key, and the banks and the profile that the domain asks for. One
/// that is there keeps what it has, but for the banks. (Certificates of the key are signed by an authority of the host, whose
/// key the account of a machine cannot read; nothing in a guest needs them but remote attestation.)
/// Source: swtpm_setup(8).
fn set_up(
    backend: &Backend,
    version: TpmVersion,
    id: &str,
    state: &str,
    kind: PathKind,
    cause: &Cause,
    lx: &mut Lower<'_>,
) {
    let mut common = Vec::new();
    if version == TpmVersion::V20 {
        common.push("--tpm2".to_string());
    }
    let place = if kind == PathKind::File { format!("file://{state}") } else { state.to_string() };
    common.extend(["--tpmstate".to_string(), place]);
    if backend.encryption.is_some() {
        let key = lx.plan.secrets.iter().find(|s| s.id == format!("{id}-key")).map(|s| s.path.clone());
        let key = lx.must(key, "the file with the key of the TPM's state", backend.site);
        common.extend(["--pwdfile".to_string(), key, "--cipher".into(), "aes-256-cbc".into()]);
    }
    let mut make = common.clone();
    make.extend(["--createek", "--lock-nvram", "--not-overwrite"].map(String::from));
    let profile = backend.profile.as_ref().and_then(|p| Some((p, p.source.clone().or_else(|| p.name.clone())?)));
    if let Some((profile, name)) = &profile {
        make.extend(["--profile-name".to_string(), name.clone()]);
        if let Some(how) = &profile.remove_disabled {
            make.extend(["--profile-remove-disabled".to_string(), how.clone()]);
        }
    }
    let banks = backend.banks.0.as_ref().filter(|banks| version == TpmVersion::V20 && !banks.is_empty());
    let mut setup = |args: Vec<String>, optional: bool| {
        lx.plan.setups.push(Setup {
            process: id.to_string(),
            program: "/usr/bin/swtpm_setup".to_string(),
            args,
            optional,
            cause: cause.clone(),
        })
    };
    setup(make, profile.is_none() && banks.is_none());
    if let Some(banks) = banks {
        common.extend(["--reconfigure".to_string(), "--pcr-banks".to_string(), banks.join(",")]);
        setup(common, false);
    }
}
