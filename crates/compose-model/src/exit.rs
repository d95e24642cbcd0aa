//! Exit codes, following `sysexits.h` and the shell's conventions.

/// The exit code of a run that does not start the pipeline. The pipeline's own codes are passed
/// through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// The command line is wrong.
    Usage = 2,
    /// Something in the configuration is wrong: a config file, a conflict, a missing tag or
    /// environment, a hostile tree, a missing lock.
    Config = 65,
    /// A repo cannot be reached or gives invalid answers.
    Unreachable = 69,
    /// A bug in this program.
    Bug = 70,
    /// A file or directory of this machine cannot be written, or exists and cannot be read.
    CannotWrite = 73,
    /// The time limit was reached.
    TimedOut = 75,
    /// Authentication failed, or a policy refused.
    Refused = 77,
    /// The pipeline was found but cannot be exec'd.
    CannotExec = 126,
    /// The pipeline was not found.
    NotFound = 127,
    /// The run was ended by SIGINT.
    Interrupted = 130,
    /// The run was ended by SIGTERM.
    Terminated = 143,
}

impl ExitCode {
    /// Returns the process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Returns the exit code of a run in which several sources failed in different ways. Problems
    /// that the user can fix alone come first (config, then credentials), then those that may pass
    /// by themselves.
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
