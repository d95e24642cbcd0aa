//! The files of ssh where `HOME` is not the home directory of the user's entry in `/etc/passwd`.
//!
//! OpenSSH does not look at `HOME`: its keys, `known_hosts` and configuration are those of the entry,
//! and `~` in a configuration is its directory. In a container with `HOME` set, users mount them at
//! `$HOME/.ssh`, where git's other settings are read. Therefore ssh is asked what it would read
//! (`ssh -G`), and is given the files of `$HOME` in the place of those of the entry.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use compose_model::text::escape;
use tempfile::NamedTempFile;

use crate::options::Options;

/// The configuration of the machine, which ssh ignores if it is given another one.
const SYSTEM_CONFIG: &str = "/etc/ssh/ssh_config";

/// The most characters of a path in a message.
const SHOWN: usize = 200;

/// The files that ssh reads, if they are not those that `HOME` suggests.
pub(super) struct SshFiles {
    /// The arguments that name files in `$HOME/.ssh`.
    pub(super) arguments: Vec<OsString>,
    /// A sentence for messages that says which files ssh reads.
    pub(super) note: String,
    /// A configuration that includes others. It must exist until ssh has read it.
    _config: Option<NamedTempFile>,
}

/// The two directories.
struct Homes {
    /// `HOME`
    own: PathBuf,
    /// That of the user's entry.
    passwd: PathBuf,
}

impl SshFiles {
    /// Returns the files for an ssh that this program starts. `configuration` returns ssh's own
    /// description of its configuration with some arguments. Returns `None` if the directories
    /// agree, or if it is not known what ssh reads.
    pub(super) fn find(
        options: &Options,
        configuration: impl FnOnce(&[OsString]) -> Option<String>,
    ) -> Option<Self> {
        let homes = Homes::of(options)?;
        let ssh = homes.own.join(".ssh");
        let (mut arguments, config) = config_arguments(&ssh, Path::new(SYSTEM_CONFIG));
        let has_config = !arguments.is_empty();
        if ssh.is_dir() {
            let described = configuration(&arguments).unwrap_or_default();
            arguments.extend(homes.arguments_of(&described));
        }
        let mut named: Vec<String> = Vec::new();
        if has_config {
            named.push("config".to_owned());
        }
        named.extend(homes.named_in(&arguments));
        tracing::debug!(home = %homes.own.display(), ?named, "ssh is given files of HOME, which is not the home directory in /etc/passwd");
        Some(Self {
            note: homes.note(&named),
            arguments,
            _config: config,
        })
    }

    /// Returns what an ssh reads whose arguments are the user's own.
    pub(super) fn for_own_arguments(options: &Options) -> Option<Self> {
        let homes = Homes::of(options)?;
        Some(Self {
            arguments: Vec::new(),
            note: homes.note(&[]),
            _config: None,
        })
    }
}

impl Homes {
    /// Returns the two directories if they differ.
    fn of(options: &Options) -> Option<Self> {
        let own = PathBuf::from(options.variable("HOME")?);
        let user = rustix::process::geteuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let passwd = home_of(&passwd, user).or_else(|| home_of(&entry_of(options, user)?, user))?;
        let is_same = own == passwd
            || matches!((own.canonicalize(), passwd.canonicalize()), (Ok(own), Ok(passwd)) if own == passwd);
        (own.is_absolute() && !is_same).then_some(Self { own, passwd })
    }

    /// Returns the path below `HOME` in the place of one below the entry's directory.
    fn moved(&self, path: &str) -> Option<PathBuf> {
        let passwd = self.passwd.to_str()?;
        let below = ["~", "%d", passwd]
            .iter()
            .find_map(|home| path.strip_prefix(home)?.strip_prefix('/'))?;
        Some(self.own.join(below))
    }

    /// Returns the arguments that name the files of `HOME`, from ssh's description of its
    /// configuration.
    fn arguments_of(&self, described: &str) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut keys = Vec::new();
        for line in described.lines() {
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            match key {
                "userknownhostsfile" => {
                    let files: Vec<PathBuf> = value
                        .split(' ')
                        .map(|path| self.moved(path).unwrap_or_else(|| path.into()))
                        .collect();
                    if files
                        .iter()
                        .any(|path| path.starts_with(&self.own) && path.is_file())
                    {
                        let quoted: Vec<String> = files.iter().map(|path| quoted(path)).collect();
                        let option = format!("UserKnownHostsFile={}", quoted.join(" "));
                        arguments.extend(["-o".into(), option.into()]);
                    }
                }
                "identityfile" | "certificatefile" => keys.push((key, value)),
                "identityagent" => {
                    if let Some(path) = self.moved(value) {
                        let option = format!("IdentityAgent={}", quoted(&path));
                        arguments.extend(["-o".into(), option.into()]);
                    }
                }
                _ => {}
            }
        }
        // The order of keys counts: a host may accept several, for different users.
        let is_there = |path: &Path| path.is_file() || path.to_string_lossy().contains('%');
        let moved = |value: &str| self.moved(value).filter(|path| is_there(path));
        if keys.iter().any(|(_, value)| moved(value).is_some()) {
            for (key, value) in keys {
                let path = match self.moved(value) {
                    Some(path) if is_there(&path) => path,
                    Some(_) => continue,
                    None => value.into(),
                };
                let key = match key {
                    "identityfile" => "IdentityFile",
                    _ => "CertificateFile",
                };
                arguments.extend(["-o".into(), format!("{key}={}", quoted(&path)).into()]);
            }
        }
        arguments
    }

    /// Returns the names of the files of `HOME` that arguments name.
    fn named_in(&self, arguments: &[OsString]) -> Vec<String> {
        let start = format!("\"{}/", self.own.join(".ssh").display());
        let mut named: Vec<String> = arguments
            .iter()
            .filter_map(|argument| argument.to_str())
            .flat_map(|argument| argument.split(&start).skip(1))
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .filter(|name| self.own.join(".ssh").join(name).is_file())
            .collect();
        named.dedup();
        named
    }

    /// Says which files ssh reads.
    fn note(&self, named: &[String]) -> String {
        let shown = |path: &Path| escape(&path.join(".ssh").display().to_string(), SHOWN);
        let (own, passwd) = (shown(&self.own), shown(&self.passwd));
        if named.is_empty() {
            return format!(
                "ssh looks for its files in {passwd}, the directory in /etc/passwd, and not in {own}, that of HOME"
            );
        }
        format!(
            "ssh was given {} of {own}, the directory of HOME, and looks for other files in {passwd}, that in /etc/passwd",
            escape(&named.join(", "), SHOWN)
        )
    }
}

