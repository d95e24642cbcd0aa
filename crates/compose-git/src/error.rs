//! What can go wrong, which repo it is about, and what to do.

use std::{fmt, io, path::PathBuf, time::Duration};

use compose_model::{Cause, CommitId, ExitCode, RepoUrl, Stage, env, url::Scheme};

use crate::retry::Again;

/// Where a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The address as the user wrote it.
    pub repo: RepoUrl,
    /// What was going on.
    pub stage: Stage,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.repo, self.stage)
    }
}

/// Where credentials come from that no variable holds.
const HELPERS: &str = "configure a git credential helper or ~/.netrc";

/// What a host was sent to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Where the credential that was sent came from, such as a variable's name. Never the credential.
    pub sent: Option<String>,
    /// Is it the host that `GITHUB_TOKEN` is for?
    pub is_github: bool,
    /// The variable for a token of that host, which after a redirect is not the repo's own. `None`: it has none.
    pub variable: Option<String>,
}

impl Access {
    /// Was it the token that a workflow has of itself, which says little about what it may read?
    fn is_workflow_token(&self) -> bool {
        self.sent.as_deref() == Some(env::GITHUB_TOKEN)
    }

    /// What to set for a host that was sent nothing.
    fn variables(&self) -> Option<String> {
        let github = self.is_github.then_some(env::GITHUB_TOKEN);
        let variables: Vec<&str> = github.into_iter().chain(self.variable.as_deref()).collect();
        (!variables.is_empty()).then(|| format!("set {}", variables.join(" or ")))
    }

    /// The variable for a token that may more than a workflow's own.
    fn own_variable(&self) -> &str {
        self.variable.as_deref().unwrap_or("a git credential helper")
    }
}

