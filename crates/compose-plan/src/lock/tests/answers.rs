//! What a lock answers for a source of the config, and where it disagrees with config and repo.

use std::sync::Arc;

use compose_model::{Nesting, Requested};

use super::{commit, path, refs, sample, tag, url, version};
use crate::lock::{Answer, LockedRef};

#[test]
fn resolved_refs_are_locked_by_their_kind() {
    let refs = refs(&[("tags/v1.0.0", 1), ("heads/main", 2)]);
    for (requested, name) in [
        (version("1.0.0"), Some("refs/tags/v1.0.0")),
        (Requested::Ref("main".into()), Some("refs/heads/main")),
        (Requested::Ref(commit(3).to_string()), None),
    ] {
        let resolved = crate::resolve::resolve((&path("eks"), &requested), &refs).unwrap();
        let locked = LockedRef::of(&resolved);
        assert_eq!(
            (locked.refname().as_deref(), &resolved.refname),
            (name, &locked.refname())
        );
    }
}

#[test]
fn a_lock_answers_what_its_version_satisfies() {
    let lock = sample();
    let ask = |repo: &str, environment: &str, requested: Requested| match lock.answer(
        &url(repo),
        &path(environment),
        &requested,
    ) {
        Answer::Locked(locked) => format!("locked {}", locked.name()),
        Answer::Disagrees(locked) => format!("disagrees {}", locked.name()),
        Answer::Missing => "missing".to_owned(),
    };
    for (repo, environment, requested, answer) in [
        ("obs", "eks", version("^1.10"), "locked `eks/v1.10.0`"),
        ("obs.git", "eks", version("1.10.0"), "locked `eks/v1.10.0`"),
        ("obs", "eks", version("latest"), "locked `eks/v1.10.0`"),
        ("obs", "eks", version("1.11.0"), "disagrees `eks/v1.10.0`"),
        ("obs", "eks", version(">=1.11"), "disagrees `eks/v1.10.0`"),
        ("obs", "eks", version("1.10"), "disagrees `eks/v1.10.0`"),
        (
            "obs",
            "eks",
            Requested::Ref("main".into()),
            "disagrees `eks/v1.10.0`",
        ),
        ("obs", "web", version("^1.10"), "missing"),
        ("c", "eks", version("^1.10"), "missing"),
        (
            "a",
            "eks",
            Requested::Ref("main".into()),
            "locked `main` (020202020)",
        ),
        (
            "a",
            "eks",
            Requested::Ref("refs/heads/main".into()),
            "locked `main` (020202020)",
        ),
        (
            "a",
            "eks",
            Requested::Ref("refs/tags/main".into()),
            "disagrees `main` (020202020)",
        ),
        // Whether it is the default branch is not in the lock.
        (
            "a",
            "eks",
            Requested::Ref("HEAD".into()),
            "disagrees `main` (020202020)",
        ),
        (
            "head",
            "eks",
            Requested::Ref("HEAD".into()),
            "locked `trunk` (040404040)",
        ),
        (
            "pull",
            "eks",
            Requested::Ref("refs/pull/7/head".into()),
            "locked `refs/pull/7/head` (050505050)",
        ),
        (
            "pull",
            "eks",
            Requested::Ref("refs/pull/7/merge".into()),
            "disagrees `refs/pull/7/head` (050505050)",
        ),
        (
            "object",
            "eks",
            Requested::Ref(commit(9).to_string()),
            "locked 060606060",
        ),
        ("a", "eks", version("^1"), "disagrees `main` (020202020)"),
        (
            "b",
            "eks",
            Requested::Ref(commit(3).to_string()),
            "locked 030303030",
        ),
        (
            "b",
            "eks",
            Requested::Ref(commit(4).to_string()),
            "disagrees 030303030",
        ),
    ] {
        assert_eq!(
            ask(repo, environment, requested.clone()),
            answer,
            "{repo} {environment} {}",
            requested.as_str()
        );
    }
}

#[test]
fn differences_between_lock_and_config_are_reported() {
    let text = "default-environments:
- {repo: https://host/a, environment: eks, ref: dev}
- {repo: https://host/b, environment: web, version: 1.0.0}
- {repo: https://host/obs, environment: eks, version: 1.10.0}
";
    let specs = crate::config::parse(&Arc::from("dev"), &Arc::from(text), Nesting::Root).unwrap();
    let named: Vec<_> = specs.iter().map(|spec| (&spec.repo, &spec.environment)).collect();
    let lock = sample();
    let warnings: Vec<String> = specs
        .iter()
        .filter_map(|spec| lock.unanswered(spec))
        .chain(lock.unused(&named))
        .map(|warning| {
            let line = warning.place.map_or(0, |place| place.line_column().0);
            format!("{line} {} ({})", warning.message, warning.hints[0])
        })
        .collect();
    insta::assert_snapshot!(warnings.join("\n"), @"
    2 `eks` of https://host/a is asked for as `dev` and locked at `main` (020202020) (run `bitops-compose lock`, and commit the lock)
    3 `web` of https://host/b is not in the lock (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/b, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/head, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/pull, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/object, which nothing names (run `bitops-compose lock`, and commit the lock)
    ");
}

#[test]
fn a_moved_tag_is_reported_and_a_moved_branch_is_not() {
    let mut newer = sample();
    for source in &mut newer.sources {
        source.commit = commit(9);
    }
    let lock = sample();
    let moved = lock.moved_tags(&newer);
    assert_eq!(moved.len(), 1);
    let diagnostic = moved[0].to_diagnostic();
    insta::assert_snapshot!(format!("{} ({})", diagnostic.message, diagnostic.hints[0]), @"the tag `eks/v1.10.0` of https://host/obs was moved: `eks` is locked at 010101010, the tag is at 090909090 now (ask the catalog's owner why; if it is right, accept it with `--accept-moved`)");
    // The same version under another name.
    for respelled in ["eks/1.10.0", "eks-v1.10.0", "v1.10.0"] {
        newer.sources[0].resolved = tag(respelled);
        let moved = lock.moved_tags(&newer);
        assert_eq!(moved.len(), 1, "{respelled}");
        let message = moved[0].to_diagnostic().message;
        assert!(
            message.contains(&format!("`{respelled}` is at 090909090 now")),
            "{message}"
        );
    }
    for other in ["eks/v1.11.0", "eks/v1.10.0+1", "stable"] {
        newer.sources[0].resolved = tag(other);
        assert_eq!(lock.moved_tags(&newer), [], "{other}");
    }
}
