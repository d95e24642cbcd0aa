//! `ssh`, and `git upload-pack` for catalogs on this machine's disk.
//!
//! Catalogs on disk go through `git upload-pack` rather than being read in place: then there is one path through fetching,
//! verifying and caching, whatever the transport, and a catalog that is collected or rewritten while we read cannot pull objects from under us.

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
    error::{Access, At, Error},
    options::Options,
    wire::{
        body::{Body, Event},
        connection::Wire,
        packets::SAID,
        pump::{IN_FLIGHT, Source, pump},
    },
};

/// How much of what a program says is kept.
const LONGEST_STDERR: usize = 8 << 10;

/// All that `ssh` gets of our environment. It has no business with the cloud's secrets, nor with our tokens; and `GIT_SSH_COMMAND`
/// and the like do not change what is run.
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

/// Starts the program for `url`; `wire.repo` is what errors name.
pub(crate) fn connect(
    options: &Options,
    wire: Arc<Wire>,
    url: &RepoUrl,
    runtime: &Handle,
) -> Result<(Body, Stdin), Error> {
    let repo = wire.repo.clone();
    let (program, mut command) = match url.scheme() {
        Scheme::Ssh => ("ssh", ssh(options, url)),
        _ => ("git", upload_pack(options, &wire, url)?),
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Spawning registers the child with the runtime.
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
            // A program that ended says why on its other pipes.
            if stdin.write_all(&bytes).await.is_err() || stdin.flush().await.is_err() {
                break;
            }
        }
    });
    let said = runtime.spawn(collect(stderr));
    let (to, from) = mpsc::channel(IN_FLIGHT);
    let body = Body::new(Arc::clone(&wire), from);
    let scheme = url.scheme();
    runtime.spawn(async move {
        let done = pump(&wire, &mut Source::Process(stdout), &to).await;
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
        match ended(&wire, scheme, child, said).await {
            None => _ = to.send(Event::End(rest)).await,
            Some(error) => wire.fail(error),
        }
    });
    Ok((body, Stdin(write)))
}

/// A program's standard input, for gix's blocking writers. The requests are small, so the queue needs no bound.
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

async fn collect(mut from: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..count]);
        // The last words are the telling ones.
        let surplus = kept.len().saturating_sub(LONGEST_STDERR);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The program closed its output: why?
async fn ended(wire: &Wire, scheme: Scheme, mut child: Child, said: JoinHandle<String>) -> Option<Error> {
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
        said = said => said.unwrap_or_default(),
    };
    Some(judge(wire.failed_at(), scheme, &said))
}

fn judge(at: At, scheme: Scheme, said: &str) -> Error {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let text = escape(&lines.join("; "), SAID);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&[
        "does not appear to be a git repository",
        "not a git repository",
        "Repository not found",
        "No such file",
    ]) {
        return Error::NotFound {
            at,
            access: Access::default(),
            said: text,
        };
    }
    if scheme != Scheme::Ssh {
        return Error::Remote { at, said: text };
    }
    // OpenSSH's own words: it ends with 255 for all of them.
    if has(&[
        "Host key verification failed",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "host key is known",
    ]) {
        return Error::Untrusted {
            at,
            why: format!("the host's key is not the known one: {text}"),
            remedy: "add the host's key to known_hosts (ssh-keyscan shows it; compare it with the one the host publishes)",
        };
    }
    if has(&[
        "Permission denied",
        "Too many authentication failures",
        "No supported authentication methods",
    ]) {
        let why = "ssh found no key or agent that the host takes".to_owned();
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

fn clean(program: &str, options: &Options, names: &[&str]) -> Command {
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

fn ssh(options: &Options, url: &RepoUrl) -> Command {
    let mut command = clean("ssh", options, &SSH_VARIABLES);
    let seconds = options.tuning.connect_timeout.as_secs().max(1);
    command.args([
        "-o",
        "BatchMode=yes",
        "-o",
        &format!("ConnectTimeout={seconds}"),
        "-o",
        "SendEnv=GIT_PROTOCOL",
        "-T",
    ]);
    if let Some(port) = url.port() {
        command.args(["-p", &port.to_string()]);
    }
    let (login, path) = ssh_parts(url);
    command.args(["--", &login, &format!("git-upload-pack {}", quote(&path))]);
    command
}

/// `user@host`, and the path as the far side takes it.
fn ssh_parts(url: &RepoUrl) -> (String, String) {
    let host = url
        .host()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let text = url.as_str();
    let (authority, path) = match text.strip_prefix("ssh://") {
        Some(rest) => {
            let path = percent_decode_str(url.path()).decode_utf8_lossy().into_owned();
            // `/~user/repo` is relative to a home.
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

/// For the far side's shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''").replace('!', "'\\!'"))
}

fn upload_pack(options: &Options, wire: &Wire, url: &RepoUrl) -> Result<Command, Error> {
    let path = if url.as_str().starts_with("file://") {
        percent_decode_str(url.path()).decode_utf8_lossy().into_owned()
    } else {
        url.path().to_owned()
    };
    if !std::path::Path::new(&path).exists() {
        return Err(Error::NotFound {
            at: wire.failed_at(),
            access: Access::default(),
            said: String::new(),
        });
    }
    let mut command = clean("git", options, &["PATH", "HOME", "LANG", "TMPDIR"]);
    command
        .env("LC_ALL", "C")
        // Nobody's configuration, and no fetching on our behalf.
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_NO_LAZY_FETCH", "1")
        // In a container a mounted catalog belongs to another user as a rule, and upload-pack runs nothing that
        // stands in the repository: its one hook is taken from protected configuration only.
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
    fn ssh_addresses_are_taken_apart_as_git_does() {
        let pair = |login: &str, path: &str| (login.to_owned(), path.to_owned());
        assert_eq!(
            parts("ssh://git@host:2222/org/repo.git"),
            pair("git@host", "/org/repo.git")
        );
        assert_eq!(parts("git@host:org/repo"), pair("git@host", "org/repo"));
        assert_eq!(parts("ssh://host/~me/repo"), pair("host", "~me/repo"));
        assert_eq!(parts("ssh://git@[::1]/repo"), pair("git@::1", "/repo"));
    }

    #[test]
    fn the_far_shell_sees_one_word() {
        assert_eq!(quote("/a b'; rm -rf $HOME!"), "'/a b'\\''; rm -rf $HOME'\\!''");
    }

    #[test]
    fn ssh_gets_no_secret_and_never_asks() {
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
        let command = ssh(&options, &RepoUrl::parse("git@host:repo").unwrap());
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
    fn what_ssh_says_decides_the_error() {
        let at = At {
            repo: RepoUrl::parse("git@host:repo").unwrap(),
            stage: Stage::Connecting,
        };
        let code = |said: &str| judge(at.clone(), Scheme::Ssh, said).exit_code().code();
        assert_eq!(code("Host key verification failed."), 69);
        assert_eq!(code("git@host: Permission denied (publickey)."), 77);
        assert!(matches!(
            judge(
                at.clone(),
                Scheme::Ssh,
                "ssh: connect to host x port 22: Connection refused"
            ),
            Error::Network { .. }
        ));
        assert!(matches!(
            judge(at, Scheme::Ssh, "ERROR: Repository not found."),
            Error::NotFound { .. }
        ));
    }
}
