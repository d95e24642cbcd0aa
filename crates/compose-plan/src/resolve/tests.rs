use compose_model::{Cause, CommitId, ObjectId, RefEntry, Refs, Requested, TreePath, VersionRequest};
use proptest::prelude::*;
use semver::{Version, VersionReq};

use super::{Kind, ResolveError, Resolved, TagVersion, prefixes, resolve, tag_version};

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

#[test]
fn an_exact_version_is_a_tag_with_or_without_v() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/^v1.1.0", 2),
        ("tags/2.0.0", 3),
        ("tags/v2.0.0", 4),
        ("tags/3.0.0", 5),
        ("tags/^v3.0.0", 5),
    ]);
    assert_eq!(answer("eks", &version("1.0.0"), &refs), "1.0.0");
    assert_eq!(answer("eks", &version("v1.0.0"), &refs), "1.0.0");
    assert_eq!(answer("eks", &version("3.0.0"), &refs), "3.0.0");
    let annotated = of("eks", &version("1.1.0"), &refs).unwrap();
    assert_eq!(
        annotated,
        Resolved {
            name: "v1.1.0".into(),
            refname: Some("refs/tags/v1.1.0".into()),
            kind: Kind::Tag,
            commit: commit(2),
            tag_object: Some(ObjectId::from_bytes([0xaa; 20])),
            warning: None,
        }
    );
    insta::assert_snapshot!(answer("eks", &version("2.0.0"), &refs), @"the tags `2.0.0` (030303030) and `v2.0.0` (040404040) stand for one version but are different commits (name one of them with `ref: refs/tags/…`, and tell the catalog's owner)");
}

