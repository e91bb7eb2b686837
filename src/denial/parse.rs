//! Lines of the audit log, of the kernel's ring buffer and of the journal.

use super::fields::Fields;
use super::{Denial, Module, Object};
use crate::plan::Perms;

/// Every denial of a text, with the number of its line (from 1). Other lines are passed over; those of the
/// same event (`type=PATH`) give an SELinux denial its full path.
pub fn records(text: &str) -> Vec<(usize, Denial)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(mut denial) = record(line) else { continue };
        if let Object::File { path, .. } = &mut denial.object
            && !path.starts_with('/')
            && let Some(full) = full_path(text, line, path)
        {
            *path = full;
        }
        found.push((at + 1, denial));
    }
    found
}

/// One line; none if it is no denial.
fn record(line: &str) -> Option<Denial> {
    if line.contains("apparmor=") {
        return apparmor(line);
    }
    if line.contains("avc:") && line.contains("denied") {
        return selinux(line);
    }
    None
}

fn apparmor(line: &str) -> Option<Denial> {
    let fields = Fields::of(line);
    let allowed = match fields.get("apparmor")? {
        "DENIED" => false,
        "ALLOWED" | "AUDIT" => true,
        _ => return None,
    };
    let operation = fields.get("operation").unwrap_or("access").to_string();
    let name = fields.decoded("name");
    let peer = || fields.decoded("peer").or_else(|| fields.decoded("peer_label")).unwrap_or_default();
    let object = match operation.as_str() {
        "capable" => Object::Capability(fields.get("capname").unwrap_or("?").to_ascii_lowercase()),
        "ptrace" | "signal" => Object::Process(peer()),
        "change_onexec" | "change_profile" | "change_hat" => Object::Confinement(name.unwrap_or_default()),
        "mount" | "umount" | "pivotroot" | "remount" => {
            Object::Other(format!("{operation} {}", name.unwrap_or_default()))
        }
        _ => match (fields.get("family"), name) {
            (Some("unix"), None) => match fields.decoded("addr").filter(|a| a.starts_with('/')) {
                Some(path) => file(path, fields.get("requested_mask")),
                None => Object::Other("a UNIX socket".to_string()),
            },
            (Some(family), _) => Object::Network(format!("{family} {}", fields.get("sock_type").unwrap_or(""))),
            (None, Some(path)) => file(path, fields.get("denied_mask").or(fields.get("requested_mask"))),
            (None, None) => Object::Other(operation.clone()),
        },
    };
    let subject = fields.decoded("profile").or_else(|| fields.decoded("label"))?;
    Some(Denial { module: Module::Apparmor, subject, comm: fields.decoded("comm"), operation, object, allowed })
}

fn file(path: String, mask: Option<&str>) -> Object {
    let mut asked = Perms::default();
    let mask = mask.unwrap_or("r");
    if mask.contains("send") || mask.contains("receive") || mask.contains("connect") {
        asked = Perms { lock: false, ..Perms::READ_WRITE };
    } else {
        for letter in mask.chars() {
            match letter {
                'r' => asked.read = true,
                // Making and removing are writing to AppArmor.
                'w' | 'c' | 'd' => asked.write = true,
                'a' => asked.append = true,
                'k' => asked.lock = true,
                'l' => asked.link = true,
                'm' => asked.map = true,
                'x' => asked.execute = true,
                _ => {}
            }
        }
    }
    Object::File { path, asked, label: None }
}

fn selinux(line: &str) -> Option<Denial> {
    let fields = Fields::of(line);
    let open = line.find('{')?;
    let close = open + line[open..].find('}')?;
    let rights = line[open + 1..close].trim();
    let class = fields.get("tclass")?;
    let subject = fields.get("scontext")?.to_string();
    let target = fields.get("tcontext").unwrap_or_default().to_string();
    let path = fields.decoded("path").or_else(|| fields.decoded("name"));
    let object = match class {
        "file" | "blk_file" | "chr_file" | "dir" | "sock_file" | "fifo_file" | "lnk_file" | "filesystem" => {
            Object::File {
                path: path.unwrap_or_default(),
                asked: asked(rights),
                label: Some(target).filter(|t| !t.is_empty()),
            }
        }
        "capability" | "capability2" | "cap_userns" => Object::Capability(rights.to_string()),
        "process" | "process2" | "anon_inode" | "memprotect" if target == subject || target.is_empty() => {
            Object::Own(rights.to_string())
        }
        "process" | "process2" | "key" => Object::Process(target),
        "unix_stream_socket" | "unix_dgram_socket" => match path.filter(|p| p.starts_with('/')) {
            Some(path) => Object::File { path, asked: asked(rights), label: Some(target) },
            None => Object::Process(target),
        },
        _ if class.ends_with("_socket") => Object::Network(class.trim_end_matches("_socket").to_string()),
        _ => Object::Other(class.to_string()),
    };
    Some(Denial {
        module: Module::Selinux,
        subject,
        comm: fields.decoded("comm"),
        operation: format!("{class} {{ {rights} }}"),
        object,
        allowed: fields.get("permissive") == Some("1"),
    })
}

