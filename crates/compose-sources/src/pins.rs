//! What the lock answers.

use compose_model::{Diagnostic, ExitCode, Failure, RepoUrl, Requested, Severity, SourceSpec, TreePath, env};
use compose_plan::lock::{Answer, Lock, Locked, Via};

use crate::LockFile;

/// The commits to take as they were locked, and what becomes of everything else.
#[derive(Debug, Default)]
pub struct Pins {
    lock: Lock,
    unanswered: Unanswered,
}

/// What becomes of a request that the lock does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unanswered {
    /// Resolved live: there is no lock, or it is being written.
    #[default]
    Resolve,
    /// Resolved live, with a warning.
    Warn,
    /// An error.
    Refuse,
}

/// What the lock says to one source.
#[derive(Debug)]
pub enum Pin {
    /// This commit.
    Locked(Locked),
    /// Look at the refs.
    Live,
    /// No lock, no deployment.
    Refused(Diagnostic),
}

impl Pins {
    /// For deployments and plans: as the lock file says, where there is one. It is an error that there is none where it is
    /// `required`, which also makes an error of each request that it does not answer.
    pub fn read(file: &LockFile, required: bool) -> Result<Self, Failure> {
        match file.read()? {
            Some(lock) => Ok(Self {
                lock,
                unanswered: if required {
                    Unanswered::Refuse
                } else {
                    Unanswered::Warn
                },
            }),
            None if required => Err(Diagnostic::new(
                ExitCode::Config,
                format!("there is no {}, and {} asks for one", file.name(), env::LOCKED),
            )
            .hint("run `bitops-compose lock`, and commit the lock")
            .into()),
            None => Ok(Self::default()),
        }
    }

    /// These commits; everything else is resolved live.
    pub fn to(lock: Lock) -> Self {
        Self {
            lock,
            unanswered: Unanswered::Resolve,
        }
    }

    /// Is the request answered by the lock?
    pub fn locks(&self, repo: &RepoUrl, environment: &TreePath, requested: &Requested) -> bool {
        matches!(self.lock.answer(repo, environment, requested), Answer::Locked(_))
    }

    /// What to do about a source.
    pub fn pin(&self, spec: &SourceSpec) -> Pin {
        let answer = self.lock.answer(&spec.repo, &spec.environment, &spec.requested);
        match (answer, self.unanswered, self.lock.unanswered(spec)) {
            (Answer::Locked(locked), ..) => Pin::Locked(locked.clone()),
            (_, Unanswered::Refuse, Some(told)) => Pin::Refused(refusal(told)),
            _ => Pin::Live,
        }
    }

    /// How the lock and a composition disagree; nothing where that is what is being mended.
    pub fn warnings<'a>(&self, specs: impl Iterator<Item = &'a SourceSpec> + Clone) -> Vec<Diagnostic> {
        if self.unanswered == Unanswered::Resolve {
            return Vec::new();
        }
        let live = specs.clone().filter_map(|spec| {
            let mut warning = self.lock.unanswered(spec)?;
            warning
                .message
                .push_str("; it is resolved as if there were no lock");
            Some(warning)
        });
        let named: Vec<_> = specs
            .clone()
            .map(|spec| (&spec.repo, &spec.environment))
            .collect();
        live.chain(self.lock.unused(&named)).collect()
    }
}

/// How the lock and the config disagree, as far as that can be seen without the sources' own configs: warnings, or errors where a
/// deployment would be refused for them because the lock is `required`.
pub fn check_lock(file: &LockFile, required: bool, specs: &[SourceSpec]) -> Result<Vec<Diagnostic>, Failure> {
    let mut pins = Pins::read(file, required)?;
    let refused: Vec<Diagnostic> = specs
        .iter()
        .filter_map(|spec| match pins.pin(spec) {
            Pin::Refused(problem) => Some(problem),
            Pin::Locked(_) | Pin::Live => None,
        })
        .collect();
    if let Some(failure) = Failure::new(refused) {
        return Err(failure);
    }
    // What a source that the config still names brought is the source's own affair.
    pins.lock.sources.retain(|locked| {
        let is_named = |via: &Via| {
            let mut specs = specs.iter();
            specs.any(|spec| spec.repo == via.repo && spec.environment == via.environment)
        };
        !locked.via.first().is_some_and(is_named)
    });
    Ok(pins.warnings(specs.iter()))
}

/// The same as an error, with the setting that makes it one.
fn refusal(mut told: Diagnostic) -> Diagnostic {
    told.severity = Severity::Error;
    told.message.push_str(&format!(", and {} is set", env::LOCKED));
    told
}
