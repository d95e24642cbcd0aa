//! The command line for ssh.

use std::{ffi::OsString, io, process::Stdio};

use compose_model::{RepoUrl, text::escape};
use percent_encoding::percent_decode_str;
use tokio::process::Command;

use super::{IS_MISSING, clean_command, home::SshFiles};
use crate::{
    credentials::programs_environment,
    error::{Access, Distrust, Error, FailedAt},
    options::Options,
    run::Run,
    wire::packets::MAX_SHOWN_MESSAGE,
};

/// The only variables that `ssh` inherits. It needs neither the cloud's secrets nor our tokens. A
/// program that the user named for git gets more: it may be a script.
const SSH_VARIABLES: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "TMPDIR",
];

/// Which options an ssh program takes, by git's names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SshVariant {
    OpenSsh,
    /// PuTTY's `plink`, with `-P` for the port.
    Plink,
    /// TortoiseGit's, which also needs `-batch`.
    TortoisePlink,
    /// Host and command only.
    Simple,
}

/// Returns the variant that the user names, or else that of the program's name.
fn ssh_variant(run: &Run, program: &str) -> SshVariant {
    let named = run.options.utf8_variable("GIT_SSH_VARIANT");
    let named = named.or_else(|| run.git_config().ssh_variant());
    let name = named.filter(|name| *name != "auto").unwrap_or_else(|| {
        let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
        name.strip_suffix(".exe").unwrap_or(name)
    });
    match name.to_ascii_lowercase().as_str() {
        "plink" | "putty" => SshVariant::Plink,
        "tortoiseplink" => SshVariant::TortoisePlink,
        "simple" => SshVariant::Simple,
        _ => SshVariant::OpenSsh,
    }
}

/// Returns the command for ssh: `GIT_SSH_COMMAND`, `core.sshCommand`, `GIT_SSH` or `ssh`, in git's
/// order.
pub(super) fn command(run: &Run, url: &RepoUrl) -> (Command, Option<SshFiles>) {
    let options = &run.options;
    let line = options
        .utf8_variable("GIT_SSH_COMMAND")
        .or_else(|| run.git_config().ssh_command());
    let (mut command, name) = match (line, options.variable("GIT_SSH")) {
        (Some(line), _) => {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("{line} \"$@\""), line]);
            (
                command,
                line.split_whitespace().next().unwrap_or_default().to_owned(),
            )
        }
        (None, Some(program)) => (Command::new(program), program.to_string_lossy().into_owned()),
        (None, None) => (clean_command("ssh", options, &SSH_VARIABLES), "ssh".to_owned()),
    };
    if line.is_some() || options.variable("GIT_SSH").is_some() {
        command
            .env_clear()
            .envs(programs_environment(options))
            .env("GIT_PROTOCOL", "version=2");
    }
    let variant = ssh_variant(run, name.trim_matches(['\'', '"']));
    let port = url.port().map(|port| port.to_string());
    let (login, path) = ssh_parts(url);
    let mut files = None;
    match variant {
        SshVariant::OpenSsh => {
            let seconds = options.tuning.connect_timeout.as_secs().max(1);
            command.args(["-o", "BatchMode=yes", "-o"]);
            command.arg(format!("ConnectTimeout={seconds}"));
            command.args(["-o", "SendEnv=GIT_PROTOCOL", "-T"]);
            let port: Vec<&str> = port.iter().flat_map(|port| ["-p", port.as_str()]).collect();
            command.args(&port);
            // A command that the user wrote is run as it is.
            let is_own = line.is_some() || options.variable("GIT_SSH").is_some();
            files = if is_own {
                SshFiles::for_own_arguments(options)
            } else {
                SshFiles::find(options, |config| {
                    effective_configuration(options, config, &port, &login)
                })
            };
            command.args(files.iter().flat_map(|files| &files.arguments));
            command.arg("--");
        }
        SshVariant::Plink | SshVariant::TortoisePlink => {
            command.args((variant == SshVariant::TortoisePlink).then_some("-batch"));
            command.args(port.iter().flat_map(|port| ["-P", port.as_str()]));
        }
        SshVariant::Simple => {}
    }
    command.args([&login, &format!("git-upload-pack {}", shell_quote(&path))]);
    (command, files)
}

