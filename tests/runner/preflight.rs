//! `virtc check --here`: what would fail at the start is told before it.

use super::bed::Bed;
use crate::common::{QEMU, has_qemu, is_root};
use std::os::unix::fs::PermissionsExt;

/// A domain with these devices, of this type.
fn domain(kind: &str, devices: &str, rest: &str) -> String {
    format!(
        "<domain type='{kind}'>\n<name>pre</name>\n<uuid>c7a5fdbd-edaf-9455-926a-d65c16db1809</uuid>\n\
         <memory unit='MiB'>64</memory>\n<os><type arch='x86_64' machine='pc'>hvm</type></os>\n{rest}\n\
         <devices>\n<emulator>{QEMU}</emulator>\n{devices}\n</devices>\n</domain>\n"
    )
}

fn check(bed: &Bed, xml: &str) -> (Option<i32>, String) {
    std::fs::write(bed.path("vm.xml"), xml).expect("written");
    // Quiet: whether the host has the default account of machines is a remark only.
    let out = bed.call(&["check", "-q", "--here", &bed.path("vm.xml")]);
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn disk(path: &str) -> String {
    format!("<disk type='file' device='disk'><source file='{path}'/><target dev='hda' bus='ide'/></disk>")
}

#[test]
fn a_host_that_is_ready_gives_no_word() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("pre");
    let (status, err) = check(&bed, &domain("qemu", &disk(&bed.path("disk")), ""));
    assert_eq!((status, err.as_str()), (Some(0), ""));
}

#[test]
fn everything_that_is_missing_is_told_at_once() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("pre");
    let devices = format!(
        "{}\n<interface type='bridge'><source bridge='nobridge0'/><model type='e1000'/></interface>",
        disk("/nonexistent/image.img")
    );
    let (status, err) = check(&bed, &domain("qemu", &devices, ""));
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("/nonexistent/image.img") && err.contains("qemu-img create"), "{err}");
    assert!(err.contains("nobridge0") && err.contains("ip link add nobridge0 type bridge"), "{err}");
    // The same by the other spelling.
    let again = bed.fails(4, &["check", "-q", "--host", &bed.path("vm.xml")]);
    assert_eq!(again, err);
}

#[test]
fn a_directory_in_place_of_an_image_is_told() {
    if !has_qemu() {
        return;
    }
    let bed = Bed::new("pre");
    std::fs::create_dir(bed.path("folder")).expect("made");
    let (status, err) = check(&bed, &domain("qemu", &disk(&bed.path("folder")), ""));
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("VC1216") && err.contains("not a regular file"), "{err}");
}

#[test]
fn closed_directories_are_named_with_the_command_that_opens_them() {
    if !has_qemu() || !is_root() {
        return;
    }
    let bed = Bed::new("pre");
    std::fs::create_dir(bed.path("closed")).expect("made");
    std::fs::write(bed.path("closed/image"), "").expect("written");
    std::fs::set_permissions(bed.path("."), std::fs::Permissions::from_mode(0o711)).expect("a mode");
    std::fs::set_permissions(bed.path("closed"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let label = "<seclabel type='static' model='dac' relabel='no'><label>+64999:+64999</label></seclabel>";
    let xml = domain("qemu", &disk(&bed.path("closed/image")), "").replace("</domain>", &format!("{label}</domain>"));
    let (status, err) = check(&bed, &xml);
    assert_eq!(status, Some(4), "{err}");
    let flat: String = err.split_whitespace().filter(|w| *w != "│").collect::<Vec<_>>().join(" ");
    assert!(flat.contains(&format!("setfacl -m u:64999:x -- {}", bed.path("closed"))), "{err}");
}
