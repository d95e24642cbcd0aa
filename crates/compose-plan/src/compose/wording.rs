//! Sentences about sources and conflicts.

use compose_model::text;

use super::{
    composition::{Conflict, ConflictKind, Holds, Party},
    names::Names,
    problem::ConfigProblem,
};
use crate::layer::{Origin, Source};

pub(super) use super::names::version;

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
pub(super) fn side(party: &Party, names: Names<'_>) -> String {
    let line = party.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = match party.origin {
        Origin::Source(source) => format!("{}: {}{line}", names.source(source), party.path),
        Origin::Local => format!("your own {}{line}", party.path),
    };
    match &party.holds {
        Holds::File => place,
        Holds::Directory => format!("{place} (a directory)"),
        Holds::Plugin(plugin) => format!("{place} (plugin {plugin})"),
    }
}
