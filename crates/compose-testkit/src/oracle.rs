//! Other programs that answer the same questions as the code under test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::standin;

/// Returns a command that runs a script of the tests by the Python of the stand-in, which has
/// PyYAML.
pub fn python(script: impl AsRef<Path>) -> Command {
    let mut command = Command::new(standin::python());
    command
        .arg(script.as_ref())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONIOENCODING", "utf-8");
    command
}

/// Writes `question` as JSON to the command's standard input and reads its standard output as JSON.
/// The program must read all of its input before it writes.
///
/// # Panics
///
/// If the program cannot be started, fails, or does not write JSON.
pub fn ask(mut command: Command, question: &Value) -> Value {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let written = stdin.write_all(question.to_string().as_bytes());
    drop(stdin);
    let output = child
        .wait_with_output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success() && written.is_ok(),
        "{command:?}: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