/// Returns the arguments that name the configuration in a directory, if there is one, and the file
/// that they need. ssh ignores the configuration of the machine if it is given another one, so a
/// file that includes both is made if possible.
fn config_arguments(ssh: &Path, system: &Path) -> (Vec<OsString>, Option<NamedTempFile>) {
    let config = ssh.join("config");
    if !config.is_file() {
        return (Vec::new(), None);
    }
    // In `Include`, a path is a pattern. ssh refuses to start if it cannot read what is included.
    let is_plain = !config.to_string_lossy().contains(['*', '?', '[', '"', '\\']);
    let both = || {
        let mut file = NamedTempFile::with_prefix("bitops-compose-ssh-").ok()?;
        let text = format!(
            "Include {}\nMatch all\nInclude {}\n",
            quoted(&config),
            quoted(system)
        );
        file.write_all(text.as_bytes()).ok()?;
        Some(file)
    };
    let file = (is_plain && File::open(system).is_ok()).then(both).flatten();
    let path = file
        .as_ref()
        .map_or(config.as_os_str(), |file| file.path().as_os_str());
    (vec!["-F".into(), path.into()], file)
}

/// Returns a path as one word of a configuration, in which `%` begins a token.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// Returns the home directory of a user's first entry.
pub(super) fn home_of(passwd: &str, user: u32) -> Option<PathBuf> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_users = fields.get(2)?.parse() == Ok(user);
        is_users.then(|| fields.get(5).map(PathBuf::from)).flatten()
    })
}

/// Returns a user's entry from wherever the system has it, such as LDAP.
fn entry_of(options: &Options, user: u32) -> Option<String> {
    let mut command = Command::new("getent");
    command.env_clear();
    if let Some(path) = options.environment.get(OsStr::new("PATH")) {
        command.env("PATH", path);
    }
    command
        .args(["passwd", &user.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_home_is_that_of_the_users_entry() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(home_of(passwd, 0), Some("/root".into()));
        assert_eq!(home_of(passwd, 1000), Some("/home/me".into()));
        assert_eq!(home_of(passwd, 7), None);
    }

    #[test]
    fn files_of_home_take_the_place_of_those_of_the_entry() {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes {
            own: dir.path().to_owned(),
            passwd: "/root".into(),
        };
        let defaults = "user me\nidentityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n\
                        userknownhostsfile /root/.ssh/known_hosts /root/.ssh/known_hosts2\n";
        assert_eq!(homes.arguments_of(defaults), Vec::<OsString>::new());
        fs::create_dir(dir.path().join(".ssh")).unwrap();
        for name in ["known_hosts", "id_ed25519", "id_ed25519.pub", "deploy"] {
            fs::write(dir.path().join(".ssh").join(name), "").unwrap();
        }
        let at = |name: &str| format!("\"{}\"", dir.path().join(".ssh").join(name).display());
        let options = |described: &str| -> Vec<String> {
            let words = homes.arguments_of(described);
            let words = words.iter().map(|word| word.to_str().unwrap().to_owned());
            words.filter(|word| word != "-o").collect()
        };
        let known = format!("UserKnownHostsFile={} {}", at("known_hosts"), at("known_hosts2"));
        let key = format!("IdentityFile={}", at("id_ed25519"));
        assert_eq!(options(defaults), [known, key]);
        assert_eq!(
            homes.named_in(&homes.arguments_of(defaults)),
            ["known_hosts", "id_ed25519"]
        );
        // What the configuration chooses replaces the defaults, in its own order.
        let configured = "identityfile /keys/first\nidentityfile ~/.ssh/deploy\n\
                          identityfile %d/.ssh/of-%h\nidentityfile ~/.ssh/gone\n\
                          certificatefile ~/.ssh/deploy\nidentityagent ~/agent\n\
                          userknownhostsfile /keys/known\n";
        assert_eq!(
            options(configured),
            [
                format!("IdentityAgent=\"{}\"", dir.path().join("agent").display()),
                "IdentityFile=\"/keys/first\"".to_owned(),
                format!("IdentityFile={}", at("deploy")),
                format!("IdentityFile={}", at("of-%h")),
                format!("CertificateFile={}", at("deploy")),
            ]
        );
    }

    #[test]
    fn a_configuration_of_home_leaves_that_of_the_machine_in_force() {
        let dir = tempfile::tempdir().unwrap();
        let system = dir.path().join("system");
        assert!(config_arguments(dir.path(), &system).0.is_empty());
        let config = dir.path().join("config");
        fs::write(&config, "").unwrap();
        let (alone, file) = config_arguments(dir.path(), &system);
        assert_eq!(alone, ["-F".into(), config.clone().into_os_string()]);
        assert!(file.is_none());
        fs::write(&system, "").unwrap();
        let (both, file) = config_arguments(dir.path(), &system);
        assert_eq!(both[1], file.unwrap().path().as_os_str());
    }
}
