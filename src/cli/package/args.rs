//! What `virtc package` is asked for, and who answers for what it makes.

use std::path::PathBuf;

// Arguments of `virtc package`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("carrier").required(true))]
pub struct Args {
    /// The tree that `virtc build` wrote
    #[arg(required_unless_present = "common")]
    pub tree: Option<PathBuf>,
    /// Make the package that those of machines depend on: the helper of their units, and their target
    #[arg(long, conflicts_with_all = ["tree", "name", "tar", "sysext"])]
    pub common: bool,
    /// Make a Debian package
    #[arg(long, group = "carrier")]
    pub deb: bool,
    /// Make a package for Fedora and its kin
    #[arg(long, group = "carrier")]
    pub rpm: bool,
    /// Make an archive, to be unpacked at /
    #[arg(long, group = "carrier")]
    pub tar: bool,
    /// Make a system extension and a configuration extension, as folders for /var/lib/extensions and /var/lib/confexts
    #[arg(long, group = "carrier")]
    pub sysext: bool,
    /// What to write; name and version by default, in this folder
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Name of the package
    #[arg(long, default_value = "virtc-machines")]
    pub name: String,
    /// Version of the package
    #[arg(long, value_name = "VERSION", default_value = "1")]
    pub package_version: String,
    /// Who answers for it [default: DEBFULLNAME <DEBEMAIL>]
    #[arg(long)]
    pub maintainer: Option<String>,
    /// What an upgrade does with machines that run: nothing, so that they have what is new after their next start; or a restart
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub on_upgrade: OnUpgrade,
    /// Start the machines when the package is installed first
    #[arg(long)]
    pub start: bool,
}

/// What an upgrade does with machines that run.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUpgrade {
    /// They run on.
    #[default]
    Keep,
    /// They are restarted.
    Restart,
}

/// A name in a text whose lines mean something.
pub fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Who answers for a package.
pub fn maintainer(args: &Args) -> String {
    let of_environment = || {
        let address = std::env::var("DEBEMAIL").or_else(|_| std::env::var("EMAIL")).ok()?;
        match std::env::var("DEBFULLNAME").or_else(|_| std::env::var("NAME")) {
            Ok(name) if !address.contains('<') => Some(format!("{name} <{address}>")),
            _ => Some(address),
        }
    };
    let usable = |text: &String| !text.is_empty() && !text.chars().any(char::is_control) && text.contains('@');
    args.maintainer.clone().or_else(|| of_environment().filter(usable)).unwrap_or_else(|| MAINTAINER.to_string())
}

/// Where nobody is named.
const MAINTAINER: &str = "Administrator of the machines <machines@virtc.invalid>";
