//! Which folders are root's, and which are somebody's own: the conventions of the file system hierarchy. A wrong guess does
//! no harm: an entry in an access list is right in both.

/// Folders below which only root has folders.
const OF_ROOT: &[&str] = &["/var/lib/libvirt", "/var/lib/virtc", "/var/lib/machines", "/srv", "/usr", "/boot", "/etc"];

/// Folders whose folders are somebody's own, and the number of parts behind them that name whose.
const HOMES: &[(&str, usize)] =
    &[("/home", 1), ("/var/home", 1), ("/run/user", 1), ("/root", 0), ("/media", 1), ("/run/media", 1)];

/// Whether all folders on the way to a path are root's.
pub fn is_of_root(path: &str) -> bool {
    OF_ROOT.iter().any(|folder| is_below(path, folder))
}

/// The folders on the way to a path that may be closed to others, from the outside, and what limits the list of each. The mask
/// of a home is said, since its owner may have set it to nothing; it leaves the group all but writing, which no home allows.
pub fn closed(path: &str) -> Vec<(String, &'static str)> {
    let Some((home, parts)) = HOMES.iter().find(|(home, _)| is_below(path, home)) else { return Vec::new() };
    let rest = path.get(home.len()..).unwrap_or_default();
    // The name of the file itself is no folder.
    let ends = rest.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain((*parts == 0).then_some(0));
    let mut ends: Vec<usize> = ends.collect();
    ends.sort_unstable();
    let folder = |end: &usize| format!("{home}{}", rest.get(..*end).unwrap_or_default());
    let mask = |at: usize| if at == 0 { ",m::rx" } else { "" };
    ends.iter().enumerate().map(|(at, end)| (folder(end), mask(at))).collect()
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_file_in_a_home() {
        let way = |path: &str| closed(path).into_iter().map(|(folder, mask)| folder + mask).collect::<Vec<_>>();
        assert_eq!(way("/home/carol/vm/a.img"), ["/home/carol,m::rx", "/home/carol/vm"]);
        assert_eq!(way("/root/a.img"), ["/root,m::rx"]);
        assert_eq!(way("/run/user/1000/pulse/native"), ["/run/user/1000,m::rx", "/run/user/1000/pulse"]);
        assert!(way("/srv/a.img").is_empty() && way("/homes/a/b").is_empty());
    }

    #[test]
    fn folders_of_root() {
        assert!(is_of_root("/var/lib/libvirt/images/a.img") && !is_of_root("/var/tmp/a.img") && !is_of_root("/srv2/x"));
    }
}
