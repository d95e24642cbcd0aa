//! What the machine has: environments, their sources, and repos.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use compose_git::Cache;
use compose_model::{Nesting, Settings, SourceSpec, file_name};
use compose_plan::config::{mentions_list, parse};

use super::line::Line;
use crate::{
    cli::{Asked, Place},
    commands::search,
    own_config, settings, target,
};

/// The greatest depth at which environments are looked for.
const MAX_DEPTH: usize = 3;
/// The most directories that are looked at for environments.
const MOST_DIRECTORIES: usize = 2_000;

/// What an argument may be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) about: Option<String>,
}

impl Value {
    fn new(text: impl Into<String>, about: Option<String>) -> Self {
        Self {
            text: text.into(),
            about,
        }
    }
}

/// What the machine has, for a certain line.
pub(super) struct Values {
    place: Place,
    root: Option<PathBuf>,
    /// The environments that the line names.
    named: Vec<String>,
    /// The repo that the line names.
    repo: Option<String>,
    settings: Option<Settings>,
}

impl Values {
    pub(super) fn of(line: &Line) -> Self {
        let place = Place {
            ops_repo: line.value("ops_repo").map(PathBuf::from),
            ..Place::default()
        };
        let names = ["environments", "from", "to", "words"];
        Self {
            root: target::root(&place, None).ok(),
            named: names
                .iter()
                .flat_map(|name| line.values(name))
                .map(ToOwned::to_owned)
                .collect(),
            repo: line.value("repo").map(ToOwned::to_owned),
            settings: settings::read().ok(),
            place,
        }
    }

    /// Returns the environments of the operations repo.
    pub(super) fn environments(&self) -> Vec<Value> {
        let names = self.root.as_deref().map(environments).unwrap_or_default();
        names.into_iter().map(|name| Value::new(name, None)).collect()
    }

    /// Returns the environments, then the sources of those that the line names.
    pub(super) fn environments_and_sources(&self) -> Vec<Value> {
        let mut values = self.environments();
        let mut sources = BTreeSet::new();
        for spec in self.specs() {
            let about = || Some(format!("source {} of {}", spec.environment, spec.repo));
            sources.insert(Value::new(spec.environment.as_str(), about()));
            sources.insert(Value::new(
                spec.repo.name(),
                Some(format!("sources of {}", spec.repo)),
            ));
        }
        values.retain(|value| !self.named.contains(&value.text));
        values.extend(sources);
        values
    }

    /// Returns the sources, each by its name or else by what no other source has.
    pub(super) fn sources(&self) -> Vec<Value> {
        let specs = self.specs();
        let is_only = |spec: &SourceSpec| {
            let same = |other: &&SourceSpec| other.environment == spec.environment;
            specs.iter().filter(same).count() == 1
        };
        let value = |spec: &SourceSpec| {
            let about = format!("{} of {}", spec.environment, spec.repo);
            let text = match &spec.rename {
                Some(name) => name.clone(),
                None if is_only(spec) => spec.environment.to_string(),
                None => spec.repo.to_string(),
            };
            Value::new(text, Some(about))
        };
        specs.iter().map(value).collect()
    }

    /// Returns the repos that the configs name, and those of the cache.
    pub(super) fn repos(&self) -> Vec<Value> {
        let environments = self.root.as_deref().map(environments).unwrap_or_default();
        let of_configs = environments
            .iter()
            .flat_map(|name| self.specs_of(name))
            .map(|spec| spec.repo.to_string());
        let all: BTreeSet<String> = of_configs.chain(self.cached()).collect();
        all.into_iter().map(|repo| Value::new(repo, None)).collect()
    }

    /// Returns the environments of the repo that the line names, as far as the cache has them.
    pub(super) fn environments_of_repo(&self) -> Vec<Value> {
        let Some(repo) = &self.repo else { return Vec::new() };
        search::cached_environments(&self.place, repo, &self.cached())
            .into_iter()
            .map(|name| Value::new(name, None))
            .collect()
    }

    fn cached(&self) -> Vec<String> {
        let Some(settings) = &self.settings else {
            return Vec::new();
        };
        Cache::at(settings::cache_dir(settings)).repos()
    }

    /// Returns the sources of the environments that the line names, else of the one that the command would be about.
    fn specs(&self) -> Vec<SourceSpec> {
        let selected = |words: &[String]| target::select(&self.place, Asked::Words(words)).ok();
        let named: Vec<String> = self
            .named
            .iter()
            .filter_map(|word| {
                let found = selected(std::slice::from_ref(word))?;
                let name = found.environments.into_iter().next()?;
                (Some(&found.root) == self.root.as_ref() && target::is_environment(&found.root, &name))
                    .then_some(name)
            })
            .collect();
        let names = if named.is_empty() {
            selected(&[]).map(|found| found.environments).unwrap_or_default()
        } else {
            named
        };
        names.iter().flat_map(|name| self.specs_of(name)).collect()
    }

    fn specs_of(&self, environment: &str) -> Vec<SourceSpec> {
        let Some(root) = &self.root else { return Vec::new() };
        let read = own_config::read_config(&root.join(environment).join(file_name::CONFIG));
        let text = read.ok().filter(|bytes| mentions_list(bytes));
        let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) else {
            return Vec::new();
        };
        parse(&Arc::from(file_name::CONFIG), &Arc::from(text), Nesting::Root).unwrap_or_default()
    }
}

/// Lists the environments of an operations repo. What is below one belongs to it.
fn environments(root: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), MOST_DIRECTORIES);
    collect(root, "", MAX_DEPTH, &mut left, &mut found);
    found.sort();
    found
}

fn collect(dir: &Path, above: &str, depth: usize, left: &mut usize, found: &mut Vec<String>) {
    let mut others = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(fs::FileType::is_file) {
            continue;
        }
        let Some(less) = left.checked_sub(1) else { return };
        *left = less;
        if target::is_environment(dir, name) {
            found.push(format!("{above}{name}"));
        } else if kind.is_ok_and(|kind| kind.is_dir()) {
            others.push(name.to_owned());
        }
    }
    if depth > 1 {
        for name in others {
            collect(
                &dir.join(&name),
                &format!("{above}{name}/"),
                depth - 1,
                left,
                found,
            );
        }
    }
}
