//! Compares a lock with a repo's refs, and finds newer versions, moved tags and deleted tags.

use std::{collections::HashMap, fmt::Write as _};

use compose_model::{CommitId, Refs, RepoUrl, Requested, TreePath, refs::HEAD, text::escape};
use serde_json::{Value, json};

use super::locked::{Lock, Locked, LockedRef};
use crate::resolve::{Resolver, TagVersion, is_other_ref, tag_version};

/// The comparison of one locked source with its repo's refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The repo.
    pub repo: RepoUrl,
    /// The environment.
    pub environment: TreePath,
    /// The request, as written.
    pub requested: String,
    /// The locked tag, branch or other ref, or the commit id if a commit was requested.
    pub locked: String,
    /// The locked commit.
    pub commit: CommitId,
    /// The newest tag that the request allows, if it is newer than the locked one.
    pub in_range: Option<String>,
    /// The newest of all tags, if it is newer than the locked one. Pre-releases count if a
    /// pre-release is locked.
    pub newest: Option<String>,
    /// A higher tag that looks like a version but is not read as one.
    pub not_read: Option<String>,
    /// The current state of the locked ref.
    pub now: Now,
    /// The default branch, if the request is `HEAD` and another branch is locked.
    pub default_branch: Option<String>,
}

/// The current state of a locked ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// The ref points to the locked commit. A locked commit is always unchanged.
    Unchanged,
    /// The tag points elsewhere, although tags should not move.
    Moved(CommitId),
    /// The branch or other ref points elsewhere, which is normal for them.
    Advanced(CommitId),
    /// No ref has the name any longer.
    Deleted,
}

impl Row {
    /// Returns whether `update` would change the source, or someone must look at it. A newest
    /// version outside the range is neither.
    pub fn is_outdated(&self) -> bool {
        self.in_range.is_some() || self.now != Now::Unchanged || self.default_branch.is_some()
    }

    fn note(&self) -> String {
        let state = match self.now {
            Now::Unchanged => None,
            Now::Moved(to) => Some(format!(
                "tag moved from {} to {}",
                self.commit.abbreviated(),
                to.abbreviated()
            )),
            Now::Advanced(to) => Some(format!(
                "{} went from {} to {}",
                if is_other_ref(&self.locked) {
                    "ref"
                } else {
                    "branch"
                },
                self.commit.abbreviated(),
                to.abbreviated()
            )),
            Now::Deleted => Some("deleted".to_owned()),
        };
        let default_branch = self
            .default_branch
            .as_ref()
            .map(|branch| format!("the default branch is `{}`", escape(branch, 60)));
        let not_read = self
            .not_read
            .as_ref()
            .map(|tag| format!("the higher `{}` is not read as a version", escape(tag, 60)));
        let notes = state.into_iter().chain(default_branch).chain(not_read);
        notes.collect::<Vec<_>>().join("; ")
    }
}

