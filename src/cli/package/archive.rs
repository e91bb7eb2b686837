//! Archives, written here without a tool: `tar`, `ar`, gzip. Owners are root, times are one and the same, so that the same tree
//! gives the same bytes.

use crate::emit::Artifact;
use flate2::{Compression, GzBuilder};
use std::collections::BTreeSet;
use std::io::Write;

/// A file of an archive: path, permission bits, bytes.
pub type Member<'a> = (&'a str, u32, &'a [u8]);

/// Files as members.
pub fn members(files: &[Artifact]) -> Vec<Member<'_>> {
    files.iter().map(|f| (f.path.as_str(), f.mode, f.contents.as_bytes())).collect()
}

/// The time of everything in a package: that of `SOURCE_DATE_EPOCH`, else the first second of the year 2000.
pub fn time() -> u64 {
    const OTHERWISE: u64 = 946_684_800;
    std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(OTHERWISE)
}

/// gzip, as `gzip -9n` writes it.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzBuilder::new().write(Vec::new(), Compression::best());
    // Nothing can go wrong in memory.
    let _ = out.write_all(bytes);
    out.finish().unwrap_or_default()
}

/// A tar archive (ustar) of files and the folders above them; `None` when a path is too long.
pub fn tar(files: &[Member<'_>], time: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut folders = BTreeSet::from([String::new()]);
    out.extend(header("./", b'5', 0o755, 0, time)?);
    for &(path, mode, bytes) in files {
        let mut end = 0;
        while let Some(at) = path.get(end..).and_then(|rest| rest.find('/')) {
            end += at + 1;
            let folder = path.get(..end)?.to_string();
            if folders.insert(folder.clone()) {
                out.extend(header(&format!("./{folder}"), b'5', 0o755, 0, time)?);
            }
        }
        out.extend(header(&format!("./{path}"), b'0', mode, bytes.len(), time)?);
        out.extend(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    Some(out)
}

/// One header of 512 bytes. A path over 100 bytes is split at a slash.
fn header(path: &str, kind: u8, mode: u32, size: usize, time: u64) -> Option<[u8; 512]> {
    let (prefix, name) = if path.len() <= 100 {
        ("", path)
    } else {
        let cut = path.char_indices().find(|(at, c)| *c == '/' && path.len() - at - 1 <= 100)?.0;
        (path.get(..cut)?, path.get(cut + 1..)?)
    };
    if prefix.len() > 155 || name.is_empty() {
        return None;
    }
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| {
        block.iter_mut().skip(at).zip(text.bytes()).for_each(|(slot, byte)| *slot = byte);
    };
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, &format!("{time:011o}"));
    put(148, "        ");
    put(156, if kind == b'5' { "5" } else { "0" });
    put(257, "ustar\u{0}00");
    put(265, "root");
    put(297, "root");
    put(345, prefix);
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    let text = format!("{sum:06o}\u{0} ");
    block.iter_mut().skip(148).zip(text.bytes()).for_each(|(slot, byte)| *slot = byte);
    Some(block)
}

/// An `ar` archive, as dpkg reads it.
pub fn ar(members: &[(&str, &[u8])], time: u64) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        out.extend(format!("{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 100_644, bytes.len()).as_bytes());
        out.extend(*bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

/// A day and a time as RFC 5322 writes them, in UTC: changelogs have them so.
pub fn date(time: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, seconds) = (time / 86_400, time % 86_400);
    // Years begin in March here, so that leap days are last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// The year of a time, in UTC.
pub fn year(time: u64) -> String {
    date(time).split(' ').nth(3).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_split_and_longer_ones_refused() {
        let long = format!("./usr/share/{}/{}", "a".repeat(60), "b".repeat(60));
        assert!(header(&long, b'0', 0o644, 0, 0).is_some_and(|block| block[345] != 0));
        assert!(header(&"c".repeat(101), b'0', 0o644, 0, 0).is_none());
        assert!(header(&format!("{}/x", "d".repeat(200)), b'0', 0o644, 0, 0).is_none());
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time, words) in [
            (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (946_684_800, "Sat, 01 Jan 2000 00:00:00 +0000"),
            (951_782_400 + 86_399, "Tue, 29 Feb 2000 23:59:59 +0000"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 +0000"),
            (1_798_675_200, "Thu, 31 Dec 2026 00:00:00 +0000"),
        ] {
            assert_eq!(date(time), words);
        }
        assert_eq!(year(951_868_800), "2000");
    }
}
