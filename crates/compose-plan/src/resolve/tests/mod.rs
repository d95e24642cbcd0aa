//! Refs that are resolved, in tables: what answers, what is near, what is asked for; and graphs of nested sources.

mod asked_refs;
mod graph;
mod named_refs;
mod upgrades;
mod versions;

use compose_model::{Cause, CommitId, ObjectId, RefEntry, Refs, Requested, TreePath, VersionRequest};

use super::{ResolveError, Resolved, resolve};

fn commit(n: u8) -> CommitId {
    CommitId(ObjectId::from_bytes([n; 20]))
}

/// `("tags/1.0.0", 1)`: a lightweight tag of commit 1; `("tags/^1.0.0", 1)`: an annotated one;
/// `("HEAD>main", 1)`: the default branch.
fn refs(entries: &[(&str, u8)]) -> Refs {
    let entry = |(name, n): &(&str, u8)| {
        let object = if name.contains('^') {
            ObjectId::from_bytes([0xaa; 20])
        } else {
            commit(*n).0
        };
        let (name, symref) = match name.split_once('>') {
            Some((head, branch)) => (head.to_owned(), Some(format!("refs/heads/{branch}"))),
            None if *name == "HEAD" => ("HEAD".to_owned(), None),
            None => (format!("refs/{}", name.replace('^', "")), None),
        };
        RefEntry {
            name,
            object,
            target: commit(*n),
            symref,
        }
    };
    Refs::new(entries.iter().map(entry).collect())
}

fn version(text: &str) -> Requested {
    Requested::Version(VersionRequest::parse(text).unwrap())
}

fn named(text: &str) -> Requested {
    Requested::Ref(text.into())
}

fn of(environment: &str, requested: &Requested, refs: &Refs) -> Result<Resolved, ResolveError> {
    resolve((&TreePath::new(environment).unwrap(), requested), refs)
}

/// Returns the tag that matches, or the error with its hint.
fn answer(environment: &str, requested: &Requested, refs: &Refs) -> String {
    match of(environment, requested, refs) {
        Ok(resolved) => resolved.name,
        Err(error) => format!("{error} ({})", error.hint().unwrap_or_default()),
    }
}
