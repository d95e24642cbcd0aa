//! Branches, tags, commits and other refs by their names.

use compose_model::Refs;

use super::{answer, commit, named, of, refs};
use crate::resolve::Kind;

#[test]
fn a_ref_is_a_branch_a_tag_or_a_commit() {
    let refs = refs(&[
        ("heads/main", 1),
        ("tags/^stable", 2),
        ("heads/same", 3),
        ("tags/same", 3),
        ("heads/both", 4),
        ("tags/both", 5),
    ]);
    let kind =
        |text: &str| of("eks", &named(text), &refs).map(|found| (found.kind, found.commit, found.refname));
    assert_eq!(
        kind("main"),
        Ok((Kind::Branch, commit(1), Some("refs/heads/main".into())))
    );
    assert_eq!(
        kind("stable"),
        Ok((Kind::Tag, commit(2), Some("refs/tags/stable".into())))
    );
    assert_eq!(kind("same").unwrap().0, Kind::Tag);
    assert_eq!(kind("refs/heads/both").unwrap().1, commit(4));
    assert_eq!(kind("refs/tags/both").unwrap().1, commit(5));
    assert_eq!(kind(&commit(9).to_string()), Ok((Kind::Commit, commit(9), None)));
    insta::assert_snapshot!(answer("eks", &named("both"), &refs), @"`both` is both a branch (040404040) and a tag (050505050) (write `ref: refs/heads/both` or `ref: refs/tags/both`)");
    insta::assert_snapshot!(answer("eks", &named("mian"), &refs), @"there is no branch or tag `mian` (did you mean `main`? The branches are `main`, `same`, `both`)");
    insta::assert_snapshot!(answer("eks", &named("refs/heads/stabel"), &refs), @"there is no branch `refs/heads/stabel` (did you mean `refs/tags/stable`? The branches are `same`, `both`, `main`)");
    insta::assert_snapshot!(answer("eks", &named("0101010"), &refs), @"`0101010` is no branch or tag, and too short for a commit id (write the full id: 0101010101010101010101010101010101010101)");
    insta::assert_snapshot!(answer("eks", &named("0123abcd"), &refs), @"`0123abcd` is no branch or tag, and too short for a commit id (write the full id, all 40 digits)");
    insta::assert_snapshot!(answer("eks", &named("2024"), &refs), @"there is no branch or tag `2024` (the branches are `both`, `main`, `same`)");
}

#[test]
fn head_is_the_default_branch_and_full_names_are_any_ref() {
    let some = [
        ("HEAD>trunk", 1),
        ("heads/trunk", 1),
        ("pull/7/head", 2),
        ("pull/7/merge", 3),
        ("merge-requests/3/head", 4),
        ("changes/34/1234/1", 5),
        ("tags/^v1", 6),
    ];
    let kind = |text: &str, all: &[(&str, u8)]| {
        let found = of("eks", &named(text), &refs(all)).unwrap();
        (found.kind, found.name, found.commit, found.refname.unwrap())
    };
    let full = |kind, name: &str, n, full: &str| (kind, name.to_owned(), commit(n), full.to_owned());
    assert_eq!(
        kind("HEAD", &some),
        full(Kind::Branch, "trunk", 1, "refs/heads/trunk")
    );
    // Without a branch it is a ref like any other.
    assert_eq!(
        kind("HEAD", &[("HEAD", 9), ("heads/main", 9)]),
        full(Kind::Other, "HEAD", 9, "HEAD")
    );
    for (name, n) in [
        ("refs/pull/7/head", 2),
        ("refs/pull/7/merge", 3),
        ("refs/merge-requests/3/head", 4),
        ("refs/changes/34/1234/1", 5),
    ] {
        assert_eq!(kind(name, &some), full(Kind::Other, name, n, name));
    }
    assert_eq!(kind("refs/tags/v1", &some).0, Kind::Tag);
    assert_eq!(kind("refs/heads/trunk", &some).0, Kind::Branch);
}

