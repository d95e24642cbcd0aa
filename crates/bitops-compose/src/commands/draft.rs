//! A change of an environment's config, which is checked as a whole before anything is written.

use std::sync::Arc;

use compose_model::{Diagnostic, ExitCode, Failure, RepoUrl, SourceSpec, TreePath, text};
use compose_plan::{
    compose::report::diff::{Side, unified},
    config::SourceList,
    layer::{Layer, Part, Source, SourceId},
};
use compose_sources::{ConfigFile, Gathered, refuse_moved};

use crate::{cli::Place, job::Job};

/// A config that is being changed.
pub(super) struct Draft {
    /// The environment as it is.
    pub(super) job: Arc<Job>,
    pub(super) list: SourceList,
    /// The text on disk; `None` if there is no file.
    before: Option<Arc<str>>,
}

impl Draft {
    /// Opens the config of an environment, which must exist.
    pub(super) fn open(place: &Place, environment: Option<&str>) -> Result<Self, Failure> {
        Self::of(Job::of(place, environment)?)
    }

    /// Opens the config of an environment. Without one, a config is made that begins with `first`.
    pub(super) fn open_or_new(
        place: &Place,
        environment: Option<&str>,
        first: &str,
    ) -> Result<Self, Failure> {
        let job = Job::of_any(place, environment)?;
        let draft = Self::of(Arc::clone(&job))?;
        if draft.before.is_some() || first.is_empty() {
            return Ok(draft);
        }
        Ok(Self {
            list: SourceList::parse(&job.file, first)?,
            ..draft
        })
    }

    /// Opens the config of a job.
    pub(super) fn of(job: Arc<Job>) -> Result<Self, Failure> {
        let on_disk = job.root.join(&*job.file).exists();
        Ok(Self {
            list: SourceList::parse(&job.file, &job.text)?,
            before: on_disk.then(|| Arc::clone(&job.text)),
            job,
        })
    }

    /// Returns the environment with the changed config.
    pub(super) fn edited(&self) -> Arc<Job> {
        self.job.edited(self.list.text())
    }

    /// Writes the config, and the lock if there is one and `lock` is set. A failure leaves both as they were.
    /// Returns the lock's name if it was written.
    pub(super) fn write(&self, gathered: &Gathered, lock: bool) -> Result<Option<String>, Failure> {
        let old = if lock { self.job.lock_file().read()? } else { None };
        if let Some(old) = &old {
            refuse_moved(old, &gathered.lock(), false)?;
        }
        self.put(gathered, old.is_some())
    }

    /// Writes the config, and the lock if there is one, whose moved tags were looked at before.
    pub(super) fn write_locked(&self, gathered: &Gathered) -> Result<Option<String>, Failure> {
        let has_lock = self.job.lock_file().read()?.is_some();
        self.put(gathered, has_lock)
    }

    fn put(&self, gathered: &Gathered, lock: bool) -> Result<Option<String>, Failure> {
        let file = ConfigFile::of(&self.job.root, &self.job.environment);
        let lock_file = self.job.lock_file();
        let before = self.before.as_deref();
        file.write(before, self.list.text())?;
        if !lock {
            return Ok(None);
        }
        match lock_file.write(&gathered.lock()) {
            Ok(_) => Ok(Some(lock_file.name().to_owned())),
            Err(failure) => {
                file.restore(before)?;
                Err(failure)
            }
        }
    }

    /// Returns whether the config exists.
    pub(super) fn exists(&self) -> bool {
        self.before.is_some()
    }

    /// Returns the change of the config as a unified diff.
    pub(super) fn diff(&self) -> String {
        let (before, name) = (self.before.as_deref().unwrap_or_default(), &*self.job.file);
        let side = |whose, bytes| Side {
            path: name,
            whose,
            bytes,
        };
        let diff = unified(
            side("now", before.as_bytes()),
            side("changed", self.list.text().as_bytes()),
        );
        diff.map(|diff| diff.as_str().to_owned()).unwrap_or_default()
    }