/// The permissions of the file classes, as far as a Plan tells them apart.
fn asked(rights: &str) -> Perms {
    let mut asked = Perms::default();
    for right in rights.split_whitespace() {
        match right {
            "write" | "append" | "create" | "unlink" | "rename" | "setattr" | "add_name" | "remove_name"
            | "connectto" => {
                asked.write = true;
            }
            "lock" => asked.lock = true,
            "execute" | "execute_no_trans" | "entrypoint" => asked.execute = true,
            "link" => asked.link = true,
            _ => asked.read = true,
        }
    }
    asked
}

/// The path that another record of the same event gives a file.
fn full_path(text: &str, line: &str, name: &str) -> Option<String> {
    let event = event(line)?;
    let inode = Fields::of(line).get("ino");
    text.lines().filter(|l| l.contains("type=PATH") && self::event(l) == Some(event)).find_map(|l| {
        let fields = Fields::of(l);
        let path = fields.decoded("name").filter(|p| p.starts_with('/'))?;
        let same = inode.is_some() && fields.get("inode") == inode;
        (same || path.rsplit('/').next() == Some(name)).then_some(path)
    })
}

/// `1700000000.123:45` of `msg=audit(1700000000.123:45)`.
fn event(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("audit(")?;
    Some(rest.split_once(')')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(line: &str) -> Denial {
        let mut all = records(line);
        assert_eq!(all.len(), 1, "{line}");
        all.remove(0).1
    }

    #[test]
    fn apparmor_lines() {
        let denial = only(
            r#"[ 12.3] audit: type=1400 audit(1700000000.1:62): apparmor="DENIED" operation="open" profile="libvirt-1//swtpm" name="/etc/shadow" pid=1 comm="qemu-system-x86" requested_mask="wc" denied_mask="wc" fsuid=1 ouid=0"#,
        );
        assert_eq!((denial.subject.as_str(), denial.allowed), ("libvirt-1//swtpm", false));
        let asked = Perms { write: true, ..Perms::default() };
        assert_eq!(denial.object, Object::File { path: "/etc/shadow".into(), asked, label: None });
        let denial = only(r#"apparmor="ALLOWED" operation="capable" profile="p" capability=1 capname="dac_override""#);
        assert_eq!((denial.object, denial.allowed), (Object::Capability("dac_override".into()), true));
        let denial = only(
            r#"apparmor="DENIED" operation="create" profile="p" family="inet" sock_type="stream" requested_mask="create""#,
        );
        assert_eq!(denial.object, Object::Network("inet stream".into()));
        assert!(records("apparmor=\"STATUS\" operation=\"profile_load\" profile=\"unconfined\"").is_empty());
        assert!(records("nothing\n\napparmor=\n").is_empty());
    }

    #[test]
    fn selinux_lines() {
        let text = "type=AVC msg=audit(1.5:7): avc:  denied  { read write } for  pid=1 comm=\"qemu-kvm\" name=\"a.img\" \
                    dev=\"sda1\" ino=12 scontext=system_u:system_r:svirt_t:s0:c1,c2 \
                    tcontext=system_u:object_r:default_t:s0 tclass=file permissive=0\n\
                    type=PATH msg=audit(1.5:7): item=0 name=\"/srv/a.img\" inode=12 dev=08:01 nametype=NORMAL\n";
        let Object::File { path, asked, label } = only(text).object else { panic!() };
        assert_eq!((path.as_str(), asked.read && asked.write), ("/srv/a.img", true));
        assert_eq!(label.as_deref(), Some("system_u:object_r:default_t:s0"));
        let denial = only("avc: denied { execmem } for pid=1 scontext=u:r:t:s0 tcontext=u:r:t:s0 tclass=process");
        assert_eq!((denial.operation.as_str(), denial.object), ("process { execmem }", Object::Own("execmem".into())));
        assert!(records("avc: denied { read ").is_empty());
        assert!(records("avc: denied } { for tclass=file scontext=x").is_empty());
    }
}
