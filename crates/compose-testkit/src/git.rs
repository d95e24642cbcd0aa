//! The stock `git` program, run so that nothing of the machine's or the user's configuration reaches it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Keeps the machine's and the user's git configuration out, and every question.
pub const ISOLATION: [(&str, &str); 5] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C.UTF-8"),
];

/// What the kit's own git has besides: a name to commit by, and leave to read catalogs that another user owns (a
/// bind mount of a container).
const OWN: [(&str, &str); 7] = [
    ("GIT_AUTHOR_NAME", "Catalog"),
    ("GIT_AUTHOR_EMAIL", "catalog@example.com"),
    ("GIT_COMMITTER_NAME", "Catalog"),
    ("GIT_COMMITTER_EMAIL", "catalog@example.com"),
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
];

/// A `git` command with a cleared environment, to be run in `directory`.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    isolate(&mut command);
    command.current_dir(directory).env("HOME", directory);
    command
}

/// Gives `command` an environment of `PATH`, [`ISOLATION`] and the kit's own.
pub(crate) fn isolate(command: &mut Command) {
    command
        .env_clear()
        .envs(ISOLATION)
        .envs(OWN)
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
}

/// Runs git and returns its standard output without the trailing newline.
///
/// # Panics
/// Where git fails: with its arguments and what it said.
pub fn run<I, S>(directory: &Path, args: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    run_with_input(directory, args, b"")
}

/// As [`run`], with `input` on standard input.
///
/// # Panics
/// Where git fails: with its arguments and what it said.
pub fn run_with_input<I, S>(directory: &Path, args: I, input: &[u8]) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = command(directory);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // Written by a thread of its own: git may fill its output before it has read its input.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output()
    })
    .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} in {}: {}: {}",
        directory.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned()
}