/// Returns one row for each locked source whose repo was read, in the lock's order. The refs must
/// hold all refs that the lock names, all tags, and for requests of `HEAD` that as well.
pub fn outdated<'a>(lock: &Lock, refs: impl Fn(&RepoUrl) -> Option<&'a Refs>) -> Vec<Row> {
    // The tags of a repo are read once for all of its sources.
    let mut resolvers: HashMap<&str, Option<(&Refs, Resolver<'_>)>> = HashMap::new();
    let mut rows = Vec::new();
    for locked in &lock.sources {
        let known = resolvers
            .entry(locked.repo.key())
            .or_insert_with(|| refs(&locked.repo).map(|refs| (refs, Resolver::new(refs))));
        rows.extend(known.as_ref().map(|(refs, resolver)| row(locked, refs, resolver)));
    }
    rows
}

fn row(locked: &Locked, refs: &Refs, resolver: &Resolver<'_>) -> Row {
    let (name, found, is_tag) = match &locked.resolved {
        LockedRef::Tag(tag) => (tag.clone(), refs.tag(tag), true),
        LockedRef::Branch(branch) => (branch.clone(), refs.branch(branch), false),
        LockedRef::Other(name) => (name.clone(), refs.get(name), false),
        LockedRef::Commit => (locked.commit.to_string(), None, false),
    };
    let now = match found.map(|entry| entry.target) {
        _ if locked.resolved == LockedRef::Commit => Now::Unchanged,
        None => Now::Deleted,
        Some(commit) if commit == locked.commit => Now::Unchanged,
        Some(commit) if is_tag => Now::Moved(commit),
        Some(commit) => Now::Advanced(commit),
    };
    let version = is_tag.then(|| tag_version(&locked.environment, &name)).flatten();
    let is_newer = |tag: &String| tag_version(&locked.environment, tag) > version;
    let by_version = matches!(locked.requested, Requested::Version(_)) && version.is_some();
    let in_range = resolver
        .resolve(&locked.environment, &locked.requested)
        .ok()
        .map(|found| found.name);
    let default_branch = in_range
        .clone()
        .filter(|branch| locked.requested.as_str() == HEAD && *branch != name);
    let pre_releases = version.as_ref().is_some_and(TagVersion::is_pre_release);
    let newest = resolver.newest(&locked.environment, pre_releases);
    let highest = newest
        .as_ref()
        .and_then(|tag| tag_version(&locked.environment, tag))
        .max(version.clone());
    let not_read = highest.and_then(|highest| resolver.not_read(&locked.environment, &highest));
    Row {
        repo: locked.repo.clone(),
        environment: locked.environment.clone(),
        requested: locked.requested.as_str().to_owned(),
        locked: name,
        commit: locked.commit,
        in_range: in_range.filter(|tag| by_version && is_newer(tag)),
        newest: newest.filter(|tag| version.is_some() && is_newer(tag)),
        not_read: not_read.filter(|_| by_version).map(str::to_owned),
        now,
        default_branch,
    }
}

/// Formats the rows as a table for a terminal, with a heading. The text ends with a newline.
pub fn to_table(rows: &[Row]) -> String {
    let heading = ["SOURCE", "REQUESTED", "LOCKED", "IN RANGE", "NEWEST", "NOTE"].map(str::to_owned);
    let cells = |row: &Row| {
        let or_dash =
            |tag: &Option<String>| tag.as_ref().map_or_else(|| "-".to_owned(), |tag| escape(tag, 60));
        let locked = if row.locked == row.commit.to_string() {
            row.commit.abbreviated()
        } else {
            escape(&row.locked, 60)
        };
        [
            format!("{} of {}", row.environment, row.repo),
            escape(&row.requested, 60),
            locked,
            or_dash(&row.in_range),
            or_dash(&row.newest),
            row.note(),
        ]
    };
    let lines: Vec<[String; 6]> = std::iter::once(heading).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string cannot fail.
            let _ = write!(text, "{cell:width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// Formats the rows as JSON: a list of objects with `repo`, `environment`, `requested`, `locked`,
/// `commit`, `in_range`, `newest`, `not_read`, `state` (`unchanged`, `moved`, `advanced`,
/// `deleted`), `now` (a commit or null), `default_branch` and `outdated`.
pub fn to_json(rows: &[Row]) -> Value {
    let object = |row: &Row| {
        let (state, now) = match row.now {
            Now::Unchanged => ("unchanged", Some(row.commit)),
            Now::Moved(to) => ("moved", Some(to)),
            Now::Advanced(to) => ("advanced", Some(to)),
            Now::Deleted => ("deleted", None),
        };
        json!({
            "repo": row.repo.as_str(),
            "environment": row.environment.as_str(),
            "requested": row.requested,
            "locked": row.locked,
            "commit": row.commit.to_string(),
            "in_range": row.in_range,
            "newest": row.newest,
            "not_read": row.not_read,
            "state": state,
            "now": now.map(|commit| commit.to_string()),
            "default_branch": row.default_branch,
            "outdated": row.is_outdated(),
        })
    };
    rows.iter().map(object).collect()
}
