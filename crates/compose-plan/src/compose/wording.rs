//! Sentences about sources, conflicts and remedies.

use compose_model::{TreePath, env::PIPELINE_DIR, file_name::CONFIG, filter::glob, text};

use super::{
    composition::{Clash, Conflict, ConflictKind, Holds, Party, Rename},
    problem::ConfigProblem,
};
use crate::layer::{Origin, Source, SourceId};

/// Returns a source as part of a sentence: `eks of https://github.com/org/kubernetes`.
pub(super) fn label(source: &Source) -> String {
    format!("{} of {}", source.environment, source.repo)
}

/// Returns a short label of a source: its environment, unless another source's has the same name.
pub(super) fn short_label(source: &Source, sources: &[Source]) -> String {
    let alike = sources
        .iter()
        .filter(|other| other.environment == source.environment);
    if alike.count() > 1 {
        label(source)
    } else {
        source.environment.to_string()
    }
}

/// Returns the sentence that says how many of the given exclusions to apply, each of which leaves
/// something out of one source, and whose content is used then.
pub(super) fn which(each: &[String]) -> String {
    if each.len() > 2 {
        format!(
            "{}: all but one of these, and what the remaining one has is used",
            each.join("; ")
        )
    } else {
        format!("{}: what the other one has is used then", each.join(", or "))
    }
}

