//! The refs that a missing name may stand for, and those that there are.

use compose_model::{
    Refs,
    refs::{HEAD, HEADS, TAGS},
    text::{by_similarity, escape, nearest},
};

/// The number of refs that a hint lists. A repo may have thousands.
const LISTED: usize = 10;

/// The kind of ref that a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    BranchOrTag,
    Branch,
    Tag,
    Default,
    Other,
}

/// Returns the kind of ref that a name asks for.
pub(super) fn sought(name: &str) -> Sought {
    if name == HEAD {
        Sought::Default
    } else if name.starts_with(HEADS) {
        Sought::Branch
    } else if name.starts_with(TAGS) {
        Sought::Tag
    } else if name.starts_with("refs/") {
        Sought::Other
    } else {
        Sought::BranchOrTag
    }
}

impl Sought {
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::BranchOrTag => "branch or tag",
            Self::Branch => "branch",
            Self::Tag => "tag",
            Self::Default => "default branch",
            Self::Other => "ref",
        }
    }
}

/// Returns the directory of a ref that is neither a branch nor a tag, such as `refs/pull/7/`; `None`
/// if that would be all refs.
fn directory(name: &str) -> Option<&str> {
    let end = name.rfind('/')? + 1;
    Some(&name[..end]).filter(|dir| *dir != "refs/")
}

/// Returns the prefixes of the refs that an error about a missing name can list.
pub(super) fn prefixes(name: &str) -> Vec<String> {
    let usual = [HEAD, HEADS, TAGS].map(str::to_owned);
    match sought(name) {
        Sought::Other => match directory(name) {
            Some(dir) => vec![dir.to_owned(), format!("{name}/")],
            None => usual.into_iter().chain([format!("{name}/")]).collect(),
        },
        // `pull/7/head`, `heads/main`
        Sought::BranchOrTag if name.contains('/') => {
            usual.into_iter().chain([format!("refs/{name}")]).collect()
        }
        Sought::BranchOrTag | Sought::Branch | Sought::Tag | Sought::Default => usual.into(),
    }
}

/// Returns the names that were probably meant, most likely first, as they can be written.
pub(super) fn names(name: &str, refs: &Refs) -> Vec<String> {
    let mut near: Vec<String> = Vec::new();
    let mut offer = |full: String| {
        if refs.get(&full).is_some() && !near.contains(&full) {
            near.push(full);
        }
    };
    let short = name
        .strip_prefix(HEADS)
        .or_else(|| name.strip_prefix(TAGS))
        .unwrap_or(name);
    match sought(name) {
        Sought::Default => return Vec::new(),
        Sought::Other => {
            // `refs/main`
            let rest = name.strip_prefix("refs/").unwrap_or(name);
            offer(format!("{HEADS}{rest}"));
            offer(format!("{TAGS}{rest}"));
        }
        Sought::BranchOrTag | Sought::Branch | Sought::Tag => {
            // A clone's own names.
            offer(format!("refs/{name}"));
            for remote in ["origin/", "remotes/origin/"] {
                if let Some(branch) = name.strip_prefix(remote) {
                    offer(format!("{HEADS}{branch}"));
                }
            }
            // The two usual names of a default branch.
            let other = match short {
                "master" => Some("main"),
                "main" => Some("master"),
                _ => None,
            };
            if let Some(other) = other {
                let is_there = refs.branch(other).is_some();
                let default = refs.default_branch().filter(|_| !is_there);
                offer(format!("{HEADS}{}", default.unwrap_or(other)));
            }
            // The other kind, which only a full name excludes.
            offer(format!("{HEADS}{short}"));
            offer(format!("{TAGS}{short}"));
            for near in nearest(short, all_short_names(refs), 5) {
                offer(format!("{HEADS}{near}"));
                offer(format!("{TAGS}{near}"));
            }
        }
    }
    if sought(name) == Sought::BranchOrTag {
        near = near.iter().map(|full| short_name(full, refs)).collect();
        near.dedup();
    }
    near.truncate(5);
    near
}

fn all_short_names(refs: &Refs) -> Vec<&str> {
    let mut all: Vec<&str> = refs.branches().chain(refs.tags()).map(|(name, _)| name).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Returns the short name of a branch or tag, if it stands for nothing else.
fn short_name(full: &str, refs: &Refs) -> String {
    let short = full.strip_prefix(HEADS).or_else(|| full.strip_prefix(TAGS));
    match short {
        Some(short)
            if refs.branch(short).map(|entry| entry.target) == refs.tag(short).map(|entry| entry.target)
                || refs.branch(short).is_none()
                || refs.tag(short).is_none() =>
        {
            short.to_owned()
        }
        _ => full.to_owned(),
    }
}

/// What a repo has of the sought kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// The names, nearest first.
    pub names: Vec<String>,
    /// The number of names that are not listed.
    pub more: usize,
    /// The default branch, if the refs name it.
    pub default_branch: Option<String>,
}

/// Returns what there is of the sought kind. The names that were probably meant come first.
pub(super) fn existing(name: &str, near: &[String], refs: &Refs) -> Existing {
    let short = |prefix: &str| name.strip_prefix(prefix).unwrap_or(name);
    let mut sorted = match (sought(name), directory(name)) {
        (Sought::Tag, _) => by_similarity(short(TAGS), refs.tags().map(|(name, _)| name)),
        (Sought::Other, Some(dir)) => {
            let all = refs.iter().map(|entry| entry.name.as_str());
            by_similarity(name, all.filter(|full| full.starts_with(dir)))
        }
        _ => by_similarity(short(HEADS), refs.branches().map(|(name, _)| name)),
    };
    // The sort is stable.
    sorted.sort_by_key(|name| !near.iter().any(|near| near == name));
    Existing {
        names: sorted
            .iter()
            .take(LISTED)
            .map(|name| (*name).to_owned())
            .collect(),
        more: sorted.len().saturating_sub(LISTED),
        default_branch: refs.default_branch().map(str::to_owned),
    }
}

/// Returns the hint of a missing name.
pub(super) fn hint(name: &str, near: &[String], existing: &Existing) -> String {
    let quoted = |name: &String| format!("`{}`", escape(name, 120));
    let (one, all) = match (sought(name), directory(name)) {
        (Sought::Tag, _) => ("only tag is", "tags are"),
        (Sought::Other, Some(_)) => ("only ref beside it is", "refs beside it are"),
        _ => ("only branch is", "branches are"),
    };
    let are_branches = all == "branches are";
    let mut parts = Vec::new();
    if !near.is_empty() {
        let meant: Vec<String> = near.iter().map(quoted).collect();
        parts.push(format!("did you mean {}?", meant.join(" or ")));
    }
    if !existing.names.is_empty() {
        let listed = |name: &String| {
            let is_default = are_branches && existing.default_branch.as_ref() == Some(name);
            quoted(name) + if is_default { " (the default branch)" } else { "" }
        };
        let mut listed = existing.names.iter().map(listed).collect::<Vec<_>>().join(", ");
        if existing.more > 0 {
            listed.push_str(&format!(" and {} more", existing.more));
        }
        let the = if near.is_empty() { "the" } else { "The" };
        let are = if existing.names.len() == 1 { one } else { all };
        parts.push(format!("{the} {are} {listed}"));
    }
    if !parts.is_empty() {
        return parts.join(" ");
    }
    match sought(name) {
        Sought::Default => "name a branch instead",
        Sought::Other => "the server may have removed or hidden it: `git ls-remote` with the repo's address lists what it has",
        _ => "`git ls-remote` with the repo's address lists what it has",
    }
    .to_owned()
}
