//! The commits that the lock pins.

use compose_model::{Diagnostic, Failure, SourceSpec, TreePath};
use compose_plan::lock::{Answer, Lock, Locked, Via};

use crate::{lock_file::LockFile, wording};

/// The locked commits of an environment, and how requests that the lock does not answer are handled.
#[derive(Debug, Default)]
pub struct Pins {
    lock: Lock,
    unanswered: Unanswered,
}

/// How requests that the lock does not answer are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unanswered {
    /// They are resolved live, because there is no lock or it is being written.
    #[default]
    Resolve,
    /// They are resolved live, with a warning.
    Warn,
    /// They are errors.
    Refuse,
}

impl Pins {
    /// Reads the pins for a deployment or a plan from the lock file, if it exists. If a lock is `required`, a
    /// missing file is an error, and so is each request that the lock does not answer.
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
            None if required => Err(wording::no_required_lock(file.name()).into()),
            None => Ok(Self::default()),
        }
    }

    /// Returns pins to the sources of a lock. Every other request is resolved live, without a warning.
    pub fn to(lock: Lock) -> Self {
        Self {
            lock,
            unanswered: Unanswered::Resolve,
        }
    }

    /// Returns the locked source that answers a request; `None` if it must be resolved from the repo's refs.
    ///
    /// # Errors
    ///
    /// If a lock is required and does not answer the request.
    pub(crate) fn answer(&self, spec: &SourceSpec) -> Result<Option<&Locked>, Diagnostic> {
        let answer = self.lock.answer(&spec.repo, &spec.environment, &spec.requested);
        match (answer, self.unanswered, self.lock.unanswered(spec)) {
            (Answer::Locked(locked), ..) => Ok(Some(locked)),
            (_, Unanswered::Refuse, Some(warning)) => Err(wording::refused_as_not_locked(warning)),
            _ => Ok(None),
        }
    }

    /// Warns about requests that the lock does not answer, and about locked sources that nothing names.
    /// There are no warnings while a lock is being written.
    pub fn warnings<'a>(&self, specs: impl Iterator<Item = &'a SourceSpec> + Clone) -> Vec<Diagnostic> {
        if self.unanswered == Unanswered::Resolve {
            return Vec::new();
        }
        let live = specs
            .clone()
            .filter_map(|spec| self.lock.unanswered(spec).map(wording::resolved_without_lock));
        let named: Vec<_> = specs
            .clone()
            .map(|spec| (&spec.repo, &spec.environment))
            .collect();
        live.chain(self.lock.unused(&named)).collect()
    }
}

/// Compares the lock with the config's own entries, without looking at the sources. Returns warnings.
///
/// # Errors
///
/// If the lock cannot be read, or if it is `required` and does not answer an entry.
pub fn check_lock(file: &LockFile, required: bool, specs: &[SourceSpec]) -> Result<Vec<Diagnostic>, Failure> {
    let mut pins = Pins::read(file, required)?;
    let refused: Vec<Diagnostic> = specs.iter().filter_map(|spec| pins.answer(spec).err()).collect();
    Failure::check(refused)?;
    retain_judgeable(&mut pins.lock, specs);
    Ok(pins.warnings(specs.iter()))
}

/// Compares the lock with the config's own entries, as [`check_lock`] does. Returns every difference as an error, with
/// the command that ends it. Without entries no lock is needed.
///
/// # Errors
///
/// If the lock cannot be read.
pub fn lock_differences(
    file: &LockFile,
    environment: &TreePath,
    specs: &[SourceSpec],
) -> Result<Vec<Diagnostic>, Failure> {
    let Some(mut lock) = file.read()? else {
        let missing = || wording::no_lock_to_compare(file.name(), environment);
        return Ok((!specs.is_empty()).then(missing).into_iter().collect());
    };
    retain_judgeable(&mut lock, specs);
    let named: Vec<_> = specs.iter().map(|spec| (&spec.repo, &spec.environment)).collect();
    let unanswered = specs.iter().filter_map(|spec| lock.unanswered(spec));
    Ok(unanswered
        .chain(lock.unused(&named))
        .map(|warning| wording::differs(warning, environment))
        .collect())
}

/// Takes out the nested sources of a source that the config still names: they cannot be judged without reading that
/// source.
fn retain_judgeable(lock: &mut Lock, specs: &[SourceSpec]) {
    lock.sources.retain(|locked| {
        let is_named = |via: &Via| {
            let mut specs = specs.iter();
            specs.any(|spec| spec.repo == via.repo && spec.environment == via.environment)
        };
        !locked.via.first().is_some_and(is_named)
    });
}
