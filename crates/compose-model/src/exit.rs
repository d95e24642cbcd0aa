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

/// An exit status, as it is explained to people.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The number.
    pub code: u8,
    /// A few words for lists. Neighbours with the same words are named together.
    pub short: &'static str,
    /// What it means: a phrase without a full stop.
    pub meaning: &'static str,
}

const fn status(code: u8, short: &'static str, meaning: &'static str) -> Status {
    Status { code, short, meaning }
}

/// All exit statuses: the one table from which help, manual pages and the README are made.
pub const STATUSES: [Status; 15] = [
    status(0, "done", "the command did what it is for"),
    status(
        1,
        "newer versions",
        "`outdated --check` or `upgrade --dry-run --check` found a newer, moved or deleted version",
    ),
    status(
        ExitCode::Usage as u8,
        "usage",
        "the command line, or a variable, is wrong; also of `plan --exit-code`, if the composition differs",
    ),
    status(
        ExitCode::Config as u8,
        "bad config or conflict",
        "a config is wrong, sources conflict, a version or environment does not exist, or a required lock is missing",
    ),
    status(
        ExitCode::Unreachable as u8,
        "a repo cannot be reached",
        "a repo cannot be reached, or gives invalid answers",
    ),
    status(ExitCode::Bug as u8, "a bug", "a bug of bitops-compose"),
    status(
        ExitCode::CannotWrite as u8,
        "cannot read or write on this machine",
        "a file or directory of this machine cannot be written, or exists and cannot be read",
    ),
    status(
        ExitCode::TimedOut as u8,
        "timed out",
        "the time of `BITOPS_COMPOSE_TIMEOUT` is over",
    ),
    status(
        ExitCode::Refused as u8,
        "authentication or policy refused",
        "a credential was refused or is missing, or a policy such as `BITOPS_COMPOSE_ALLOW` refused a source",
    ),
    status(
        ExitCode::CannotExec as u8,
        "the pipeline cannot be started",
        "the pipeline is there, but cannot be started",
    ),
    status(
        ExitCode::NotFound as u8,
        "the pipeline cannot be started",
        "the pipeline is not there",
    ),
    status(129, "signals", "ended by SIGHUP"),
    status(ExitCode::Interrupted as u8, "signals", "ended by SIGINT"),
    status(131, "signals", "ended by SIGQUIT"),
    status(ExitCode::Terminated as u8, "signals", "ended by SIGTERM"),
];

/// Lists the exit statuses in a few words: `0 done, 2 usage, 126/127 the pipeline cannot be started`.
pub fn statuses() -> String {
    let groups = STATUSES.chunk_by(|one, next| one.short == next.short);
    let groups: Vec<String> = groups
        .map(|group| {
            let codes: Vec<String> = group.iter().map(|status| status.code.to_string()).collect();
            format!("{} {}", codes.join("/"), group[0].short)
        })
        .collect();
    groups.join(", ")
}