/// Returns things as part of a sentence: `a, b and c`.
pub(super) fn enumeration(things: &[String]) -> String {
    match things {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns the label of either kind of origin.
pub(super) fn label_of(origin: Origin, sources: &[Source]) -> String {
    match origin {
        Origin::Source(source) => label(&sources[source.0]),
        Origin::Local => "your own environment".to_owned(),
    }
}

/// Returns the tag, the branch or the commit of a source, and its commit.
pub(super) fn version(source: &Source) -> String {
    let resolved = text::escape(&source.resolved.name, 80);
    let short = source.resolved.commit.abbreviated();
    if resolved == source.resolved.commit.to_string() {
        short
    } else {
        format!("{resolved} ({short})")
    }
}

/// Returns whether a source's commit is the lock's, in words.
pub(super) fn locked(source: &Source) -> &'static str {
    if source.is_locked { "locked" } else { "not locked" }
}

/// Returns what of a source is signed, and by which key, if a signature was required.
pub(super) fn signed(source: &Source) -> Option<String> {
    let signature = source.signature.as_ref()?;
    let what = if signature.tag.is_some() { "tag" } else { "commit" };
    Some(format!(
        "{what} signed by {}",
        text::escape(&signature.signer, 200)
    ))
}

/// Returns the problem in one sentence without a full stop. The path and the parties are named
/// beside it.
pub(super) fn message(conflict: &Conflict) -> String {
    match &conflict.kind {
        ConflictKind::Content { unmerged: None } => "sources have different contents for it".to_owned(),
        ConflictKind::Content {
            unmerged: Some(unmerged),
        } => {
            format!("sources have different contents for it; {unmerged}")
        }
        ConflictKind::Mode => "it is executable in one source and not in another".to_owned(),
        ConflictKind::Key { key } => format!("sources set `{}` to different values", text::escape(key, 200)),
        ConflictKind::Variable { variable } => format!(
            "sources set Terraform's variable `{}` to different values in different files",
            text::escape(variable, 200)
        ),
        ConflictKind::VariableOrder { variable, problem } => format!(
            "Terraform loads it last, so its `{}` would win over a higher layer's; it cannot be left out: {}",
            text::escape(variable, 200),
            text::escape(problem, 200)
        ),
        ConflictKind::OverriddenTwice { what } => format!(
            "sources override Terraform's `{}` in different ways",
            text::escape(what, 200)
        ),
        ConflictKind::DefinedTwice { what } => format!(
            "two layers define {}, which Terraform allows once in a directory",
            text::escape(what, 200)
        ),
        ConflictKind::FileAgainstDirectory => {
            "it is a file in one layer and a directory in another".to_owned()
        }
        ConflictKind::NameCollision => {
            "names that differ only by case or Unicode normal form are one file on macOS and Windows"
                .to_owned()
        }
        ConflictKind::Plugin { deployment, plugins } => {
            format!(
                "the deployment `{deployment}` has several plugins: {}",
                plugins.join(", ")
            )
        }
        ConflictKind::DeploymentsUnknown => {
            "`as` renames deployments, and nothing tells which directories of the source are deployments"
                .to_owned()
        }
        ConflictKind::Config {
            problem: ConfigProblem::NotMerged(why),
        } => format!("it cannot be composed, because {why}"),
        ConflictKind::Config { problem } => {
            // The path is that of the composed config, which need not be the one at fault.
            let whose = match conflict.parties.first() {
                Some(party) if matches!(party.origin, Origin::Source(_)) => {
                    format!("the deployments in a source's {}", party.path)
                }
                _ => "its deployments".to_owned(),
            };
            let problem = text::escape(&problem.to_string(), 200);
            format!("{whose} cannot be read or written: {problem}")
        }
        ConflictKind::SharedInside => {
            "`shared` directories stand beside the environment, and this one would land in it".to_owned()
        }
        ConflictKind::Name { name, reason } => {
            format!("`{}` cannot be composed there: {reason}", text::escape(name, 80))
        }
    }
}

/// Returns one side of a conflict as part of a sentence.
pub(super) fn side(party: &Party, sources: &[Source]) -> String {
    let line = party.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = match party.origin {
        Origin::Source(source) => {
            let source = &sources[source.0];
            format!("{} {}: {}{line}", label(source), version(source), party.path)
        }
        Origin::Local => format!("your own {}{line}", party.path),
    };
    match &party.holds {
        Holds::File => place,
        Holds::Directory => format!("{place} (a directory)"),
        Holds::Plugin(plugin) => format!("{place} (plugin {plugin})"),
    }
}

/// Returns the ways to settle a conflict, best first. Any one of them is enough.
pub(super) fn remedies(
    conflict: &Clash,
    environment: &TreePath,
    sources: &[Source],
    renames: &[Rename],
) -> Vec<String> {
    let about = About {
        conflict,
        environment,
        sources,
        renames,
    };
    match &conflict.kind {
        ConflictKind::Content { .. } | ConflictKind::Mode => about.between_sources(&format!(
            "write your own {}: a local file wins over every source",
            conflict.path
        )),
        ConflictKind::Key { key } => about.between_sources(&format!(
            "set `{}` in your own {}: a local value wins over every source",
            text::escape(key, 200),
            conflict.path
        )),
        ConflictKind::Variable { variable } => about.between_files(&format!(
            "set `{}` in your own {}: a local value wins over every source",
            text::escape(variable, 200),
            conflict.path
        )),
        ConflictKind::OverriddenTwice { what } => about.between_files(&format!(
            "override `{}` in an override file of your own: it wins over every source's",
            text::escape(what, 200)
        )),
        ConflictKind::VariableOrder { variable, .. } => vec![
            about.exclude_files(),
            format!(
                "move `{}` of the higher layer to {}",
                text::escape(variable, 200),
                conflict.path
            ),
        ],
        ConflictKind::DefinedTwice { .. } => {
            let mut all = vec![about.exclude_files()];
            all.extend(about.rename());
            let own = conflict.parties.iter().find(|party| party.origin == Origin::Local);
            all.extend(own.map(|party| {
                format!(
                    "take it out of your own {}, and keep what you changed in a file named NAME_override.tf, which Terraform merges",
                    party.path
                )
            }));
            all
        }
        ConflictKind::FileAgainstDirectory | ConflictKind::NameCollision => {
            let mut all = vec![about.exclude()];
            all.extend(about.rename());
            if conflict.parties.iter().any(|party| party.origin == Origin::Local) {
                all.push(format!("rename your own {}", conflict.path));
            }
            all
        }
        ConflictKind::Plugin { deployment, .. } => vec![
            format!("give one source an `as`: its deployment becomes `NAME-{deployment}`"),
            format!(
                "exclude {} of a source, and list its deployments in your own",
                CONFIG
            ),
        ],
        ConflictKind::DeploymentsUnknown => vec![
            format!(
                "declare `bitops.deployments` in the source's own {}",
                CONFIG
            ),
            about.list_renamed(),
            format!(
                "run inside the image, whose own deployments are known there, or let {PIPELINE_DIR} name a directory with its {}",
                CONFIG
            ),
            "leave out `as`".to_owned(),
        ],
        ConflictKind::Config { .. } => match conflict.parties.first().map(|party| party.origin) {
            Some(Origin::Source(_)) => vec![about.exclude()],
            _ => vec![format!(
                "write `bitops.deployments` in {} as a plain block",
                environment.environment_config()
            )],
        },
        ConflictKind::SharedInside => vec![
            "leave it out of `shared`: what belongs in the environment comes by `environment` or `default-folder`"
                .to_owned(),
        ],
        ConflictKind::Name { .. } => vec![about.exclude(), "choose a shorter, plain `as`".to_owned()],
    }
}

struct About<'a> {
    conflict: &'a Clash,
    environment: &'a TreePath,
    sources: &'a [Source],
    renames: &'a [Rename],
}

