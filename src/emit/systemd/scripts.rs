//! The scripts of units, for the shell of every system. systemd runs them with full privileges (`+`), and some of them in folders
//! that a guest can write: a guest that was taken over could put a link to a file of the system there. So what changes
//! files goes there with [`safely!`].

/// Before a script: the function `at`, which goes to the folder of a path and puts the rest into `$b`, a name in it that is no
/// link. It follows a link only where nobody but root can have made it (else the script ends), and it fails where the
/// folder is missing. That the folder is the right one is seen from inside, so that it cannot be swapped meanwhile.
macro_rules! safely {
    ($script:literal) => {
        concat!(
            r#"at() { d=/; r=$1; b=.; n=0; while [ -n "$r" ]; do c=${r%%/*}; case $r in */*) r=${r#*/};; *) r=;; esac; "#,
            r#"case $c in ''|.) ;; ..) d=${d%/}; d=${d%/*}/; b=.;; *) if [ -L "$d$c" ]; then "#,
            r#"case $(stat -c %u%A -- "$d") in 0d????-??-?) ;; "#,
            r#"*) echo "$d$c is a symbolic link, and others than root can write its folder" >&2; exit 1;; esac; "#,
            r#"n=$((n+1)); [ $n -le 40 ] || exit 1; l=$(readlink -- "$d$c"); case $l in /*) d=/;; esac; r=$l/$r; b=.; "#,
            r#"elif [ -n "$r" ]; then d=$d$c/; b=.; else b=$c; fi;; esac; done; "#,
            r#"[ "$d$b" != /. ] && cd -P -- "$d" 2>/dev/null || return 1; c=$(pwd -P); [ "${c%/}/" = "$d" ] || exit 1; }; "#,
            $script
        )
    };
}

/// Where it is noted who had files before: a folder of root's alone.
pub const NOTES: &str = "/run/virtc-owners";

/// Makes a file from a template when it is missing: `$1` the file, `$2` the template, `$3` its owner.
pub const COPY: &str = safely!(
    r#"at "$1" || { echo "the folder of $1 is missing" >&2; exit 1; }; [ -e "$b" ] || install -T -m 0600 -o "${3%%:*}" -g "${3#*:}" -- "$2" "$b""#
);

/// Makes files that are not there yet: the owner, then the files.
pub const CREATE: &str = safely!(
    r#"o=$1; shift; for f; do at "$f" || { echo "the folder of $f is missing" >&2; exit 1; }; [ -e "$b" ] || install -T -m 0600 -o "${o%%:*}" -g "${o#*:}" -- /dev/null "$b"; done"#
);