/// Asks ssh for its configuration of a host (`ssh -G`), which connects to nothing.
pub(super) fn effective_configuration(
    options: &Options,
    config: &[OsString],
    port: &[&str],
    login: &str,
) -> Option<String> {
    let mut command = clean_command("ssh", options, &SSH_VARIABLES).into_std();
    command.arg("-G").args(config).args(port).args(["--", login]);
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Returns `user@host`, and the path in the form that the remote side expects.
pub(super) fn ssh_parts(url: &RepoUrl) -> (String, String) {
    let host = url
        .written_host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let text = url.as_str();
    let (authority, path) = match text.strip_prefix("ssh://") {
        Some(rest) => {
            let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
            // `/~user/repo` is relative to a home directory.
            let path = if path.starts_with("/~") {
                path[1..].to_owned()
            } else {
                path
            };
            (rest.split('/').next().unwrap_or_default(), path)
        }
        None => (text.split(':').next().unwrap_or_default(), url.path().to_owned()),
    };
    let login = match authority.rsplit_once('@') {
        Some((user, _)) => format!("{user}@{host}"),
        None => host.to_owned(),
    };
    (login, path)
}

/// Quotes a word for the remote shell.
fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''").replace('!', "'\\!'"))
}

/// What OpenSSH says about its configuration before it connects.
const BAD_CONFIGURATION: [&str; 4] = [
    "Bad owner or permissions on",
    "Can't open user config file",
    "bad configuration option",
    "Bad configuration option",
];

