//! The newer versions of a config's entries, and the commands that take them.

use compose_model::SourceSpec;
use compose_plan::resolve::{NewVersion, Reach, Resolver, Upgrade};

use super::draft::is_called;
use crate::{cli::Place, job::Job, target};

/// What `upgrade` would make of an entry.
pub(super) struct Newer {
    pub(super) compatible: Upgrade,
    pub(super) newest: Upgrade,
}

/// The options that differ between the commands that take a newer version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    Compatible,
    Major,
}

impl Newer {
    /// Looks for newer versions. The resolver's refs must include all tags.
    pub(super) fn of(spec: &SourceSpec, resolver: &Resolver<'_>) -> Self {
        let upgrade =
            |reach| resolver.upgrade(&spec.environment, &spec.requested, &spec.ignored_versions, reach);
        Self {
            compatible: upgrade(Reach::Compatible),
            newest: upgrade(Reach::Newest),
        }
    }

    /// Returns what lies outside of what the entry asks for, with the option that takes it.
    pub(super) fn outside(&self) -> Vec<(Taking, &NewVersion)> {
        let mut all = Vec::new();
        if let Upgrade::Moves(new) = &self.compatible {
            all.push((Taking::Compatible, new));
        }
        if let Upgrade::Moves(new) = &self.newest
            && self.newest != self.compatible
        {
            all.push((Taking::Major, new));
        }
        all
    }
}

/// Returns the command line that gives an entry a newer version, from the same current directory.
pub(super) fn command(
    place: &Place,
    job: &Job,
    specs: &[SourceSpec],
    spec: &SourceSpec,
    taking: Taking,
) -> String {
    let mut words = vec!["bitops-compose".to_owned(), "upgrade".to_owned()];
    words.extend(target::options(place, &job.root, job.environment.as_str(), "-e"));
    words.push(name_of(specs, spec).to_owned());
    if taking == Taking::Major {
        words.push("--major".to_owned());
    }
    shell_words::join(&words)
}

/// Returns a name that means this entry alone, if it has one.
fn name_of<'a>(specs: &[SourceSpec], spec: &'a SourceSpec) -> &'a str {
    let environment = spec.environment.as_str();
    let names = [
        Some(environment),
        spec.rename.as_deref(),
        Some(spec.repo.name()),
        Some(spec.repo.as_str()),
    ];
    let is_only =
        |name: &&str| !name.starts_with('-') && specs.iter().filter(|one| is_called(name, one)).count() == 1;
    names.into_iter().flatten().find(is_only).unwrap_or(environment)
}
