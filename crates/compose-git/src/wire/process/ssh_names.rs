//! What ssh would log in with, by name.

use std::path::{Path, PathBuf};

use compose_model::{RepoUrl, text::escape};

use super::{
    home::{SshFiles, home_of},
    ssh::{effective_configuration, ssh_parts},
};
use crate::run::Run;

/// The most characters of a path in a message.
const SHOWN: usize = 200;

/// Returns the names of what ssh would log in to the host with: the user's own command, else the agent and the files of
/// keys. Connects to nothing.
pub(crate) fn ssh_credentials(run: &Run, url: &RepoUrl) -> Vec<String> {
    let options = &run.options;
    if options.utf8_variable("GIT_SSH_COMMAND").is_some() {
        return vec!["what the command in GIT_SSH_COMMAND uses".to_owned()];
    }
    if run.git_config().ssh_command().is_some() {
        return vec!["what core.sshCommand of git's configuration uses".to_owned()];
    }
    if options.variable("GIT_SSH").is_some() {
        return vec!["what the program of GIT_SSH uses".to_owned()];
    }
    let port = url.port().map(|port| port.to_string());
    let port: Vec<&str> = port.iter().flat_map(|port| ["-p", port.as_str()]).collect();
    let (login, _) = ssh_parts(url);
    let files = SshFiles::find(options, |config| {
        effective_configuration(options, config, &port, &login)
    });
    let arguments = files
        .as_ref()
        .map(|files| files.arguments.clone())
        .unwrap_or_default();
    let described = effective_configuration(options, &arguments, &port, &login).unwrap_or_default();
    let mut names = Vec::new();
    if let Some(agent) = options.variable("SSH_AUTH_SOCK") {
        let is_there = Path::new(agent).exists();
        names.push(if is_there {
            "the keys of the ssh agent (SSH_AUTH_SOCK)".to_owned()
        } else {
            "the keys of the ssh agent, but the socket of SSH_AUTH_SOCK does not exist".to_owned()
        });
    }
    let home = passwd_home().or_else(|| options.variable("HOME").map(PathBuf::from));
    for file in identity_files(&described, home.as_deref()) {
        names.push(format!("the key {}", escape(&file.display().to_string(), SHOWN)));
    }
    names
}

/// Returns the files of keys that exist, from ssh's description of its configuration.
fn identity_files(described: &str, home: Option<&Path>) -> Vec<PathBuf> {
    let path = |value: &str| match (value.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(value.trim_matches('"')),
    };
    let files = described
        .lines()
        .filter_map(|line| line.strip_prefix("identityfile "));
    files.map(path).filter(|file| file.is_file()).collect()
}

/// Returns the directory that `~` means to ssh.
fn passwd_home() -> Option<PathBuf> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    home_of(&passwd, rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_exist_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "").unwrap();
        let described = format!(
            "user git\nidentityfile ~/key\nidentityfile ~/absent\nidentityfile \"{}\"\nidentitiesonly no\n",
            key.display()
        );
        assert_eq!(identity_files(&described, Some(dir.path())), [key.clone(), key]);
    }
}