#[test]
fn a_missing_tag_names_the_nearest() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/v1.2.0", 2),
        ("tags/1.2.3", 3),
        ("tags/1.3.0", 4),
        ("tags/4.0.0", 5),
        ("tags/5.0.0", 6),
        ("tags/x", 7),
    ]);
    insta::assert_snapshot!(answer("eks", &version("1.2.1"), &refs), @"there is no tag for version `1.2.1` (the nearest tags are `v1.2.0`, `1.2.3`, `1.3.0`, `1.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("1.2"), &refs), @"there is no tag for version `1.2` (`~1.2` asks for the newest 1.2.x; the nearest tags are `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("9"), &refs), @"there is no tag for version `9` (the nearest tags are `5.0.0`, `4.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("^6"), &refs), @"no tag matches version `^6` (the highest tags are `5.0.0`, `4.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    insta::assert_snapshot!(answer("eks", &version("1.2.1"), &Refs::default()), @"there is no tag for version `1.2.1` ()");
    // In a lower major version the highest is the nearest, in a higher one the lowest.
    insta::assert_snapshot!(answer("eks", &version("2.0.0"), &refs), @"there is no tag for version `2.0.0` (the nearest tags are `1.3.0`, `1.2.3`, `v1.2.0`, `1.0.0`, `4.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("3.5.0"), &refs), @"there is no tag for version `3.5.0` (the nearest tags are `4.0.0`, `5.0.0`, `1.3.0`, `1.2.3`, `v1.2.0`)");
    let short = self::refs(&[("tags/v2", 1), ("tags/2.0.0", 2), ("tags/1.0.0", 3)]);
    insta::assert_snapshot!(answer("eks", &version("2"), &short), @"there is no tag for version `2` (`~2` asks for the newest 2.x; the nearest tags are `v2`, `2.0.0`)");
    let words = self::refs(&[("tags/stable\u{1b}[31m", 1), ("tags/old", 1)]);
    insta::assert_snapshot!(answer("eks", &version("1.0.0"), &words), @r"there is no tag for version `1.0.0` (the nearest tags are `old`, `stable\u{1b}[31m`)");
    let pre = self::refs(&[("tags/1.0.0-rc.1", 1), ("tags/1.0.0-rc.2", 1)]);
    insta::assert_snapshot!(answer("eks", &version("latest"), &pre), @"no tag matches version `latest` (there are pre-releases only, which a range must name: `1.0.0-rc.2`, `1.0.0-rc.1`)");
    assert_eq!(answer("eks", &version(">=1.0.0-rc.1"), &pre), "1.0.0-rc.2");
}

#[test]
fn a_range_takes_the_highest_in_semver_order() {
    let refs = refs(&[
        ("tags/1.2.0", 1),
        ("tags/v1.10.0", 2),
        ("tags/1.9.0", 3),
        ("tags/2.0.0-rc.1", 4),
        ("tags/10.0.0", 5),
        ("tags/11.0", 6),
        ("tags/nightly", 7),
    ]);
    for (range, tag) in [
        ("^1.2", "v1.10.0"),
        ("~1.2", "1.2.0"),
        ("1.x", "v1.10.0"),
        (">=1.3 <1.10", "1.9.0"),
        ("*", "11.0"),
        ("latest", "11.0"),
        ("<11", "10.0.0"),
        ("<2", "v1.10.0"),
        (">=2.0.0-rc.0, <3", "2.0.0-rc.1"),
        ("=1.9.0", "1.9.0"),
    ] {
        assert_eq!(answer("eks", &version(range), &refs), tag, "{range}");
    }
    let two = self::refs(&[("tags/1.2.0", 1), ("tags/v1.2.0", 2)]);
    assert!(matches!(
        of("eks", &version("^1"), &two),
        Err(ResolveError::TwoTags { .. })
    ));
}

#[test]
fn versions_that_differ_by_their_build_alone_are_ordered_by_it() {
    let refs = refs(&[
        ("tags/1.0.0", 1),
        ("tags/v1.0.0+2", 2),
        ("tags/1.0.0+10", 3),
        ("tags/1.0.0-rc.1+9", 4),
    ]);
    for (request, tag) in [
        ("1.0.0", "1.0.0"),
        ("1.0.0+2", "v1.0.0+2"),
        ("^1.0.0", "1.0.0+10"),
        ("=1.0.0", "1.0.0+10"),
        (">=1.0.0-rc.0, <1.0.0", "1.0.0-rc.1+9"),
    ] {
        assert_eq!(answer("eks", &version(request), &refs), tag, "{request}");
    }
    assert!(of("eks", &version("1.0.0+1"), &refs).is_err());
}

#[test]
fn a_partial_version_is_a_name() {
    let refs = refs(&[
        ("tags/1.0", 1),
        ("tags/1.0.5", 2),
        ("tags/v1.1", 3),
        ("tags/eks/1.0", 4),
    ]);
    assert_eq!(answer("web", &version("1.0"), &refs), "1.0");
    assert_eq!(answer("eks", &version("1.0"), &refs), "eks/1.0");
    assert_eq!(answer("web", &version("v1.1"), &refs), "v1.1");
    assert!(of("web", &version("1.1"), &refs).is_err());
}

#[test]
fn an_environments_own_tags_go_first_and_alone_answer_its_ranges() {
    for own in [
        "stacks/eks/1.0.0",
        "stacks/eks/v1.0.0",
        "stacks/eks-1.0.0",
        "stacks/eks-v1.0.0",
        "eks/1.0.0",
        "eks/v1.0.0",
        "eks-1.0.0",
        "eks-v1.0.0",
        "stacks/eks@1.0.0",
        "eks@1.0.0",
        "eks@v1.0.0",
        "@org/eks@1.0.0",
    ] {
        let tag = format!("tags/{own}");
        let refs = refs(&[
            (&tag, 1),
            ("tags/1.0.0", 2),
            ("tags/2.0.0", 3),
            ("tags/eks-addons-3.0.0", 4),
            ("tags/@org/web-eks@3.0.0", 4),
            ("tags/@/eks@3.0.0", 4),
        ]);
        assert_eq!(answer("stacks/eks", &version("1.0.0"), &refs), own);
        assert_eq!(answer("stacks/eks", &version("*"), &refs), own);
        assert_eq!(answer("web", &version("*"), &refs), "2.0.0");
        // An exact version that the environment has no tag for may be the repo's.
        assert_eq!(answer("stacks/eks", &version("2.0.0"), &refs), "2.0.0");
        assert_eq!(
            tag_version(&TreePath::new("stacks/eks").unwrap(), own),
            TagVersion::parse("1.0.0")
        );
    }
    let both = refs(&[("tags/stacks/eks/1.0.0", 1), ("tags/eks/2.0.0", 2)]);
    assert_eq!(answer("stacks/eks", &version("*"), &both), "stacks/eks/1.0.0");
    assert_eq!(answer("eks", &version("*"), &both), "eks/2.0.0");
}

/// Returns the newest of the tags for a range, with the warning.
fn newest(range: &str, tags: &[&str]) -> (String, Option<String>) {
    let tags: Vec<String> = tags.iter().map(|tag| format!("tags/{tag}")).collect();
    let entries: Vec<(&str, u8)> = tags.iter().map(String::as_str).zip(1..).collect();
    let resolved = of("eks", &version(range), &refs(&entries)).unwrap();
    (resolved.name, resolved.warning)
}

#[test]
fn tags_that_are_nearly_versions_are_ordered_by_their_numbers() {
    for (range, tags, tag) in [
        ("latest", &["2024.11.30", "2025.01.15"][..], "2025.01.15"),
        ("^1", &["v1.0.0", "v1.1", "v1.2"], "v1.2"),
        ("^1", &["1.8.0", "1.09.0"], "1.09.0"),
        ("~1.1", &["v1.0", "v1.1", "v1.2"], "v1.1"),
        ("*", &["1.2.3.9", "1.2.3.10"], "1.2.3.10"),
        ("*", &["v1", "v2", "v10"], "v10"),
        ("*", &["v1.9.0", "V1.10.0"], "V1.10.0"),
        ("*", &["eks-v1.1", "eks-v1.0.0", "3.0.0"], "eks-v1.1"),
        (">=2025.2", &["2025.01.15", "2025.02.01"], "2025.02.01"),
        // Tags that move along with others are not versions of their own.
        ("^1", &["v1", "v1.1", "v1.1.0", "v1.1.1", "v1.0.0"], "v1.1.1"),
        ("*", &["v2", "v1.9.0", "v2.0.0"], "v2.0.0"),
        ("*", &["v2", "v2.0.0-rc.1", "v1.9.0"], "v2"),
        // A single number is a version only if no other tag is one.
        ("*", &["1.2.0", "20240115"], "1.2.0"),
        ("*", &["1", "2", "10"], "10"),
        // Semver's own spelling takes precedence over another one of the same version.
        ("*", &["1.08.0", "1.8.0", "V1.8.0"], "1.8.0"),
        ("*", &["1.9.0", "1.10-rc.1"], "1.9.0"),
    ] {
        assert_eq!(newest(range, tags), (tag.to_owned(), None), "{range} {tags:?}");
    }
    assert_eq!(
        answer("eks", &version("2025.01.15"), &refs(&[("tags/2025.01.15", 1)])),
        "2025.01.15"
    );
    assert_eq!(
        answer("eks", &version("1.1.0"), &refs(&[("tags/1.1", 1)])),
        "there is no tag for version `1.1.0` (the nearest tags are `1.1`)"
    );
}

#[test]
fn a_higher_tag_that_is_not_read_as_a_version_is_reported() {
    insta::assert_snapshot!(newest("^1", &["1.0.0", "1.1.0.Final", "1.2.0.Final", "2.0.0.Final"]).1.unwrap(), @"`1.2.0.Final` looks like a higher version than `1.0.0`, and is not read as one; `ref` can name it");
    insta::assert_snapshot!(newest("*", &["v1.0.0", "v2_1"]).1.unwrap(), @"`v2_1` looks like a higher version than `v1.0.0`, and is not read as one; `ref` can name it");
    insta::assert_snapshot!(newest("*", &["eks/1.0.0", "eks/1.2.3.4.5", "9.0.0.Final"]).1.unwrap(), @"`eks/1.2.3.4.5` looks like a higher version than `eks/1.0.0`, and is not read as one; `ref` can name it");
    for (range, tags) in [
        ("~1.0", &["1.0.0", "1.1.0.Final"][..]),
        ("*", &["2.0.0", "1.1.0.Final"]),
        ("*", &["1.0.0", "2.0.0rc1", "nightly-9", "2024-01-15"]),
    ] {
        assert_eq!(newest(range, tags).1, None, "{range} {tags:?}");
    }
}

#[test]
fn a_range_that_is_offered_works() {
    let short = refs(&[("tags/v1.1", 1), ("tags/v1.0.0", 2)]);
    insta::assert_snapshot!(answer("eks", &version("1.1"), &short), @"there is no tag for version `1.1` (`~1.1` asks for the newest 1.1.x; the nearest tags are `v1.1`)");
    assert_eq!(answer("eks", &version("~1.1"), &short), "v1.1");
    insta::assert_snapshot!(answer("eks", &version("2.3"), &short), @"there is no tag for version `2.3` (the nearest tags are `v1.1`, `v1.0.0`)");
    insta::assert_snapshot!(answer("eks", &version("2025.01.16"), &short), @"there is no tag for version `2025.01.16` (the nearest tags are `v1.1`, `v1.0.0`)");
}

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

#[test]
fn only_the_refs_that_can_matter_are_asked_for() {
    let ask = |requests: &[(&str, Requested)]| {
        let requests: Vec<_> = requests
            .iter()
            .map(|(path, requested)| (TreePath::new(*path).unwrap(), requested))
            .collect();
        prefixes(requests.iter().map(|(path, requested)| (path, *requested)))
    };
    assert_eq!(
        ask(&[("eks", version("1.0.0"))]),
        [
            "1.0.0",
            "@",
            "eks-1.0.0",
            "eks-v1.0.0",
            "eks/1.0.0",
            "eks/v1.0.0",
            "eks@1.0.0",
            "eks@v1.0.0",
            "v1.0.0"
        ]
        .map(|tag| format!("refs/tags/{tag}"))
    );
    assert_eq!(ask(&[("a/b", version("1.0.0"))]).len(), 15);
    assert_eq!(
        ask(&[("eks", version("1.0"))]),
        [
            "refs/tags/1.0",
            "refs/tags/@",
            "refs/tags/eks-1.0",
            "refs/tags/eks/1.0",
            "refs/tags/eks@1.0"
        ]
    );
    assert_eq!(
        ask(&[
            ("eks", version("1.0.0")),
            ("web", version("^1")),
            ("web", named("main"))
        ]),
        ["refs/heads/main", "refs/tags/"]
    );
    assert_eq!(
        ask(&[
            ("eks", named("refs/heads/x")),
            ("eks", named(&commit(1).to_string()))
        ]),
        ["refs/heads/x"]
    );
    assert_eq!(
        ask(&[("eks", named("HEAD")), ("eks", named("refs/pull/7/head"))]),
        ["HEAD", "refs/pull/7/head"]
    );
}

fn any_version() -> impl Strategy<Value = Version> {
    (
        0u64..4,
        0u64..4,
        0u64..4,
        prop_oneof![4 => Just(""), 1 => Just("alpha.1"), 1 => Just("rc.1"), 1 => Just("rc.2")],
    )
        .prop_map(|(major, minor, patch, pre)| Version {
            pre: pre.parse().unwrap(),
            ..Version::new(major, minor, patch)
        })
}

fn any_range() -> impl Strategy<Value = String> {
    let comparator = (
        prop_oneof!["\\^", "~", ">=", "<=", ">", "<", "="],
        any_version(),
        1usize..=3,
    )
        .prop_map(|(operator, version, parts)| {
            let text = match parts {
                1 => version.major.to_string(),
                2 => format!("{}.{}", version.major, version.minor),
                _ => version.to_string(),
            };
            format!("{operator}{text}")
        });
    prop_oneof![
        proptest::collection::vec(comparator, 1..3).prop_map(|all| all.join(", ")),
        (0u64..4).prop_map(|major| format!("{major}.x")),
        Just("*".to_owned()),
    ]
}

proptest! {
    #[test]
    fn a_range_answers_what_the_semver_crate_says(
        versions in proptest::collection::btree_map(any_version(), any::<bool>(), 0..12),
        range in any_range(),
    ) {
        let tags: Vec<String> = versions.iter().map(|(version, v)| format!("tags/{}{version}", if *v { "v" } else { "" })).collect();
        let entries: Vec<(&str, u8)> = tags.iter().rev().zip(1..).map(|(tag, n)| (tag.as_str(), n)).collect();
        let oracle = VersionReq::parse(&range).unwrap();
        let expected = versions.keys().rfind(|version| oracle.matches(version)).and_then(|version| TagVersion::parse(&version.to_string()));
        let found = of("eks", &version(&range), &refs(&entries)).ok();
        let found = found.and_then(|found| tag_version(&TreePath::new("eks").unwrap(), &found.name));
        prop_assert_eq!(&found, &expected);
        // More refs change nothing.
        let noise = [("heads/9.9.9", 99), ("tags/9.9/x", 99), ("tags/web/9.9.9", 99), ("tags/web-9.9.9", 99)];
        let noisy: Vec<(&str, u8)> = entries.iter().copied().chain(noise).collect();
        let again = of("eks", &version(&range), &refs(&noisy)).ok();
        prop_assert_eq!(again.and_then(|found| tag_version(&TreePath::new("eks").unwrap(), &found.name)), found);
    }

    #[test]
    fn the_refs_asked_for_are_enough(
        versions in proptest::collection::btree_set((any_version(), 0usize..7), 0..12),
        wanted in prop_oneof![any_version().prop_map(|version| version.to_string()), any_range()],
    ) {
        let spelled = |(version, style): &(Version, usize)| match style {
            0 => format!("tags/{version}"),
            1 => format!("tags/v{version}"),
            2 => format!("tags/eks/{version}"),
            3 => format!("tags/eks-v{version}"),
            4 => format!("tags/eks@{version}"),
            5 => format!("tags/@org/eks@{version}"),
            _ => format!("tags/stacks/eks/{version}"),
        };
        let tags: Vec<String> = versions.iter().map(spelled).collect();
        let entries: Vec<(&str, u8)> = tags.iter().map(|tag| (tag.as_str(), 1)).collect();
        let all = refs(&entries);
        let (environment, requested) = (TreePath::new("stacks/eks").unwrap(), version(&wanted));
        let asked = prefixes([(&environment, &requested)]);
        let seen = Refs::new(all.iter().filter(|entry| asked.iter().any(|prefix| entry.name.starts_with(prefix.as_str()))).cloned().collect());
        prop_assert_eq!(resolve((&environment, &requested), &all).ok(), resolve((&environment, &requested), &seen).ok());
    }
}
