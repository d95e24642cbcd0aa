//! Exit codes, after `sysexits.h` and the shell's own.

/// How a run ends when the pipeline is not started. The pipeline's own codes pass through by exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// A wrong command line.
    Usage = 2,
    /// Bad config, a conflict, a tag or environment that does not exist, a hostile tree, a missing lock.
    Config = 65,
    /// A repo cannot be reached, or answers nonsense.
    Unreachable = 69,
    /// A bug in this program.
    Bug = 70,
    /// This machine: something cannot be written, or is there and cannot be read.
    CannotWrite = 73,
    /// Timed out.
    TimedOut = 75,
    /// Authentication failed, or policy refused.
    Refused = 77,
    /// The pipeline was found and cannot be exec'd.
    CannotExec = 126,
    /// The pipeline was not found.
    NotFound = 127,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl ExitCode {
    /// The number the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code that a run ends with when several sources failed in different ways: what the user can
    /// fix alone comes first (config, then credentials), then what needs a retry.
    pub fn most_telling(codes: impl IntoIterator<Item = ExitCode>) -> Option<ExitCode> {
        let rank = |code: &ExitCode| match code {
            ExitCode::Bug => 0,
            ExitCode::Interrupted | ExitCode::Terminated => 1,
            ExitCode::Config => 2,
            ExitCode::Refused => 3,
            ExitCode::CannotWrite => 4,
            ExitCode::Unreachable => 5,
            ExitCode::TimedOut => 6,
            _ => 7,
        };
        codes.into_iter().min_by_key(rank)
    }
}