/// A failed fetch. Text of a remote is escaped and bounded where it enters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A signal ended the run.
    #[error("cancelled")]
    Cancelled,
    /// The time for all fetching is over.
    #[error("{at}: not done after {} s, the limit for all fetching", timeout.as_secs_f64())]
    TimedOut {
        /// Which repo, and what was going on.
        at: At,
        /// The limit.
        timeout: Duration,
    },
    /// The host was not found, the connection refused, cut or too slow.
    #[error("{at}: {why}")]
    Network {
        /// Which repo, and what was going on.
        at: At,
        /// How it failed.
        why: String,
    },
    /// 429 or a 5xx.
    #[error("{at}: the server answered {status}{}", it_said(said))]
    Overloaded {
        /// Which repo, and what was going on.
        at: At,
        /// The HTTP status.
        status: u16,
        /// The server's text.
        said: String,
        /// Its `Retry-After`.
        after: Option<Duration>,
    },
    /// No such repo, or none that these credentials may see.
    #[error("{at}: no such repository{}{}", may_not_read(access), it_said(said))]
    NotFound {
        /// Which repo, and what was going on.
        at: At,
        /// What the host was sent.
        access: Access,
        /// The server's text.
        said: String,
    },
    /// Credentials are missing or were refused.
    #[error("{at}: {why}{}", it_said(said))]
    Unauthenticated {
        /// Which repo, and what was going on.
        at: At,
        /// What the host was sent.
        access: Access,
        /// Which of the two.
        why: String,
        /// The server's text.
        said: String,
    },
    /// 403, or an ssh key without access.
    #[error("{at}: access refused{}", it_said(said))]
    Forbidden {
        /// Which repo, and what was going on.
        at: At,
        /// The server's text.
        said: String,
    },
    /// The host's identity could not be verified: a certificate or an ssh host key.
    #[error("{at}: {why}")]
    Untrusted {
        /// Which repo, and what was going on.
        at: At,
        /// What is wrong with it.
        why: String,
        /// What to do about that.
        remedy: &'static str,
    },
    /// The proxy wants a login, or another one.
    #[error(
        "{at}: the proxy asks for a login, or does not take the one it was sent{}",
        it_said(said)
    )]
    ProxyLogin {
        /// Which repo, and what was going on.
        at: At,
        /// The proxy's text.
        said: String,
    },
    /// A variable or a line of git's configuration that cannot be used.
    #[error("{repo}: {why}")]
    Setting {
        /// The address it was needed for.
        repo: RepoUrl,
        /// Which, and why not. Never its value when that may hold a secret.
        why: String,
    },
    /// Policy does not name an address that another one leads to.
    #[error("{repo}: {way} {to}, which {} does not allow", env::ALLOW)]
    NotAllowed {
        /// The address as it was written.
        repo: RepoUrl,
        /// Where it leads.
        to: String,
        /// How.
        way: &'static str,
    },
    /// A redirect that is not followed.
    #[error("{at}: redirected to {to}, which is not followed: {why}")]
    Redirect {
        /// Which repo, and what was going on.
        at: At,
        /// Where it points, without query or login.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// Something else than a git server answered.
    #[error("{at}: this is no git repository: {why}")]
    NotGit {
        /// Which repo, and what was going on.
        at: At,
        /// What came instead.
        why: String,
    },
    /// The server's own error message (`ERR` packet, side-band 3, ssh's last lines).
    #[error("{at}: the server said: {said}")]
    Remote {
        /// Which repo, and what was going on.
        at: At,
        /// The text.
        said: String,
    },
    /// An answer over a limit.
    #[error("{at}: {what} is over the limit of {limit}")]
    TooMuch {
        /// Which repo, and what was going on.
        at: At,
        /// What.
        what: &'static str,
        /// The limit, in words.
        limit: String,
    },
    /// An answer that makes no sense: broken protocol, broken pack, other objects than asked for.
    #[error("{at}: the server sent an answer that cannot be used: {why}")]
    Nonsense {
        /// Which repo, and what was going on.
        at: At,
        /// What is wrong with it.
        why: String,
    },
    /// A program that could not be started.
    #[error("{repo}: cannot run `{program}`: {source}")]
    Program {
        /// The address it was for.
        repo: RepoUrl,
        /// `ssh` or `git`.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A repo of another object format.
    #[error("{repo}: the repository uses {format} object ids; only sha1 is supported")]
    ObjectFormat {
        /// The address.
        repo: RepoUrl,
        /// What it uses.
        format: String,
    },
    /// The repo has no such commit, or does not hand it out.
    #[error("{repo}: there is no commit {commit}{}", reference.as_ref().map(|name| format!(" (for {name})")).unwrap_or_default())]
    NoCommit {
        /// The address.
        repo: RepoUrl,
        /// The id.
        commit: CommitId,
        /// The ref it was wanted for, escaped.
        reference: Option<String>,
    },
    /// The id is one of another object.
    #[error("{repo}: {id} is a {kind}, not a commit")]
    NotACommit {
        /// The address.
        repo: RepoUrl,
        /// The id.
        id: CommitId,
        /// `blob`, `tree` or `tag`.
        kind: String,
    },
    /// A tree that is not taken.
    #[error("{repo} @ {reference}: {path}: {why}")]
    Tree {
        /// The address.
        repo: RepoUrl,
        /// The ref, escaped, or the commit.
        reference: String,
        /// The path in the repo, escaped.
        path: String,
        /// What is wrong.
        why: TreeProblem,
    },
    /// More than one source may hold.
    #[error("{repo} @ {reference}: {path} holds more than {what}")]
    Budget {
        /// The address.
        repo: RepoUrl,
        /// The ref, escaped, or the commit.
        reference: String,
        /// The path in the repo, escaped.
        path: String,
        /// The limit, in words.
        what: String,
        /// The variable that raises it.
        variable: &'static str,
    },
    /// Not in the cache, and the network is switched off.
    #[error("{repo}: {missing} is not in the cache, and the run is offline")]
    Offline {
        /// The address.
        repo: RepoUrl,
        /// What is missing.
        missing: String,
    },
    /// The cache, and the temporary directory in its place, cannot be used; or this machine has no open file, thread or memory
    /// left for what was to be done.
    #[error("cannot {doing} {}: {source}", path.display())]
    Cache {
        /// `create`, `write`, `connect to`, …
        doing: &'static str,
        /// The file, or the repo's address.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache lost or damaged an object after it was fetched.
    #[error("{repo}: object {id} in the cache {}: {why}", path.display())]
    Damaged {
        /// The address.
        repo: RepoUrl,
        /// The object.
        id: String,
        /// The cache entry.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A bug in this program.
    #[error("{repo}: {what}")]
    Bug {
        /// The address.
        repo: RepoUrl,
        /// What happened.
        what: String,
    },
}

/// What is wrong with an entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeProblem {
    /// A name that cannot be a file's on every system, or that hides something.
    #[error("the name is not allowed: {0}")]
    Name(String),
    /// Two names that are one file on some systems.
    #[error("the name collides with `{0}` in the same directory (by case or Unicode form)")]
    Collision(String),
    /// Not a tree as git writes it.
    #[error("the directory is malformed: {0}")]
    Malformed(String),
    /// Over 512 directories deep, or 4,096 bytes long.
    #[error("the path is too deep or too long")]
    TooDeep,
    /// A submodule.
    #[error("it is a git submodule, which is not fetched")]
    Submodule,
    /// A Git LFS pointer.
    #[error("it is a Git LFS pointer; its content is not in the repository")]
    Lfs,
    /// A symlink to `/…`.
    #[error("the symlink's target `{0}` is absolute")]
    AbsoluteLink(String),
    /// A symlink above the repo's root.
    #[error("the symlink's target `{0}` is outside of the repository")]
    EscapingLink(String),
    /// A symlink to nothing.
    #[error("the symlink's target `{0}` does not exist")]
    DanglingLink(String),
    /// A symlink to itself or to a directory around it.
    #[error("the symlink's target `{0}` leads in a circle")]
    LoopingLink(String),
    /// A mode that git does not write, or an object that is not what the mode says.
    #[error("{0}")]
    Kind(String),
}

/// A host does not say whether a repo is not there, or not for this credential.
fn may_not_read(access: &Access) -> String {
    let sent = access.sent.as_deref();
    sent.map_or_else(String::new, |sent| {
        format!(", or none that {sent}, which was sent, may read")
    })
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
            | Error::NotFound { .. }
            | Error::NotGit { .. }
            | Error::Remote { .. }
            | Error::TooMuch { .. }
            | Error::Nonsense { .. }
            | Error::Program { .. }
            | Error::ObjectFormat { .. }
            | Error::Offline { .. }
            | Error::Untrusted { .. } => ExitCode::Unreachable,
            Error::Unauthenticated { .. }
            | Error::Forbidden { .. }
            | Error::ProxyLogin { .. }
            | Error::Redirect { .. }
            | Error::NotAllowed { .. } => ExitCode::Refused,
            Error::NoCommit { .. }
            | Error::NotACommit { .. }
            | Error::Setting { .. }
            | Error::Tree { .. }
            | Error::Budget { .. } => ExitCode::Config,
            Error::Cache { .. } | Error::Damaged { .. } => ExitCode::CannotWrite,
            Error::Bug { .. } => ExitCode::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Error::Cancelled => return None,
            Error::Remote { .. } => {
                "these are the server's own words: ask who runs it, unless they say what to do".to_owned()
            }
            Error::Nonsense { .. } => {
                "try again; when it stays so, see whether `git clone` takes the address, and what stands between here and the server".to_owned()
            }
            Error::TimedOut { .. } => format!("set {} to more seconds, or look at why the server is slow", env::TIMEOUT),
            Error::Network { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "check the address, and that `ssh` reaches the host from here".to_owned()
            }
            Error::Network { .. } => "check the address, the network, and HTTPS_PROXY and NO_PROXY".to_owned(),
            Error::Overloaded { after: Some(after), .. } => {
                format!("the server asks to come back in {} s", after.as_secs())
            }
            Error::Overloaded { .. } => "try again later".to_owned(),
            Error::NotFound { at, .. } if at.repo.is_local() => {
                "check the path; in a container it must be mounted".to_owned()
            }
            Error::NotFound { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "check the address; a private repository also answers so to a key that may not read it".to_owned()
            }
            Error::NotFound { access, .. } if access.is_workflow_token() => {
                format!("check the address; the token of a workflow reads its own repository only: for another private one set {} to a token that may", access.own_variable())
            }
            Error::NotFound { access: Access { sent: Some(_), .. }, .. } => {
                "check the address, and what that credential may read".to_owned()
            }
            Error::NotFound { access, .. } => {
                format!("check the address; a private repository also answers so to a stranger: {}", access.variables().as_deref().unwrap_or(HELPERS))
            }
            Error::Unauthenticated { at, .. } if at.repo.scheme() == Scheme::Ssh => {
                "give the container a key that the host knows (a mounted ~/.ssh, or the agent's socket in SSH_AUTH_SOCK)".to_owned()
            }
            Error::Unauthenticated { access, .. } if access.is_workflow_token() => {
                format!("{} was sent; the token of a workflow ends with its job, and reads its own repository only: set {} to one that may", env::GITHUB_TOKEN, access.own_variable())
            }
            Error::Unauthenticated { access, .. } => {
                match access.variables() {
                    Some(set) => format!("{set}, or {HELPERS}"),
                    None => HELPERS.to_owned(),
                }
            }
            Error::Forbidden { .. } => "check that the token or key may read this repository".to_owned(),
            Error::Untrusted { remedy, .. } => (*remedy).to_owned(),
            Error::ProxyLogin { .. } => {
                "put the login into the proxy's address: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT".to_owned()
            }
            Error::Setting { .. } => "correct it, or take it out".to_owned(),
            Error::Redirect { at, to, .. }
                if to != at.repo.as_str()
                    && (to.starts_with("https://")
                        || (at.repo.scheme() == Scheme::Http && to.starts_with("http://"))) =>
            {
                format!("write {to} as the repo, if that is where it lives now")
            }
            Error::NotAllowed { to, .. } => {
                format!("if {to} is to be fetched from, let {} name it too", env::ALLOW)
            }
            Error::Redirect { .. } => {
                "a mistake on the server, or something on the way that wants a login: ask who runs it".to_owned()
            }
            Error::NotGit { .. } => "check the address: it must be the one that `git clone` takes".to_owned(),
            Error::TooMuch { .. } => "the repository is larger than any catalog should be".to_owned(),
            Error::Program { program, .. } => format!("install `{program}`, or use an https:// address"),
            Error::ObjectFormat { .. } => "use a repository in the sha1 format".to_owned(),
            Error::NoCommit { .. } => {
                "check the commit id; a commit that no branch or tag reaches may be gone from the server".to_owned()
            }
            Error::NotACommit { .. } => "use the id of a commit".to_owned(),
            Error::Tree { .. } => "correct it in the repository".to_owned(),
            Error::Budget { variable, .. } => format!("`exclude` what is not needed, or raise {variable}"),
            Error::Offline { .. } => format!("run once without {}, with the same cache", env::OFFLINE),
            Error::Cache { source, .. } if exhausted(source).is_some() => {
                format!("allow more open files, threads or memory (`ulimit`, `--pids-limit`), or set {} to fewer", env::JOBS)
            }
            Error::Cache { .. } => format!("set {} to a directory that can be written, and check its space", env::CACHE),
            Error::Damaged { .. } => "run again: the cache repairs itself when it is opened".to_owned(),
            Error::Bug { .. } => "please report it".to_owned(),
        };
        Some(text)
    }
}

impl Error {
    /// May it pass by itself?
    pub(crate) fn again(&self) -> Again {
        match self {
            Error::Network { .. } => Again::Yes,
            Error::Overloaded {
                after: Some(after), ..
            } => Again::After(*after),
            // 501 is an answer, not a hiccup.
            Error::Overloaded { status, .. } if *status != 501 => Again::Yes,
            _ => Again::Never,
        }
    }
}

/// The number of the error where the system has no more files, threads or memory for us, however deep it is wrapped.
pub(crate) fn exhausted(error: &io::Error) -> Option<i32> {
    use rustix::io::Errno;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        let found = current.downcast_ref::<io::Error>();
        if let Some(number) = found.and_then(io::Error::raw_os_error)
            && [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM]
                .contains(&Errno::from_raw_os_error(number))
        {
            return Some(number);
        }
        // An `io::Error` around another one gives that one's cause as its own.
        next = match found.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}
