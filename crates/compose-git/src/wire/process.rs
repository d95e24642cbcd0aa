//! Runs `ssh`, and `git upload-pack` for catalogs on this machine's disk.
//!
//! Catalogs on disk are read through `git upload-pack` instead of in place. Fetching, verifying and
//! caching then work alike for every transport, and a catalog that is garbage-collected or
//! rewritten meanwhile cannot take objects away from a run.

mod home;

use std::{
    ffi::OsStr,
    io::{self, Write},
    process::Stdio,
    sync::Arc,
};

use compose_model::{RepoUrl, text::escape, url::Scheme};
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    runtime::Handle,
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    credentials::programs_environment,
    error::{Access, Distrust, Error, FailedAt},
    options::Options,
    run::Run,
    wire::{
        body::{Body, Event},
        connection::Wire,
        packets::MAX_SHOWN_MESSAGE,
        pump::{ChunkSource, IN_FLIGHT, pump},
    },
};

/// The most bytes of a program's error output that are kept.
const LONGEST_STDERR: usize = 8 << 10;

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

/// Starts the program for `url`; errors name `wire.repo`.
pub(crate) fn connect(
    run: &Run,
    wire: Arc<Wire>,
    url: &RepoUrl,
    runtime: &Handle,
) -> Result<(Body, Stdin), Error> {
    let repo = wire.repo.clone();
    let options = &run.options;
    let (program, mut command) = match url.scheme() {
        Scheme::Ssh => ("ssh", ssh(run, url)),
        _ => ("git", upload_pack(options, &wire, url)?),
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Spawning registers the child with the current runtime.
    let _entered = runtime.enter();
    let mut child = command.spawn().map_err(|source| Error::Program {
        repo: repo.clone(),
        program,
        source,
    })?;
    let broken = || Error::Bug {
        repo: repo.clone(),
        what: format!("`{program}` has no pipes"),
    };
    let mut stdin = child.stdin.take().ok_or_else(broken)?;
    let stdout = child.stdout.take().ok_or_else(broken)?;
    let stderr = child.stderr.take().ok_or_else(broken)?;

    wire.count_request();
    let (write, mut written) = mpsc::unbounded_channel::<Vec<u8>>();
    runtime.spawn(async move {
        while let Some(bytes) = written.recv().await {
            // A program that has ended explains itself on its other pipes.
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                break;
            }
        }
    });
    let stderr_text = runtime.spawn(read_stderr(stderr));
    let (to, from) = mpsc::channel(IN_FLIGHT);
    let body = Body::of_handshake(Arc::clone(&wire), from);
    let scheme = url.scheme();
    runtime.spawn(async move {
        let done = pump(&wire, &mut ChunkSource::Process(stdout), &to).await;
        let rest = match done {
            Ok(rest) => rest,
            Err(error) => {
                // `kill_on_drop` ends the program.
                wire.fail(error);
                return;
            }
        };
        if to.is_closed() {
            return;
        }
        match wait_for_exit(&wire, scheme, child, stderr_text).await {
            None => _ = to.send(Event::End(rest)).await,
            Some(error) => wire.fail(error),
        }
    });
    Ok((body, Stdin(write)))
}

/// A program's standard input, for gix's blocking writers. Requests are small, so the queue is
/// unbounded.
pub(crate) struct Stdin(mpsc::UnboundedSender<Vec<u8>>);