/// Makes a folder: its owner, its mode, its path.
pub const FOLDER: &str = safely!(r#"mkdir -p -- "$3"; at "$3/."; chown -- "$1" .; chmod -- "$2" ."#);

/// Makes an overlay: its path, where it is made first, and the command that makes it there.
pub const OVERLAY: &str = safely!(
    r#"f=$1; t=$2; shift 2; install -d -m 0700 -- "${t%/*}"; rm -f -- "$t"; "$@"; at "$f"; mv -fT -- "$t" "$b""#
);

/// Removes a file.
pub const REMOVE: &str = safely!(r#"! at "$1" || rm -f -- "$b""#);

/// Labels files: context, file, context, file, … Nothing where SELinux is off.
pub const LABEL: &str = safely!(
    r#"[ -e /sys/fs/selinux/enforce ] || exit 0; while [ $# -gt 1 ]; do ! at "$2" || [ ! -e "$b" ] || chcon -h -- "$1" "$b"; shift 2; done"#
);

/// Gives files the label that the policy has for their place.
pub const UNLABEL: &str = r#"[ -e /sys/fs/selinux/enforce ] || exit 0; restorecon -- "$@" || :"#;

/// Gives files to an owner: the owner, then the files.
pub const CHOWN: &str = safely!(r#"o=$1; shift; for f; do ! at "$f" || [ ! -e "$b" ] || chown -h -- "$o" "$b"; done"#);

/// Gives files to owners and notes who had them, a line a file (`-`: it is not there): the note, then owner, file,
/// owner, file, … A note that is there already is the true one. No guest may write to its folder.
pub const REMEMBER: &str = safely!(
    r#"f=$1; shift; if [ -e "$f" ]; then k=/dev/null; else install -d -m 0700 -- "${f%/*}"; k=$f; fi; while [ $# -gt 1 ]; do if at "$2" && [ -e "$b" ]; then stat -c %u:%g -- "$b" >>"$k"; chown -h -- "$1" "$b"; else echo - >>"$k"; fi; shift 2; done"#
);

/// Gives files back to those who had them: the note, then the files in its order.
pub const GIVE_BACK: &str = safely!(
    r#"f=$1; shift; [ -e "$f" ] || exit 0; for p; do read -r o || break; [ "$o" = - ] || (! at "$p" || [ ! -e "$b" ] || chown -h -- "$o" "$b") || :; done <"$f"; rm -f -- "$f""#
);

/// Presses the power button and waits for QEMU to end: `$1` its monitor, `$2` the range of its SELinux context. By
/// virtc, or by what every Debian has. QEMU may only answer a client of its own range.
pub const STOP: &str = r#"[ -S "$1" ] || exit 0; r=; [ -z "$2" ] || [ ! -e /sys/fs/selinux/enforce ] || r="runcon -l $2"; if command -v virtc >/dev/null; then exec $r virtc stop --timeout 90 --socket "$1"; fi; exec $r perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => shift) or exit; alarm 90; <$s>; for (qw(qmp_capabilities system_powerdown)) { print $s qq({"execute":"$_"}\n); <$s> } 1 while <$s>' "$1""#;

/// Removes the socket of a helper, `$1`, and its folder, `$2`, if the service of QEMU, `$3`, is not there to do that. The
/// folder is a mount point in the unit's own view of the file system, even for a privileged command.
pub const SWEEP: &str = r#"rm -f -- "$1"; case $(systemctl is-active "$3") in *ctivating | active) exit 0 ;; esac; [ ! -d "$2" ] || exec nsenter --target 1 --mount -- rmdir --ignore-fail-on-non-empty -- "$2""#;

/// Makes a bridge that is missing: its name, then its addresses.
pub const BRIDGE: &str = r#"b=$1; shift; [ ! -e "/sys/class/net/$b" ] || exit 0; ip link add name "$b" type bridge 2>/dev/null || [ -e "/sys/class/net/$b" ]; for a; do ip address replace "$a" dev "$b"; done; ip link set dev "$b" up"#;

/// Waits up to 60 s for a socket, `$1`, as long as the process lives; gives it to QEMU, `$2`.
pub const WAIT: &str = safely!(
    r#"i=0; until [ -S "$1" ]; do [ $i -lt 600 ] && kill -0 "$MAINPID" || exit 1; i=$((i+1)); sleep 0.1; done; [ -z "$2" ] || { at "$1"; chown -h -- "$2" "$b"; }"#
);

/// Writes rules for what links to devices lead to: the file, then letters, link, letters, link, …
/// Names below `/dev` belong to the kernel and to udev, and where they lead changes from boot to boot.
pub const LINKS: &str = r#"f=$1; shift; umask 022; : >"$f.new"; while [ $# -gt 1 ]; do t=$(readlink -f -- "$2") || t=; case $t in "$2") ;; /dev/*) printf '"%s" %s,\n' "$(printf %s "$t" | sed 's/[]["*?{}^\\]/\\&/g')" "$1" >>"$f.new";; esac; shift 2; done; mv -f -- "$f.new" "$f""#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn rules_for_what_links_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        symlink("/dev/null", at("a link")).unwrap();
        symlink("/etc/shadow", at("elsewhere")).unwrap();
        symlink("/dev/pts/[x]*", at("odd")).unwrap();
        let links =
            ["rwk", &at("a link"), "r", &at("elsewhere"), "rw", &at("odd"), "rw", &at("missing"), "rw", "/dev/zero"];
        let done = Command::new("/bin/sh").args(["-ec", LINKS, "sh", &at("rules")]).args(links).status().unwrap();
        assert!(done.success());
        let rules = std::fs::read_to_string(at("rules")).unwrap();
        assert_eq!(rules, "\"/dev/null\" rwk,\n\"/dev/pts/\\[x\\]\\*\" rw,\n");
    }

    /// Runs a script; gives what it printed, and whether it succeeded.
    fn run(script: &str, arguments: &[&str]) -> (String, bool) {
        let done = Command::new("/bin/sh").args(["-ec", script, "sh"]).args(arguments).output().unwrap();
        (String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap(), done.status.success())
    }

    #[test]
    fn the_way_to_a_file_is_that_of_root() {
        const WHERE: &str = safely!(r#"for p; do if at "$p"; then echo "$PWD|$b"; else echo -; fi; done"#);
        assert_eq!(
            run(WHERE, &["/", "", "/usr", "/no such folder/x", "/etc//./passwd"]).0,
            "-\n-\n/|usr\n-\n/etc|passwd\n"
        );
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let top = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
        let at = |name: &str| format!("{top}/{name}");
        std::fs::create_dir_all(at("a b/-c")).unwrap();
        symlink("a b/../a b/-c", at("relative")).unwrap();
        symlink(at("relative"), at("absolute")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let here = format!("{top}/a b/-c");
        assert_eq!(run(WHERE, &[&at("absolute/x y"), &at("absolute/.")]).0, format!("{here}|x y\n{here}|.\n"));
        assert_eq!(run(WHERE, &[&at("absolute"), &at("a b/..")]).0, format!("{top}/a b|-c\n{top}|.\n"));
        assert!(!run(WHERE, &[&at("loop")]).1);
        // What the guest's account can write, it can have prepared.
        std::fs::create_dir(at("etc")).unwrap();
        std::fs::write(at("etc/shadow"), "").unwrap();
        symlink(at("etc"), at("a b/etc")).unwrap();
        symlink(at("etc/shadow"), at("a b/image")).unwrap();
        assert_eq!(run(WHERE, &[&at("a b/etc/shadow")]).0, format!("{top}/etc|shadow\n"));
        for change in [["chown", "64999"], ["chmod", "0777"], ["chmod", "1777"], ["chmod", "0775"]] {
            assert!(Command::new(change[0]).args([change[1], &at("a b")]).status().unwrap().success());
            for planted in ["a b/etc/shadow", "a b/image"] {
                for script in [CHOWN, CREATE] {
                    let (said, success) = run(script, &["64999:64999", &at(planted)]);
                    assert!(!success && said.contains("is a symbolic link"), "{change:?}: {said}");
                }
            }
            assert!(Command::new("chown").args(["0", &at("a b")]).status().unwrap().success());
        }
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(at("etc/shadow")).unwrap().uid(), 0);
    }
}