/// Returns what the error output of ssh, and of the git at the other end, means.
pub(super) fn classify_failure(at: FailedAt, lines: &[&str], files: Option<&str>) -> Error {
    // `ssh -v` may be the user's command.
    let is_noise = |line: &str| line.starts_with("debug") || line.starts_with("OpenSSH_");
    let mut kept: Vec<&str> = lines.iter().copied().filter(|line| !is_noise(line)).collect();
    if kept.is_empty() {
        kept = lines.to_vec();
    }
    let text = escape(&kept.join("; "), MAX_SHOWN_MESSAGE);
    let has = |words: &[&str]| {
        let mut lines = kept.iter();
        lines.any(|line| words.iter().any(|word| line.contains(word)))
    };
    let program = |kind| Error::Program {
        repo: at.repo.clone(),
        program: "ssh",
        source: io::Error::new(kind, text.clone()),
    };
    // OpenSSH refuses to start without an entry in /etc/passwd, and with a configuration that it
    // cannot use.
    if has(&["No user exists for uid", "you don't exist, go away"]) {
        return program(io::ErrorKind::Unsupported);
    }
    if has(&BAD_CONFIGURATION) {
        return program(io::ErrorKind::InvalidData);
    }
    let with_files = |text: String| match files {
        Some(files) => format!("{}; {files}", text.trim_end_matches('.')),
        None => text,
    };
    // OpenSSH's own messages; its exit code is 255 for all of them.
    if has(&[
        "Host key verification failed",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "host key is known",
    ]) {
        return Error::Untrusted {
            at,
            why: Distrust::HostKey(with_files(text)),
        };
    }
    let is_refused = has(&[
        "Permission denied (",
        "Too many authentication failures",
        "No supported authentication methods",
    ]);
    // A key that does not exist is reported in the same words as a repo.
    let is_key = |line: &str| line.contains("no such identity") || line.contains("dentity file ");
    let is_missing = kept
        .iter()
        .any(|line| !is_key(line) && IS_MISSING.iter().any(|word| line.contains(word)));
    if !is_refused && is_missing {
        return Error::NotFound {
            at,
            access: Access::default(),
            said: text,
        };
    }
    if is_refused || has(&["Permission denied"]) {
        return Error::Unauthenticated {
            at,
            access: Access::default(),
            why: with_files("ssh has no key, in a file or an agent, that the host accepts".to_owned()),
            said: text,
        };
    }
    Error::Network {
        at,
        why: format!("ssh failed: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use compose_model::{Cause as _, Stage};

    use super::*;

    fn parts(url: &str) -> (String, String) {
        ssh_parts(&RepoUrl::parse(url).unwrap())
    }

    #[test]
    fn ssh_addresses_are_split_as_by_git() {
        let pair = |login: &str, path: &str| (login.to_owned(), path.to_owned());
        assert_eq!(
            parts("ssh://git@host:2222/org/repo.git"),
            pair("git@host", "/org/repo.git")
        );
        assert_eq!(parts("git@host:org/repo"), pair("git@host", "org/repo"));
        // `Host Work` of ssh's configuration does not apply to `work`.
        assert_eq!(parts("Me@Work:Org/repo"), pair("Me@Work", "Org/repo"));
        assert_eq!(parts("ssh://Me@Work:22/repo"), pair("Me@Work", "/repo"));
        assert_eq!(parts("ssh://host/~me/repo"), pair("host", "~me/repo"));
        assert_eq!(parts("ssh://git@[::1]/repo"), pair("git@::1", "/repo"));
        // ssh compares the name with its `Host` lines by case.
        assert_eq!(
            parts("git@Catalogs-Work:org/repo"),
            pair("git@Catalogs-Work", "org/repo")
        );
        assert_eq!(parts("ssh://Work/repo"), pair("Work", "/repo"));
    }

    #[test]
    fn a_path_is_one_word_to_the_remote_shell() {
        assert_eq!(
            shell_quote("/a b'; rm -rf $HOME!"),
            "'/a b'\\''; rm -rf $HOME'\\!''"
        );
    }

    #[test]
    fn ssh_gets_no_secrets_and_never_prompts() {
        let mut options = Options::new("unused");
        for name in [
            "PATH",
            "AWS_SECRET_ACCESS_KEY",
            "BITOPS_COMPOSE_TOKEN_HOST",
            "GIT_SSH_COMMAND",
            "SSH_AUTH_SOCK",
        ] {
            options.environment.insert(name.into(), "x".into());
        }
        options.environment.remove(OsStr::new("GIT_SSH_COMMAND"));
        options
            .environment
            .insert("GIT_CONFIG_NOSYSTEM".into(), "1".into());
        let (command, _) = super::command(&Run::new(options), &RepoUrl::parse("git@host:repo").unwrap());
        let command = command.as_std();
        let names: Vec<_> = command
            .get_envs()
            .map(|(name, _)| name.to_str().unwrap())
            .collect();
        assert_eq!(names, ["GIT_PROTOCOL", "PATH", "SSH_AUTH_SOCK"]);
        let arguments: Vec<_> = command
            .get_args()
            .map(|argument| argument.to_str().unwrap())
            .collect();
        assert!(
            arguments.contains(&"BatchMode=yes") && !arguments.iter().any(|a| a.contains("StrictHostKey"))
        );
    }

    #[test]
    fn gits_settings_choose_the_ssh_program_and_its_options() {
        let line = |variables: &[(&str, &str)]| {
            let mut options = Options::new("unused");
            let all = [
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("SECRET", "x"),
                ("GIT_DIR", "/hostile"),
            ];
            for (name, value) in variables.iter().chain(&all) {
                options.environment.insert(name.into(), value.into());
            }
            let (command, _) = super::command(
                &Run::new(options),
                &RepoUrl::parse("ssh://git@Host:22/r").unwrap(),
            );
            let command = command.as_std();
            assert!(command.get_envs().all(|(name, _)| name != "GIT_DIR"));
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words
                .map(|word| word.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let open = "-o BatchMode=yes -o ConnectTimeout=10 -o SendEnv=GIT_PROTOCOL -T -p 22 -- git@Host git-upload-pack '/r'";
        let configured = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "core.sshCommand"),
            ("GIT_CONFIG_VALUE_0", "ssh -i b"),
        ];
        assert_eq!(line(&[]), format!("ssh {open}"));
        assert_eq!(line(&[("GIT_SSH", "/opt/my-ssh")]), format!("/opt/my-ssh {open}"));
        let with = |more: &[(&'static str, &'static str)]| line(&[&configured[..], more].concat());
        assert_eq!(with(&[]), format!("sh -c ssh -i b \"$@\" ssh -i b {open}"));
        assert_eq!(with(&[("GIT_SSH", "other")]), with(&[]));
        assert_eq!(
            with(&[("GIT_SSH_COMMAND", "ssh -i a")]),
            format!("sh -c ssh -i a \"$@\" ssh -i a {open}")
        );
        assert_eq!(
            line(&[("GIT_SSH", "/x/plink.exe")]),
            "/x/plink.exe -P 22 git@Host git-upload-pack '/r'"
        );
        assert_eq!(
            line(&[("GIT_SSH", "ssh"), ("GIT_SSH_VARIANT", "simple")]),
            "ssh git@Host git-upload-pack '/r'"
        );
    }

    #[test]
    fn the_error_follows_from_the_message_of_ssh() {
        let at = FailedAt {
            repo: RepoUrl::parse("git@host:repo").unwrap(),
            stage: Stage::Connecting,
        };
        let classify =
            |said: &str, files| classify_failure(at.clone(), &said.lines().collect::<Vec<_>>(), files);
        let code = |said: &str| classify(said, None).exit_code().code();
        assert_eq!(code("Host key verification failed."), 69);
        let no_user = classify("No user exists for uid 12345", None);
        assert_eq!(no_user.exit_code().code(), 73);
        assert_eq!(no_user.retryable(), crate::retry::Retryable::Never);
        assert!(no_user.hint().unwrap().contains("/etc/passwd"), "{no_user}");
        assert_eq!(code("git@host: Permission denied (publickey)."), 77);
        assert!(matches!(
            classify("ssh: connect to host x port 22: Connection refused", None),
            Error::Network { .. }
        ));
        assert!(matches!(
            classify("ERROR: Repository not found.", None),
            Error::NotFound { .. }
        ));
        for said in [
            "Bad owner or permissions on /home/me/.ssh/config",
            "Can't open user config file /home/me/.ssh/config: Permission denied",
            "/home/me/.ssh/config: line 1: Bad configuration option: hots\r\n/home/me/.ssh/config: terminating, 1 bad configuration options",
        ] {
            let error = classify(said, None);
            assert_eq!(error.exit_code().code(), 73, "{error}");
            assert_eq!(error.retryable(), crate::retry::Retryable::Never, "{error}");
            assert!(error.to_string().contains("/home/me/.ssh/config"), "{error}");
            assert!(error.hint().unwrap().contains("configuration"), "{error}");
        }
        // Which files were read is a part of the reason.
        for said in [
            "Host key verification failed.",
            "me@host: Permission denied (publickey).",
        ] {
            let error = classify(said, Some("ssh read x"));
            assert!(error.to_string().contains("; ssh read x"), "{error}");
        }
        // A missing key is no missing repo, and does not hide what follows.
        let no_key = "no such identity: /root/.ssh/x: No such file or directory\n";
        let denied = format!("{no_key}me@host: Permission denied (publickey).");
        assert_eq!(code(&denied), 77);
        let warning = "Warning: Identity file /x not accessible: No such file or directory.\n";
        let refused = format!("{warning}ssh: connect to host x port 22: Connection refused");
        assert!(matches!(classify(&refused, None), Error::Network { .. }));
        // `ssh -v`
        let loud =
            "OpenSSH_9.2p1\ndebug1: no such file: No such file or directory\nHost key verification failed.";
        let error = classify(loud, None);
        assert!(
            matches!(error, Error::Untrusted { .. }) && !error.to_string().contains("debug1"),
            "{error}"
        );
    }
}