    /// Returns the index of the only entry that a person means by a name.
    pub(super) fn find(&self, name: &str) -> Result<usize, Diagnostic> {
        let specs = self.list.specs();
        let found: Vec<usize> = (0..specs.len())
            .filter(|at| is_called(name, &specs[*at]))
            .collect();
        let list = |indexes: &mut dyn Iterator<Item = usize>| {
            let one = |at: usize| format!("{} of {}", specs[at].environment, specs[at].repo);
            indexes.map(one).collect::<Vec<_>>().join(", ")
        };
        let shown = text::escape(name, 120);
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                let problem = format!("no source of {} is called `{shown}`", self.job.file);
                let problem = Diagnostic::new(ExitCode::Usage, problem);
                Err(if specs.is_empty() {
                    problem.hint("it names no sources")
                } else {
                    problem.hint(format!("there are: {}", list(&mut (0..specs.len()))))
                })
            }
            several => {
                let problem = format!("`{shown}` means {} sources of {}", several.len(), self.job.file);
                Err(Diagnostic::new(ExitCode::Usage, problem).hint(format!(
                    "name one by its environment, its address or its `as`: {}",
                    list(&mut several.iter().copied())
                )))
            }
        }
    }
}

/// Returns the options that lead a proposed command to the same environment.
pub(super) fn where_to(to: Option<&str>, place: &Place) -> Vec<String> {
    let dir = place
        .ops_repo
        .as_ref()
        .map(|dir| dir.to_string_lossy().into_owned());
    let options = [("--to", to.map(ToOwned::to_owned)), ("--ops-repo", dir)];
    let given = options
        .into_iter()
        .filter_map(|(name, value)| Some([name.to_owned(), value?]));
    given.flatten().collect()
}

/// Returns whether a person means this entry by a repo's address or name, by an environment, or by the entry's `as`.
pub(super) fn is_called(name: &str, spec: &SourceSpec) -> bool {
    let by_url = RepoUrl::parse(name).is_ok_and(|url| url == spec.repo);
    by_url
        || spec.repo.name() == name
        || spec.environment.as_str() == name
        || spec.rename.as_deref() == Some(name)
}

/// Returns the source that an entry of the environment's own config became.
pub(super) fn source_of<'a>(gathered: &'a Gathered, spec: &SourceSpec) -> Option<(SourceId, &'a Source)> {
    let sources = &gathered.layers.sources;
    let at = sources
        .iter()
        .position(|source| source.repo == spec.repo && source.environment == spec.environment)?;
    Some((SourceId(at), &sources[at]))
}

/// Returns the files that a source contributes, relative to its environment; shared directories stand beside it.
pub(super) fn files_of(gathered: &Gathered, source: SourceId) -> Vec<(TreePath, bool)> {
    let own = gathered
        .layers
        .layers
        .iter()
        .filter(|layer| layer.source == source);
    let path = |layer: &Layer, path: &TreePath| match &layer.part {
        Part::Shared(dir) => TreePath::new(format!("{dir}/{path}")).ok(),
        Part::Environment | Part::DefaultFolder(_) => Some(path.clone()),
    };
    let mut files: Vec<(TreePath, bool)> = own
        .flat_map(|layer| layer.files.iter().map(move |file| (layer, file)))
        .filter_map(|(layer, file)| {
            let hook = !matches!(layer.part, Part::Shared(_)) && compose_model::filter::is_hook(&file.path);
            Some((path(layer, &file.path)?, hook))
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Counts files by the directory that they are in: `terraform 12, helm 20, 1 at the top`.
pub(super) fn by_directory<'a>(paths: impl IntoIterator<Item = &'a TreePath>) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut at_top = 0;
    for path in paths {
        match path.as_str().split_once('/') {
            None => at_top += 1,
            Some((dir, _)) => match counts.iter_mut().find(|(known, _)| *known == dir) {
                Some((_, count)) => *count += 1,
                None => counts.push((dir, 1)),
            },
        }
    }
    let mut parts: Vec<String> = counts
        .iter()
        .map(|(dir, count)| format!("{dir} {count}"))
        .collect();
    if at_top > 0 {
        parts.push(format!("{at_top} at the top"));
    }
    parts.join(", ")
}
