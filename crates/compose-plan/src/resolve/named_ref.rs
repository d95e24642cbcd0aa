//! Resolves `ref`: a branch, a tag, a commit, `HEAD`, or any other ref by its full name.

use compose_model::{
    CommitId, RefEntry, Refs,
    refs::{HEAD, HEADS, TAGS},
    text::escape,
};

use super::{Kind, ResolveError, Resolved, error};

/// Returns the `ls-refs` prefixes that a `ref` needs.
pub(super) fn prefixes(name: &str) -> Vec<String> {
    if name.parse::<CommitId>().is_ok() {
        Vec::new()
    } else if name == HEAD || name.starts_with("refs/") {
        vec![name.to_owned()]
    } else {
        vec![format!("{HEADS}{name}"), format!("{TAGS}{name}")]
    }
}

/// Returns whether a `ref` names neither a branch nor a tag nor a commit, but another ref of the
/// repo: `refs/pull/7/head`, or `HEAD`.
pub(crate) fn is_other_ref(name: &str) -> bool {
    name == HEAD || name.starts_with("refs/") && !name.starts_with(HEADS) && !name.starts_with(TAGS)
}

/// Returns the ref, branch, tag or commit that `ref` names.
pub(super) fn resolve(name: &str, refs: &Refs) -> Result<Resolved, ResolveError> {
    if let Ok(commit) = name.parse::<CommitId>() {
        return Ok(by_commit(commit, name, refs));
    }
    let missing = || error::no_such_ref(name, refs);
    if name.starts_with("refs/") || name == HEAD {
        let entry = refs.get(name).ok_or_else(missing)?;
        return Ok(by_full_name(name, entry));
    }
    match (refs.branch(name), refs.tag(name)) {
        (Some(branch), Some(tag)) if branch.target != tag.target => Err(ResolveError::BranchAndTag {
            name: name.to_owned(),
            branch: branch.target,
            tag: tag.target,
        }),
        (_, Some(entry)) => Ok(tag(name, entry)),
        (Some(entry), None) => Ok(named(name, entry, Kind::Branch)),
        (None, None) => Err(missing()),
    }
}

fn by_full_name(name: &str, entry: &RefEntry) -> Resolved {
    if let Some(short) = name.strip_prefix(TAGS) {
        return tag(short, entry);
    }
    if let Some(short) = name.strip_prefix(HEADS) {
        return named(short, entry, Kind::Branch);
    }
    // The default branch, by the name that the lock and the reports show. A `HEAD` that stands for
    // no branch is a ref like any other.
    let branch = entry.symref.as_deref().filter(|_| name == HEAD);
    match branch.and_then(|full| full.strip_prefix(HEADS)) {
        Some(short) => Resolved {
            refname: entry.symref.clone(),
            ..named(short, entry, Kind::Branch)
        },
        None => named(name, entry, Kind::Other),
    }
}

fn by_commit(commit: CommitId, name: &str, refs: &Refs) -> Resolved {
    let hidden = refs
        .branch(name)
        .or_else(|| refs.tag(name))
        .filter(|entry| entry.target != commit);
    let warning = hidden.map(|entry| {
        format!(
            "`{}` is used as a commit id, although the repo has a ref of that name",
            escape(&entry.name, 120)
        )
    });
    Resolved {
        name: commit.to_string(),
        refname: None,
        kind: Kind::Commit,
        commit,
        tag_object: None,
        warning,
    }
}

/// Returns the resolution to a tag, by its short name.
pub(super) fn tag(name: &str, entry: &RefEntry) -> Resolved {
    let tag_object = (entry.object != entry.target.0).then_some(entry.object);
    Resolved {
        tag_object,
        ..named(name, entry, Kind::Tag)
    }
}

fn named(name: &str, entry: &RefEntry, kind: Kind) -> Resolved {
    Resolved {
        name: name.to_owned(),
        refname: Some(entry.name.clone()),
        kind,
        commit: entry.target,
        tag_object: None,
        warning: None,
    }
}
