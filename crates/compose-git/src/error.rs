//! The errors of this crate: the repo each is about, its exit code and its hint.

mod access;
mod reason;
mod setting;
mod tree;
mod trust;

use std::{fmt, io, path::PathBuf, time::Duration};

use compose_model::{Cause, CommitId, ExitCode, RepoUrl, Stage, env, url::Scheme};

use crate::retry::Retryable;

pub(crate) use access::token_of;
use access::{although_sent, may_not_read, why_refused};

pub use access::Access;
pub use reason::{Detour, Excess, NotFollowed};
pub use setting::SettingProblem;
pub use tree::{RefusedEntry, TreeProblem};
pub use trust::Distrust;

/// The repo and the stage at which a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAt {
    /// The repo's address as the user wrote it.
    pub repo: RepoUrl,
    /// The stage that failed.
    pub stage: Stage,
}

impl fmt::Display for FailedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.repo, self.stage)
    }
}

/// How to provide credentials other than by a variable.
const HELPERS: &str = "configure a git credential helper or ~/.netrc";

/// A failed fetch. Text from a remote is escaped and bounded when it enters a variant.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A signal ended the run.
    #[error("cancelled")]
    Cancelled,
    /// The time for all fetching is used up.
    #[error("{at}: not finished after {} s, the time limit for all fetching", timeout.as_secs_f64())]
    TimedOut {
        /// The repo and the stage.
        at: FailedAt,
        /// The time limit.
        timeout: Duration,
    },
    /// The host was not found, or the connection was refused, cut or too slow.
    #[error("{at}: {why}")]
    Network {
        /// The repo and the stage.
        at: FailedAt,
        /// The cause.
        why: String,
    },
    /// The server answered with a status that passes: 408, 420, 425, 429, 5xx, or 403 with
    /// `Retry-After`.
    #[error("{at}: the server answered {status}{}", it_said(said))]
    Overloaded {
        /// The repo and the stage.
        at: FailedAt,
        /// The HTTP status.
        status: u16,
        /// The server's text, or empty.
        said: String,
        /// The server's `Retry-After`.
        after: Option<Duration>,
    },
    /// The server answered with another status.
    #[error("{at}: the server answered {status}{}", it_said(said))]
    Status {
        /// The repo and the stage.
        at: FailedAt,
        /// The HTTP status.
        status: u16,
        /// The server's text, or empty.
        said: String,
    },
    /// The repo does not exist, or these credentials may not see it.
    #[error("{at}: no such repository{}{}", may_not_read(access), it_said(said))]
    NotFound {
        /// The repo and the stage.
        at: FailedAt,
        /// The credential that was sent.
        access: Access,
        /// The server's text, or empty.
        said: String,
    },
    /// A repo on this machine's own disk does not exist, is not a repo, or cannot be read.
    #[error("{at}: {}", if is_missing(source) { "no such repository" } else { "the repository cannot be read" })]
    Local {
        /// The repo and the stage.
        at: FailedAt,
        /// The system's reason, or git's message.
        source: io::Error,
    },
    /// Credentials are missing or were refused.
    #[error("{at}: {}{}", why_refused(access, why), it_said(said))]
    Unauthenticated {
        /// The repo and the stage.
        at: FailedAt,
        /// The credentials that were sent.
        access: Access,
        /// Why none was sent, in words.
        why: String,
        /// The server's text, or empty.
        said: String,
    },
    /// The server answered 403.
    #[error("{at}: access refused{}{}", although_sent(access), it_said(said))]
    Forbidden {
        /// The repo and the stage.
        at: FailedAt,
        /// The credentials that were sent.
        access: Access,
        /// The server's text, or empty.
        said: String,
    },
    /// The host's identity could not be verified: its certificate or its ssh host key.
    #[error("{at}: {why}")]
    Untrusted {
        /// The repo and the stage.
        at: FailedAt,
        /// What is wrong with the certificate or key.
        why: Distrust,
    },
    /// The proxy asks for a login or refuses the one that was sent.
    #[error(
        "{at}: the proxy requires a login, or refused the one that was sent{}",
        it_said(said)
    )]
    ProxyLogin {
        /// The repo and the stage.
        at: FailedAt,
        /// The proxy's text, or empty.
        said: String,
    },
    /// A variable or a line of git's configuration is invalid.
    #[error("{repo}: {source}")]
    Setting {
        /// The address that needed the setting.
        repo: RepoUrl,
        /// The setting and what is wrong with it.
        source: SettingProblem,
    },
    /// An address leads to another one that the policy does not allow.
    #[error("{repo}: {way} {to}, which {} does not allow", env::ALLOW)]
    NotAllowed {
        /// The address as it was written.
        repo: RepoUrl,
        /// The address that it leads to.
        to: String,
        /// How it leads there, such as by a redirect.
        way: Detour,
    },
    /// A redirect is not followed.
    #[error("{at}: redirected to {to}, which is not followed: {why}")]
    Redirect {
        /// The repo and the stage.
        at: FailedAt,
        /// The redirect's target, without query or login.
        to: String,
        /// Why it is not followed.
        why: NotFollowed,
    },
    /// The answer does not come from a git server.
    #[error("{at}: this is not a git repository: {why}")]
    NotGit {
        /// The repo and the stage.
        at: FailedAt,
        /// What was received instead.
        why: String,
    },
    /// The server sent an error message of its own (an `ERR` packet, side-band 3, or ssh's last
    /// lines).
    #[error("{at}: the server said: {said}")]
    Remote {
        /// The repo and the stage.
        at: FailedAt,
        /// The server's message.
        said: String,
    },
    /// An answer exceeds a limit.
    #[error("{at}: {what} is over the limit of {limit}")]
    TooMuch {
        /// The repo and the stage.
        at: FailedAt,
        /// What exceeds it.
        what: Excess,
        /// The limit, in words.
        limit: String,
    },
    /// An answer is invalid: a broken protocol or pack, or other objects than those requested.
    #[error("{at}: the server sent an invalid answer: {why}")]
    Nonsense {
        /// The repo and the stage.
        at: FailedAt,
        /// What is wrong with it.
        why: String,
    },
    /// A program could not be started.
    #[error("{repo}: cannot run `{program}`: {source}")]
    Program {
        /// The address that needed it.
        repo: RepoUrl,
        /// `ssh` or `git`.
        program: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The repo uses another object format than sha1.
    #[error("{repo}: the repository uses {format} object ids; only sha1 is supported")]
    ObjectFormat {
        /// The repo's address.
        repo: RepoUrl,
        /// The format that it uses.
        format: String,
    },
    /// The repo has no such commit, or does not serve it.
    #[error("{repo}: there is no commit {commit}{}", reference.as_ref().map(|name| format!(" (for {name})")).unwrap_or_default())]
    NoCommit {
        /// The repo's address.
        repo: RepoUrl,
        /// The commit's id.
        commit: CommitId,
        /// The ref for which the commit was wanted, escaped.
        reference: Option<String>,
    },
    /// The id is that of another type of object.
    #[error("{repo}: {id} is a {kind}, not a commit")]
    NotACommit {
        /// The repo's address.
        repo: RepoUrl,
        /// The object's id.
        id: CommitId,
        /// `blob`, `tree`, or the same with `tag of a` before it.
        kind: String,
    },
    /// A tree has an entry that is refused.
    #[error("{repo} @ {reference}: {path}: {why}")]
    Tree {
        /// The repo's address.
        repo: RepoUrl,
        /// The ref, escaped, or the commit.
        reference: String,
        /// The path in the repo, escaped.
        path: String,
        /// What is wrong.
        why: TreeProblem,
        /// Other refused entries of the same directory.
        others: Vec<RefusedEntry>,
        /// The number of further ones.
        further: usize,
    },
    /// A source holds more than its budget allows.
    #[error("{repo} @ {reference}: {path} holds more than {what}")]
    Budget {
        /// The repo's address.
        repo: RepoUrl,
        /// The ref, escaped, or the commit.
        reference: String,
        /// The path in the repo, escaped.
        path: String,
        /// The limit, in words.
        what: String,
        /// The variable that raises the limit.
        variable: &'static str,
    },
    /// An object is not in the cache, and the run is offline.
    #[error("{repo}: {missing} is not in the cache, and the run is offline")]
    Offline {
        /// The repo's address.
        repo: RepoUrl,
        /// What is missing.
        missing: String,
    },
    /// The cache, and the temporary directory in its place, cannot be used; or this machine has no
    /// open file, thread or memory left for the operation.
    #[error("cannot {doing} {}: {source}", path.display())]
    Cache {
        /// The operation: `create`, `write`, `connect to`, …
        doing: &'static str,
        /// The file, or the repo's address.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// An object in the cache was lost or damaged after it was fetched.
    #[error("{repo}: object {id} in the cache {}: {why}", path.display())]
    Damaged {
        /// The repo's address.
        repo: RepoUrl,
        /// The object's id.
        id: String,
        /// The path of the cache entry.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A bug in this program was detected.
    #[error("{repo}: {what}")]
    Bug {
        /// The repo's address.
        repo: RepoUrl,
        /// What happened.
        what: String,
    },
}

fn it_said(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!(" (it said: {text})")
    }
}

impl Cause for Error {
    fn exit_code(&self) -> ExitCode {
        match self {
            Error::Cancelled => ExitCode::Terminated,
            Error::TimedOut { .. } => ExitCode::TimedOut,
            Error::Network { .. }
            | Error::Overloaded { .. }
            | Error::Status { .. }
            | Error::NotFound { .. }
            | Error::NotGit { .. }
            | Error::Remote { .. }
            | Error::TooMuch { .. }
            | Error::Nonsense { .. }
            | Error::ObjectFormat { .. }
            | Error::Offline { .. }
            | Error::Untrusted { .. } => ExitCode::Unreachable,
            Error::Unauthenticated { .. }
            | Error::Forbidden { .. }
            | Error::ProxyLogin { .. }
            | Error::Redirect { .. }
            | Error::NotAllowed { .. } => ExitCode::Refused,
            Error::NoCommit { .. } | Error::NotACommit { .. } | Error::Tree { .. } | Error::Budget { .. } => {
                ExitCode::Config
            }
            Error::Setting { source, .. } => source.exit_code(),
            Error::Local { source, .. } => source.exit_code(),
            Error::Program { .. } | Error::Cache { .. } | Error::Damaged { .. } => ExitCode::CannotWrite,
            Error::Bug { .. } => ExitCode::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Cancelled => return None,
            Error::Remote { .. } => {
                "this is the server's own message: if it does not say what to do, ask the server's operator".to_owned()
            }
            Error::Nonsense { .. } => {
                "try again; if it persists, check whether `git clone` works with this address, and whether something between this machine and the server changes the answers".to_owned()
            }
            Error::TimedOut { .. } => format!("set {} to more seconds, or find out why the server is slow", env::TIMEOUT),
            Error::Network { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "check the address, and that `ssh` reaches the host from this machine".to_owned()
            }
            Error::Network { .. } => "check the address, the network, and HTTPS_PROXY and NO_PROXY".to_owned(),
            Error::Overloaded { after: Some(after), .. } => {
                format!("the server asks to retry in {} s", after.as_secs())
            }
            Error::Overloaded { .. } => "try again later".to_owned(),
            Error::Status { .. } => {
                "check the address: it must be one that works with `git clone`; otherwise ask the server's operator".to_owned()
            }
            Error::Local { source, .. } if is_missing(source) => {
                "check the path; in a container it must be mounted".to_owned()
            }
            Error::Local { .. } => "allow this user to read it and the directories above it".to_owned(),
            Error::NotFound { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "check the address; the answer is the same for a private repository that the key has no access to".to_owned()
            }
            Error::NotFound { access, .. } if access.is_workflow_token() => {
                format!("check the address; a workflow's token can only read the workflow's own repository: for another private one set {} to a token with access", access.own_variable())
            }
            Error::NotFound { access, .. } if !access.sent.is_empty() => {
                "check the address, and that this credential has access".to_owned()
            }
            Error::NotFound { access, .. } => {
                format!("check the address; if the repository is private, {}", access.variables().as_deref().unwrap_or(HELPERS))
            }
            Error::Unauthenticated { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "give the container a key that the host accepts (a mounted ~/.ssh, or the agent's socket in SSH_AUTH_SOCK)".to_owned()
            }
            Error::Unauthenticated { access, .. } if access.is_workflow_token() => {
                format!("a workflow's token expires with its job, and can only read the workflow's own repository: set {} to a token with access", access.own_variable())
            }
            Error::Unauthenticated { access, .. } => {
                match access.variables() {
                    Some(set) => format!("{set}, or {HELPERS}"),
                    None => HELPERS.to_owned(),
                }
            }
            Error::Forbidden { .. } => "check that the token or key may read this repository".to_owned(),
            Error::Untrusted { why, .. } => why.remedy(),
            Error::ProxyLogin { .. } => {
                "put the login into the proxy's address: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT".to_owned()
            }
            Error::Setting {
                source: SettingProblem::EncryptedKey { .. },
                ..
            } => "name a key without a passphrase (`openssl pkey -in KEY -out PLAIN_KEY` makes one)".to_owned(),
            Error::Setting { .. } => "correct it or remove it".to_owned(),
            Error::Redirect { at, to, .. }
                if !at.repo.as_str().eq_ignore_ascii_case(to)
                    && (to.starts_with("https://")
                        || (at.repo.scheme() == Scheme::Http && to.starts_with("http://"))) =>
            {
                format!("write {to} as the repo, if it has moved there")
            }
            Error::NotAllowed { to, .. } => {
                format!("to fetch from {to}, add it to {}", env::ALLOW)
            }
            Error::Redirect { .. } => {
                "the server is misconfigured, or something on the way requires a login: ask the server's operator".to_owned()
            }
            Error::NotGit { .. } => "check the address: it must be one that works with `git clone`".to_owned(),
            Error::TooMuch { .. } => "the repository is larger than any catalog should be".to_owned(),
            Error::Program { source, .. } | Error::Cache { source, .. } if exhausted(source).is_some() => {
                format!("allow more open files, threads or memory (`ulimit`, `--pids-limit`), or set {} to a lower number", env::JOBS)
            }
            Error::Program { source, .. } if source.kind() == io::ErrorKind::Unsupported => {
                "give the user an entry in /etc/passwd, run the container as another user, or use an https:// address".to_owned()
            }
            Error::Program { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                "correct ssh's configuration, or its owner and permissions (`chmod go-w`)".to_owned()
            }
            Error::Program { program, .. } => format!("install `{program}`, or use an https:// address"),
            Error::ObjectFormat { .. } => "use a repository in the sha1 format".to_owned(),
            Error::NoCommit { .. } => {
                "check the commit id; a commit that no branch or tag reaches may be gone from the server".to_owned()
            }
            Error::NotACommit { .. } => "use the id of a commit, or of an annotated tag of one".to_owned(),
            Error::Tree { .. } => "correct it in the repository".to_owned(),
            Error::Budget { variable, .. } => format!("`exclude` what is not needed, or raise {variable}"),
            Error::Offline { .. } => format!("run once without {}, with the same cache", env::OFFLINE),
            Error::Cache { .. } => format!("set {} to a writable directory with enough free space", env::CACHE),
            Error::Damaged { .. } => "run again: the cache repairs itself when it is opened".to_owned(),
            Error::Bug { .. } => "please report it".to_owned(),
        };
        Some(text)
    }
}

impl Error {
    /// Returns whether a retry may succeed.
    pub(crate) fn retryable(&self) -> Retryable {
        match self {
            Error::Network { .. } => Retryable::Yes,
            Error::Overloaded {
                after: Some(after), ..
            } => Retryable::After(*after),
            // 501 (not implemented) is a final answer.
            Error::Overloaded { status, .. } if *status != 501 => Retryable::Yes,
            _ => Retryable::Never,
        }
    }
}

/// Returns whether the error says that there is nothing to read.
fn is_missing(error: &io::Error) -> bool {
    error.exit_code() == ExitCode::Config
}

/// Returns the errno if the system has no more files, threads or memory for the process, however
/// deeply it is wrapped.
pub(crate) fn exhausted(error: &io::Error) -> Option<i32> {
    use rustix::io::Errno;
    system_error(error).filter(|number| {
        [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM].contains(&Errno::from_raw_os_error(*number))
    })
}

/// Returns the system's error number, however deeply it is wrapped.
pub(crate) fn system_error(error: &io::Error) -> Option<i32> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        let found = current.downcast_ref::<io::Error>();
        if let Some(number) = found.and_then(io::Error::raw_os_error) {
            return Some(number);
        }
        // An `io::Error` that wraps another one skips it in `source()`, so the inner error is taken
        // first.
        next = match found.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}