#[test]
fn a_missing_ref_lists_those_that_there_are() {
    let some = refs(&[
        ("HEAD>main", 1),
        ("heads/main", 1),
        ("heads/develop", 2),
        ("heads/release/1", 3),
        ("tags/stable", 4),
        ("pull/7/head", 5),
        ("pull/77/head", 5),
        ("changes/34/1234/1", 5),
        ("changes/34/1234/2", 6),
    ]);
    let of = |name: &str| answer("eks", &named(name), &some);
    insta::assert_snapshot!(of("master"), @"there is no branch or tag `master` (did you mean `main`? The branches are `main` (the default branch), `release/1`, `develop`)");
    insta::assert_snapshot!(of("zebra"), @"there is no branch or tag `zebra` (the branches are `release/1`, `develop`, `main` (the default branch))");
    insta::assert_snapshot!(of("devlop"), @"there is no branch or tag `devlop` (did you mean `develop`? The branches are `develop`, `release/1`, `main` (the default branch))");
    insta::assert_snapshot!(of("origin/develop"), @"there is no branch or tag `origin/develop` (did you mean `develop`? The branches are `develop`, `main` (the default branch), `release/1`)");
    insta::assert_snapshot!(of("pull/7/head"), @"there is no branch or tag `pull/7/head` (did you mean `refs/pull/7/head`? The branches are `release/1`, `develop`, `main` (the default branch))");
    insta::assert_snapshot!(of("refs/heads/stable"), @"there is no branch `refs/heads/stable` (did you mean `refs/tags/stable`? The branches are `release/1`, `main` (the default branch), `develop`)");
    insta::assert_snapshot!(of("refs/tags/main"), @"there is no tag `refs/tags/main` (did you mean `refs/heads/main`? The only tag is `stable`)");
    insta::assert_snapshot!(of("refs/main"), @"there is no ref `refs/main` (did you mean `refs/heads/main`? The branches are `release/1`, `develop`, `main` (the default branch))");
    insta::assert_snapshot!(of("refs/pull/7/merge"), @"there is no ref `refs/pull/7/merge` (the only ref beside it is `refs/pull/7/head`)");
    insta::assert_snapshot!(of("refs/pull/8/head"), @"there is no ref `refs/pull/8/head` (the server may have removed or hidden it: `git ls-remote` with the repo's address lists what it has)");
    insta::assert_snapshot!(of("refs/changes/34/1234/9"), @"there is no ref `refs/changes/34/1234/9` (the refs beside it are `refs/changes/34/1234/1`, `refs/changes/34/1234/2`)");
    let old = refs(&[("HEAD>master", 1), ("heads/master", 1)]);
    insta::assert_snapshot!(answer("eks", &named("main"), &old), @"there is no branch or tag `main` (did you mean `master`? The only branch is `master` (the default branch))");
    let other = refs(&[("HEAD>trunk", 1), ("heads/trunk", 1), ("heads/x", 1)]);
    insta::assert_snapshot!(answer("eks", &named("main"), &other), @"there is no branch or tag `main` (did you mean `trunk`? The branches are `trunk` (the default branch), `x`)");
    let both = refs(&[("heads/stable", 1), ("tags/stable", 2)]);
    insta::assert_snapshot!(answer("eks", &named("stabel"), &both), @"there is no branch or tag `stabel` (did you mean `refs/heads/stable` or `refs/tags/stable`? The only branch is `stable`)");
    let none = Refs::default();
    insta::assert_snapshot!(answer("eks", &named("HEAD"), &none), @"there is no default branch `HEAD` (name a branch instead)");
    let branches: Vec<String> = (0..25).map(|n| format!("heads/feature/{n}\u{1b}")).collect();
    let many = refs(&branches.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
    insta::assert_snapshot!(answer("eks", &named("main"), &many), @r"there is no branch or tag `main` (the branches are `feature/0\u{1b}`, `feature/1\u{1b}`, `feature/2\u{1b}`, `feature/3\u{1b}`, `feature/4\u{1b}`, `feature/5\u{1b}`, `feature/6\u{1b}`, `feature/7\u{1b}`, `feature/8\u{1b}`, `feature/9\u{1b}` and 15 more)");
}

#[test]
fn an_error_asks_for_the_refs_that_it_lists() {
    let prefixes = |name: &str| {
        let error = of("eks", &named(name), &Refs::default()).unwrap_err();
        error.prefixes().join(" ")
    };
    assert_eq!(prefixes("main"), "HEAD refs/heads/ refs/tags/");
    assert_eq!(
        prefixes("pull/7/head"),
        "HEAD refs/heads/ refs/tags/ refs/pull/7/head"
    );
    // Pull requests, of which there may be thousands, are not listed.
    assert_eq!(prefixes("refs/pull/7/head"), "refs/pull/7/ refs/pull/7/head/");
    assert_eq!(prefixes("refs/main"), "HEAD refs/heads/ refs/tags/ refs/main/");
}

#[test]
fn the_id_of_a_tag_object_becomes_its_commit() {
    let found = of("eks", &named(&commit(9).to_string()), &Refs::default()).unwrap();
    assert_eq!(found.clone().peeled(commit(9)), found);
    let peeled = found.peeled(commit(1));
    assert_eq!(
        (peeled.name, peeled.commit, peeled.tag_object),
        (commit(1).to_string(), commit(1), Some(commit(9).0))
    );
}

#[test]
fn a_ref_named_like_a_commit_does_not_hide_it() {
    let name = commit(7).to_string();
    for kind in ["heads", "tags"] {
        let refs = refs(&[(&format!("{kind}/{name}"), 8)]);
        let found = of("eks", &named(&name), &refs).unwrap();
        assert_eq!((found.kind, found.commit), (Kind::Commit, commit(7)));
        assert!(found.warning.unwrap().contains("used as a commit id"));
    }
}