impl Write for Stdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .send(bytes.to_vec())
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn read_stderr(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        // The last lines hold the error.
        let surplus = kept.len().saturating_sub(LONGEST_STDERR);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// Waits for a program that closed its output. Returns an error unless it succeeded.
async fn wait_for_exit(
    wire: &Wire,
    scheme: Scheme,
    mut child: Child,
    stderr_text: JoinHandle<String>,
) -> Option<Error> {
    let status = tokio::select! {
        biased;
        error = wire.interrupted() => return Some(error),
        status = child.wait() => status,
    };
    if status.is_ok_and(|status| status.success()) {
        return None;
    }
    let said = tokio::select! {
        biased;
        error = wire.interrupted() => return Some(error),
        said = stderr_text => said.unwrap_or_default(),
    };
    Some(classify_failure(wire.failed_at(), scheme, &said))
}

fn classify_failure(at: FailedAt, scheme: Scheme, said: &str) -> Error {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = escape(&lines.join("; "), MAX_SHOWN_MESSAGE);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // OpenSSH refuses to start without an entry in /etc/passwd.
    if scheme == Scheme::Ssh && has(&["No user exists for uid", "you don't exist, go away"]) {
        return Error::Program {
            repo: at.repo,
            program: "ssh",
            source: io::Error::new(io::ErrorKind::Unsupported, text),
        };
    }
    let is_missing = has(&[
        "does not appear to be a git repository",
        "not a git repository",
        "Repository not found",
        "No such file",
    ]);
    if scheme != Scheme::Ssh {
        // With `LC_ALL=C`: the system's messages about what prevents git from reading a local repo.
        let kind = if is_missing {
            io::ErrorKind::NotFound
        } else if has(&["Permission denied", "Operation not permitted"]) {
            io::ErrorKind::PermissionDenied
        } else if has(&[
            "Input/output error",
            "Too many open files",
            "Cannot allocate memory",
        ]) {
            io::ErrorKind::Other
        } else {
            return Error::Remote { at, said: text };
        };
        let source = io::Error::new(kind, text);
        return Error::Local { at, source };
    }
    if is_missing {
        return Error::NotFound {
            at,
            access: Access::default(),
            said: text,
        };
    }
    // OpenSSH's own messages; its exit code is 255 for all of them.
    if has(&[
        "Host key verification failed",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "host key is known",
    ]) {
        return Error::Untrusted {
            at,
            why: Distrust::HostKey(text),
        };
    }
    if has(&[
        "Permission denied",
        "Too many authentication failures",
        "No supported authentication methods",
    ]) {
        let why = "ssh has no key, in a file or an agent, that the host accepts".to_owned();
        return Error::Unauthenticated {
            at,
            access: Access::default(),
            why,
            said: text,
        };
    }
    Error::Network {
        at,
        why: format!("ssh failed: {text}"),
    }
}

fn clean_command(program: &str, options: &Options, names: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for name in names {
        if let Some(value) = options.environment.get(OsStr::new(name)) {
            command.env(name, value);
        }
    }
    command.env("GIT_PROTOCOL", "version=2");
    command
}

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
fn ssh(run: &Run, url: &RepoUrl) -> Command {
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
    match variant {
        SshVariant::OpenSsh => {
            let seconds = options.tuning.connect_timeout.as_secs().max(1);
            command.args(["-o", "BatchMode=yes", "-o"]);
            command.arg(format!("ConnectTimeout={seconds}"));
            command.args(["-o", "SendEnv=GIT_PROTOCOL", "-T"]);
            command.args(port.iter().flat_map(|port| ["-p", port.as_str()]));
            if line.is_none() && options.variable("GIT_SSH").is_none() {
                command.args(home::arguments(options));
            }
            command.arg("--");
        }
        SshVariant::Plink | SshVariant::TortoisePlink => {
            command.args((variant == SshVariant::TortoisePlink).then_some("-batch"));
            command.args(port.iter().flat_map(|port| ["-P", port.as_str()]));
        }
        SshVariant::Simple => {}
    }
    let (login, path) = ssh_parts(url);
    command.args([&login, &format!("git-upload-pack {}", shell_quote(&path))]);
    command
}

/// Returns `user@host`, and the path in the form that the remote side expects.
fn ssh_parts(url: &RepoUrl) -> (String, String) {
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

fn upload_pack(options: &Options, wire: &Wire, url: &RepoUrl) -> Result<Command, Error> {
    let path = if url.as_str().starts_with("file://") {
        percent_decode_str(url.path()).decode_utf8_lossy().into_owned()
    } else {
        url.path().to_owned()
    };
    // git has many messages for a path without a repo.
    std::fs::metadata(&path).map_err(|source| Error::Local {
        at: wire.failed_at(),
        source,
    })?;
    let mut command = clean_command("git", options, &["PATH", "HOME", "LANG", "TMPDIR"]);
    command
        .env("LC_ALL", "C")
        // No configuration of a user or the system, and no lazy fetching.
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_NO_LAZY_FETCH", "1")
        // A catalog that is mounted into a container usually belongs to another user. upload-pack
        // runs nothing from the repository: its one hook is taken from protected configuration
        // only.
        .args([
            "-c",
            "safe.directory=*",
            "-c",
            "uploadpack.allowFilter=true",
            "-c",
            "uploadpack.allowAnySHA1InWant=true",
        ])
        .args(["upload-pack", "--", &path]);
    Ok(command)
}

#[cfg(test)]
mod tests {
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
        let command = ssh(&Run::new(options), &RepoUrl::parse("git@host:repo").unwrap());
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
            let command = ssh(
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
        let code = |said: &str| classify_failure(at.clone(), Scheme::Ssh, said).exit_code().code();
        assert_eq!(code("Host key verification failed."), 69);
        let no_user = classify_failure(at.clone(), Scheme::Ssh, "No user exists for uid 12345");
        assert_eq!(no_user.exit_code().code(), 73);
        assert_eq!(no_user.retryable(), crate::retry::Retryable::Never);
        assert!(no_user.hint().unwrap().contains("/etc/passwd"), "{no_user}");
        assert_eq!(code("git@host: Permission denied (publickey)."), 77);
        assert!(matches!(
            classify_failure(
                at.clone(),
                Scheme::Ssh,
                "ssh: connect to host x port 22: Connection refused"
            ),
            Error::Network { .. }
        ));
        assert!(matches!(
            classify_failure(at, Scheme::Ssh, "ERROR: Repository not found."),
            Error::NotFound { .. }
        ));
    }

    #[test]
    fn a_repo_on_this_machine_is_never_unreachable() {
        let at = FailedAt {
            repo: RepoUrl::parse("file:///catalog").unwrap(),
            stage: Stage::Connecting,
        };
        for (said, code) in [
            ("fatal: '/catalog' does not appear to be a git repository", 65),
            (
                "fatal: Unable to open '/catalog/HEAD': No such file or directory",
                65,
            ),
            ("fatal: Unable to open '/catalog/HEAD': Permission denied", 73),
            ("error: unable to read /catalog/HEAD: Input/output error", 73),
            ("fatal: open /catalog/HEAD failed: Too many open files", 73),
        ] {
            let error = classify_failure(at.clone(), Scheme::File, said);
            assert_eq!(error.exit_code().code(), code, "{said}");
            assert!(
                error.hint().is_some() && !error.to_string().contains("server"),
                "{error}"
            );
        }
    }
}
