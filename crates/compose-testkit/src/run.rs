//! The result of a run of the program.

use std::fmt;
use std::time::Duration;

use crate::redact::Redactor;

/// The exit code, standard output and standard error of a run. `Display` shows all three for a
/// snapshot; temporary paths, ports, commit ids and times are replaced by placeholders that are the
/// same in every run.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code; `None` if a signal ended the process.
    pub code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// The standard output, unchanged.
    pub stdout: String,
    /// The standard error, unchanged.
    pub stderr: String,
    /// The time from start to end.
    pub duration: Duration,
    pub(crate) redactor: Redactor,
}

impl Run {
    /// Returns whether the exit code is 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns the run itself if its exit code is `code`.
    ///
    /// # Panics
    ///
    /// If it ended otherwise; the message contains its output.
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
        // Both are redacted together, so that an id has the same number in both.
        let both = format!(
            "----- stdout -----\n{}----- stderr -----\n{}",
            with_final_newline(&self.stdout),
            with_final_newline(&self.stderr)
        );
        formatter.write_str(&self.redactor.redact(&both))
    }
}

/// Ends the text with a newline unless it is empty.
fn with_final_newline(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') {
        text.to_owned()
    } else {
        format!("{text}\n")
    }
}
