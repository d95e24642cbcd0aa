//! The files of ssh where `HOME` is not the home directory of the user's entry in `/etc/passwd`.
//!
//! OpenSSH does not look at `HOME`: its keys, `known_hosts` and configuration are those of the entry. In
//! a container with `HOME` set, users mount them at `$HOME/.ssh`, where git's other settings are read.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::options::Options;

/// The keys that ssh tries by itself.
const KEYS: [&str; 6] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
];

/// Returns the arguments that name the files in `$HOME/.ssh`, if ssh would look elsewhere.
pub(super) fn arguments(options: &Options) -> Vec<OsString> {
    let Some(home) = options.variable("HOME").map(PathBuf::from) else {
        return Vec::new();
    };
    let own = rustix::process::geteuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match home_of(&passwd, own) {
        Some(other) if other != home => {
            let found = arguments_of(&home.join(".ssh"));
            if !found.is_empty() {
                tracing::debug!(home = %home.display(), "ssh uses the files of HOME instead of those of /etc/passwd");
            }
            found
        }
        _ => Vec::new(),
    }
}

/// Returns the home directory of a user's first entry.
fn home_of(passwd: &str, user: u32) -> Option<PathBuf> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_users = fields.get(2)?.parse() == Ok(user);
        is_users.then(|| fields.get(5).map(PathBuf::from)).flatten()
    })
}

fn arguments_of(ssh: &Path) -> Vec<OsString> {
    let file = |name: &str| Some(ssh.join(name)).filter(|path| path.is_file());
    let mut arguments = Vec::new();
    if let Some(config) = file("config") {
        arguments.extend(["-F".into(), config.into()]);
    }
    if let Some(known) = file("known_hosts") {
        // The value is a list, in which quotes keep a name with spaces together.
        let known = known.display();
        arguments.extend(["-o".into(), format!("UserKnownHostsFile=\"{known}\"").into()]);
    }
    for key in KEYS.iter().filter_map(|name| file(name)) {
        arguments.extend(["-i".into(), key.into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_that_of_the_users_entry() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(home_of(passwd, 0), Some("/root".into()));
        assert_eq!(home_of(passwd, 1000), Some("/home/me".into()));
        assert_eq!(home_of(passwd, 7), None);
    }

    #[test]
    fn only_files_that_exist_are_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(arguments_of(dir.path()), Vec::<OsString>::new());
        for name in ["config", "known_hosts", "id_ed25519", "id_ed25519.pub", "other"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let known = format!("UserKnownHostsFile=\"{}\"", at("known_hosts"));
        assert_eq!(
            arguments_of(dir.path()),
            ["-F", &at("config"), "-o", &known, "-i", &at("id_ed25519")].map(OsString::from)
        );
    }
}
