//! The lock: its text, its answers, and what it calls outdated.

mod answers;
mod file;
mod outdated;
mod refs;

use std::sync::Arc;

use super::{Lock, Locked, LockedRef, RESTORE, Row, Via};
use compose_model::{
    CommitId, Diagnostic, ObjectId, RefEntry, Refs, RepoUrl, Requested, TreeId, TreePath, VersionRequest,
};

fn url(name: &str) -> RepoUrl {
    RepoUrl::parse(&format!("https://host/{name}")).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn version(text: &str) -> Requested {
    Requested::Version(VersionRequest::parse(text).unwrap())
}

fn commit(n: u8) -> CommitId {
    CommitId(ObjectId::from_bytes([n; 20]))
}

fn locked(repo: &str, requested: Requested, resolved: LockedRef, n: u8) -> Locked {
    Locked {
        repo: url(repo),
        environment: path("eks"),
        requested,
        resolved,
        commit: commit(n),
        tree: TreeId(ObjectId::from_bytes([n + 0x10; 20])),
        via: Vec::new(),
        signer: None,
        tag_object: None,
    }
}

fn tag(name: &str) -> LockedRef {
    LockedRef::Tag(name.into())
}

fn sample() -> Lock {
    let nested = Locked {
        via: vec![Via {
            repo: url("a"),
            environment: path("stacks/eks"),
        }],
        signer: Some("SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".into()),
        ..locked("obs", version("^1.10"), tag("eks/v1.10.0"), 1)
    };
    Lock {
        sources: vec![
            nested,
            locked(
                "a",
                Requested::Ref("main".into()),
                LockedRef::Branch("main".into()),
                2,
            ),
            locked("b", Requested::Ref(commit(3).to_string()), LockedRef::Commit, 3),
            locked(
                "head",
                Requested::Ref("HEAD".into()),
                LockedRef::Branch("trunk".into()),
                4,
            ),
            locked(
                "pull",
                Requested::Ref("refs/pull/7/head".into()),
                LockedRef::Other("refs/pull/7/head".into()),
                5,
            ),
            Locked {
                tag_object: Some(commit(9).0),
                ..locked(
                    "object",
                    Requested::Ref(commit(9).to_string()),
                    LockedRef::Commit,
                    6,
                )
            },
        ],
    }
}

fn parse(text: &str) -> Result<Lock, Vec<Diagnostic>> {
    Lock::parse(&Arc::from("dev/bitops.lock.yaml"), &Arc::from(text))
}

/// `line «marked» message (hint)`
fn mistakes(text: &str) -> String {
    let one = |mistake: &Diagnostic| {
        let place = mistake.place.as_ref().unwrap();
        let (line, _) = place.line_column();
        let hint = &mistake.hints[0];
        format!(
            "{line} «{}» {} ({hint})",
            &place.text[place.span.clone()],
            mistake.message
        )
    };
    parse(text)
        .expect_err(text)
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join("\n")
        .replace(RESTORE, "…")
}

fn refs(entries: &[(&str, u8)]) -> Refs {
    let entry = |(name, n): &(&str, u8)| RefEntry {
        name: format!("refs/{name}"),
        object: commit(*n).0,
        target: commit(*n),
        symref: None,
    };
    Refs::new(entries.iter().map(entry).collect())
}

/// Compares a lock with the refs of the repos of these names.
fn compared(lock: &Lock, all: &[(&str, Refs)]) -> Vec<Row> {
    super::outdated(lock, |repo| {
        all.iter()
            .find(|(name, _)| repo.name() == *name)
            .map(|(_, refs)| refs)
    })
}
