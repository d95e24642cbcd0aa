//! Locks of `HEAD`, of full names and of tag objects.

use compose_model::{RefEntry, Refs, Requested};

use super::{
    super::{Lock, LockedRef, Row, to_json, to_table},
    commit, compared, locked, mistakes, sample,
};

#[test]
fn a_lock_names_what_its_request_does_not() {
    let text = sample().to_text();
    let message = "a source has exactly one of `tag` and `branch`";
    for (from, to) in [
        // The id of a tag object, without that object or with another one.
        (format!("  tag-object: \"{}\"\n", commit(9)), String::new()),
        (
            format!("tag-object: \"{}\"", commit(9)),
            format!("tag-object: \"{}\"", commit(8)),
        ),
        // A branch's short name, a tag's full one.
        ("ref: \"refs/pull/7/head\"".to_owned(), "ref: \"pull\"".to_owned()),
        (
            "ref: \"refs/pull/7/head\"".to_owned(),
            "ref: \"refs/tags/v1\"".to_owned(),
        ),
    ] {
        let edited = text.replace(&from, &to);
        assert_ne!(edited, text);
        assert!(
            mistakes(&edited).contains(message),
            "{from}: {}",
            mistakes(&edited)
        );
    }
}

#[test]
fn outdated_follows_the_default_branch_and_other_refs() {
    let head = |repo: &str, resolved| locked(repo, Requested::Ref("HEAD".into()), resolved, 1);
    let pull = |repo: &str| {
        let name = "refs/pull/7/head".to_owned();
        locked(repo, Requested::Ref(name.clone()), LockedRef::Other(name), 1)
    };
    let main = || LockedRef::Branch("main".into());
    let lock = Lock {
        sources: vec![
            head("same", main()),
            head("advanced", main()),
            head("renamed", main()),
            head("detached", LockedRef::Other("HEAD".into())),
            pull("open"),
            pull("pushed"),
            pull("closed"),
        ],
    };
    let entry = |name: &str, n: u8, symref: Option<&str>| RefEntry {
        name: name.to_owned(),
        object: commit(n).0,
        target: commit(n),
        symref: symref.map(str::to_owned),
    };
    let at = |branch: &str, n| {
        let full = format!("refs/heads/{branch}");
        Refs::new(vec![entry("HEAD", n, Some(&full)), entry(&full, n, None)])
    };
    let one = |name: &str, n| Refs::new(vec![entry(name, n, None)]);
    let all = [
        ("same", at("main", 1)),
        ("advanced", at("main", 2)),
        ("renamed", at("trunk", 2)),
        ("detached", one("HEAD", 2)),
        ("open", one("refs/pull/7/head", 1)),
        ("pushed", one("refs/pull/7/head", 2)),
        ("closed", one("refs/pull/8/head", 1)),
    ];
    let rows = compared(&lock, &all);
    insta::assert_snapshot!(to_table(&rows), @"
    SOURCE                        REQUESTED         LOCKED            IN RANGE  NEWEST  NOTE
    eks of https://host/same      HEAD              main              -         -
    eks of https://host/advanced  HEAD              main              -         -       branch went from 010101010 to 020202020
    eks of https://host/renamed   HEAD              main              -         -       deleted; the default branch is `trunk`
    eks of https://host/detached  HEAD              HEAD              -         -       ref went from 010101010 to 020202020
    eks of https://host/open      refs/pull/7/head  refs/pull/7/head  -         -
    eks of https://host/pushed    refs/pull/7/head  refs/pull/7/head  -         -       ref went from 010101010 to 020202020
    eks of https://host/closed    refs/pull/7/head  refs/pull/7/head  -         -       deleted
    ");
    let outdated: Vec<bool> = rows.iter().map(Row::is_outdated).collect();
    assert_eq!(outdated, [false, true, true, true, false, true, true]);
    assert_eq!(to_json(&rows)[2]["default_branch"], "trunk");
    assert_eq!(to_json(&rows)[1]["default_branch"], serde_json::Value::Null);
}
