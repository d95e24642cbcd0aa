//! Runs `ssh`, and `git upload-pack` for catalogs on this machine's disk.
//!
//! Catalogs on disk are read through `git upload-pack` instead of in place. Fetching, verifying and
//! caching then work alike for every transport, and a catalog that is garbage-collected or
//! rewritten meanwhile cannot take objects away from a run.

mod home;
pub(crate) mod local;
mod ssh;
pub(crate) mod ssh_names;

use std::{
    ffi::OsStr,
    io::{self, Write},
    path::Path,
    process::Stdio,
    sync::Arc,
};

use compose_model::{RepoUrl, text::escape, url::Scheme};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    runtime::Handle,
    sync::mpsc,
    task::JoinHandle,
};

use crate::{
    error::{Error, FailedAt},
    options::Options,
    run::Run,
    wire::{
        body::{Body, Event},
        connection::Wire,
        packets::MAX_SHOWN_MESSAGE,
        pump::{ChunkSource, IN_FLIGHT, pump},
    },
};

use home::SshFiles;

/// The most bytes of a program's error output that are kept.
const LONGEST_STDERR: usize = 8 << 10;

/// Starts the program for `url`; errors name `wire.repo`.
pub(crate) fn connect(
    run: &Run,
    wire: Arc<Wire>,
    url: &RepoUrl,
    runtime: &Handle,
) -> Result<(Body, Stdin), Error> {
    let repo = wire.repo.clone();
    let options = &run.options;
    let (program, mut command, files) = match url.scheme() {
        Scheme::Ssh => {
            let (command, files) = ssh::command(run, url);
            ("ssh", command, files)
        }
        _ => ("git", upload_pack(options, &wire, url)?, None),
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
        match wait_for_exit(&wire, scheme, child, stderr_text, files).await {
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
    files: Option<SshFiles>,
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
    let note = files.map(|files| files.note);
    Some(classify_failure(wire.failed_at(), scheme, &said, note.as_deref()))
}

/// Returns what a program's error output means. `files` says which files ssh read, if they are not
/// those that `HOME` suggests.
fn classify_failure(at: FailedAt, scheme: Scheme, said: &str, files: Option<&str>) -> Error {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    if scheme == Scheme::Ssh {
        return ssh::classify_failure(at, &lines.collect::<Vec<_>>(), files);
    }
    let text = escape(&lines.collect::<Vec<_>>().join("; "), MAX_SHOWN_MESSAGE);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    // With `LC_ALL=C`: the system's messages about what prevents git from reading a local repo.
    let kind = if has(&IS_MISSING) {
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
    Error::Local { at, source }
}

/// What `git upload-pack` and hosting services say of a repo that does not exist.
const IS_MISSING: [&str; 4] = [
    "does not appear to be a git repository",
    "not a git repository",
    "Repository not found",
    "No such file",
];

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

fn upload_pack(options: &Options, wire: &Wire, url: &RepoUrl) -> Result<Command, Error> {
    let path = local::path_of(url);
    // git has many messages for a path without a repo, and the same ones for a repo that it may not
    // read.
    local::check_readable(Path::new(&path)).map_err(|source| Error::Local {
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
            let error = classify_failure(at.clone(), Scheme::File, said, None);
            assert_eq!(error.exit_code().code(), code, "{said}");
            assert!(
                error.hint().is_some() && !error.to_string().contains("server"),
                "{error}"
            );
        }
    }
}
