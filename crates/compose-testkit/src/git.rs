//! The stock `git` program, isolated from the machine's and the user's configuration.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Variables that disable the machine's and the user's git configuration and all prompts.
pub const ISOLATION: [(&str, &str); 5] = [
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C.UTF-8"),
];

/// Variables of the kit's own git commands: an identity for commits, and the permission to read
/// catalogs of another user (in a bind mount of a container).
const KIT_VARIABLES: [(&str, &str); 7] = [
    ("GIT_AUTHOR_NAME", "Catalog"),
    ("GIT_AUTHOR_EMAIL", "catalog@example.com"),
    ("GIT_COMMITTER_NAME", "Catalog"),
    ("GIT_COMMITTER_EMAIL", "catalog@example.com"),
    ("GIT_CONFIG_COUNT", "1"),
    ("GIT_CONFIG_KEY_0", "safe.directory"),
    ("GIT_CONFIG_VALUE_0", "*"),
];

/// Returns a `git` command with a cleared environment that runs in `directory`.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    isolate(&mut command);
    command.current_dir(directory).env("HOME", directory);
    command
}

/// Sets the environment of `command` to `PATH`, [`ISOLATION`] and the kit's own variables.
pub(crate) fn isolate(command: &mut Command) {
    command
        .env_clear()
        .envs(ISOLATION)
        .envs(KIT_VARIABLES)
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
}

/// Runs git and returns its standard output without the final newline.
///
/// # Panics
///
/// If git fails; the message contains its arguments and error output.
pub fn run<I, S>(directory: &Path, args: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    run_with_input(directory, args, b"")
}

/// Runs git like [`run`], with `input` on standard input.
///
/// # Panics
///
/// If git fails; the message contains its arguments and error output.
pub fn run_with_input<I, S>(directory: &Path, args: I, input: &[u8]) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    String::from_utf8_lossy(&output_bytes(directory, args, input))
        .trim_end_matches('\n')
        .to_owned()
}

/// Runs git like [`run_with_input`] and returns its standard output as it is.
///
/// # Panics
///
/// If git fails; the message contains its arguments and error output.
pub fn output_bytes<I, S>(directory: &Path, args: I, input: &[u8]) -> Vec<u8>
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
    // A separate thread writes the input: git may fill its output before it has read all input.
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
    output.stdout
}
