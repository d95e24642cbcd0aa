//! What a run of the program has left to look at.

use std::fmt;
use std::time::Duration;

use crate::redact::Redactor;

/// Exit code, standard output and standard error of a run. `Display` shows all three for a snapshot, with temporary
/// paths, ports, commit ids and times replaced by placeholders that are the same in every run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code; none where a signal ended the process.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The standard output, as it was.
    pub stdout: String,
    /// The standard error, as it was.
    pub stderr: String,
    /// How long it took from start to end.
    pub duration: Duration,
    pub(crate) redactor: Redactor,
}

impl Run {
    /// Whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The run itself, if its exit code is `code`.
    ///
    /// # Panics
    /// Where it ended otherwise; the message holds its output.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(formatter, "exit code: {code}")?,
            (None, signal) => writeln!(formatter, "signal: {}", signal.unwrap_or_default())?,
        }
        // One pass over both, so that a commit has one number in both.
        let both = format!(
            "----- stdout -----\n{}----- stderr -----\n{}",
            ended(&self.stdout),
            ended(&self.stderr)
        );
        formatter.write_str(&self.redactor.redact(&both))
    }
}

/// The text, ended by a newline where it is not empty.
fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    }
}