impl About<'_> {
    fn between_sources(&self, local: &str) -> Vec<String> {
        self.after(self.exclude(), local)
    }

    /// Returns the remedies for sources that disagree in files of different names.
    fn between_files(&self, local: &str) -> Vec<String> {
        self.after(self.exclude_files(), local)
    }

    fn after(&self, exclude: String, local: &str) -> Vec<String> {
        let mut all = vec![exclude];
        all.extend(self.rename());
        all.push(local.to_owned());
        let names: Vec<String> = self
            .conflict
            .between()
            .into_iter()
            .map(|origin| label_of(origin, self.sources))
            .collect();
        match names.as_slice() {
            [lowest, highest] => all.push(format!(
                "on-conflict: last in the entry of {highest} takes what it has, on-conflict: first what {lowest} has"
            )),
            [lowest, .., highest] => all.push(format!(
                "on-conflict: last in the entry of {highest} takes what it has; on-conflict: first in those of all the others what {lowest} has"
            )),
            _ => {}
        }
        all
    }

    /// Returns the remedy of an `exclude` for each source, or of leaving out the `shared`
    /// directory.
    fn exclude(&self) -> String {
        let Some(relative) = self.conflict.path.strip_prefix(self.environment) else {
            let top = self.conflict.path.components().next().unwrap_or_default();
            return format!("leave `{top}` out of `shared` in one of the entries");
        };
        let sources = self
            .conflict
            .between()
            .into_iter()
            .filter_map(|origin| match origin {
                Origin::Source(source) => Some(source),
                Origin::Local => None,
            });
        let globs: Vec<String> = sources
            .map(|source| {
                // Names that collide differ between the sources, so each source excludes its own.
                let depth = relative.components().count();
                let own = self.own_name(source, depth);
                let relative = own.as_deref().unwrap_or(relative.as_str());
                let top = relative.split('/').next().unwrap_or(relative);
                let renamed = self
                    .renames
                    .iter()
                    .find(|rename| own.is_none() && rename.source == source && rename.to == top);
                let path = renamed.map_or(relative.to_owned(), |rename| {
                    format!("{}{}", rename.from, &relative[top.len()..])
                });
                format!(
                    "exclude: [\"/{}\"] in the entry of {}",
                    glob(&path),
                    label(&self.sources[source.0])
                )
            })
            .collect();
        which(&globs)
    }

    /// Returns the first `depth` components of a source's path, relative to its environment, if
    /// names collide.
    fn own_name(&self, source: SourceId, depth: usize) -> Option<String> {
        let mut parties = self.conflict.parties.iter();
        let party = parties.find(|party| party.origin == Origin::Source(source))?;
        let path = party.path.strip_prefix(&self.sources[source.0].environment);
        let path = path.filter(|_| self.conflict.kind == ConflictKind::NameCollision)?;
        Some(path.components().take(depth).collect::<Vec<_>>().join("/"))
    }

    /// Returns the remedy of an `exclude` for each source's own file. If both files stay, no source
    /// knows the composed path.
    fn exclude_files(&self) -> String {
        if self.conflict.path.strip_prefix(self.environment).is_none() {
            return self.exclude();
        }
        let parties = match self.conflict.kind {
            // Only the lower layer's file is in the way.
            ConflictKind::VariableOrder { .. } => &self.conflict.parties[..1],
            _ => &self.conflict.parties,
        };
        let globs: Vec<String> = parties
            .iter()
            .filter_map(|party| {
                let Origin::Source(id) = party.origin else {
                    return None;
                };
                let source = &self.sources[id.0];
                let path = match party.path.strip_prefix(&source.environment) {
                    Some(relative) => format!("/{}", glob(relative.as_str())),
                    // The file comes from the source's default folder, or by way of a symlink.
                    None => glob(party.path.file_name()).replacen('#', "\\\\#", 1),
                };
                Some(format!("exclude: [\"{path}\"] in the entry of {}", label(source)))
            })
            .collect();
        format!("{}: the whole file is left out then", globs.join(", or "))
    }

    /// Returns the remedy of listing the deployments that `as` needs in the user's own config. Such
    /// a list is then the only one, so it has to name those of the other layers as well.
    fn list_renamed(&self) -> String {
        let source = self.conflict.parties.iter().find_map(|party| match party.origin {
            Origin::Source(id) => Some(&self.sources[id.0]),
            Origin::Local => None,
        });
        let prefix = source
            .and_then(|source| source.rename.as_deref())
            .unwrap_or("NAME");
        format!(
            "list all deployments with their plugins in bitops.deployments of {}: each directory of this source as `{prefix}-DIRECTORY`, and those of the other layers by their own names",
            self.environment.environment_config()
        )
    }

    /// Returns the remedy of an `as`. It helps if the path is in a directory of the environment,
    /// which may be a deployment.
    fn rename(&self) -> Option<String> {
        let relative = self.conflict.path.strip_prefix(self.environment)?;
        let (top, _) = relative.as_str().split_once('/')?;
        let mut renames = self.renames.iter();
        Some(match renames.find(|rename| rename.to == top) {
            Some(rename) => format!(
                "as: another NAME in one of the entries: its deployment becomes NAME-{} and runs on its own",
                rename.from
            ),
            None => {
                format!(
                    "as: NAME in one of the entries: its deployment becomes NAME-{top} and runs on its own"
                )
            }
        })
    }
}
