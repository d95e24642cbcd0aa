use std::sync::Arc;

use compose_model::{
    CommitId, Diagnostic, Nesting, ObjectId, RefEntry, Refs, RepoUrl, Requested, TreeId, TreePath,
    VersionRequest,
};
use proptest::prelude::*;

use super::{Answer, Lock, Locked, LockedRef, Now, RESTORE, Via, outdated, to_json, to_table};

fn url(name: &str) -> RepoUrl {
    RepoUrl::parse(&format!("https://host/{name}")).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn version(text: &str) -> Requested {
    Requested::Version(VersionRequest::parse(text).unwrap())
}

pub(super) fn commit(n: u8) -> CommitId {
    CommitId(ObjectId::from_bytes([n; 20]))
}

pub(super) fn locked(repo: &str, requested: Requested, resolved: LockedRef, n: u8) -> Locked {
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

pub(super) fn sample() -> Lock {
    let nested = Locked {
        via: vec![Via {
            repo: url("a"),
            environment: path("stacks/eks"),
        }],
        signer: Some("SHA256:abc".into()),
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
pub(super) fn mistakes(text: &str) -> String {
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

#[test]
fn the_file_is_for_reviewers() {
    insta::assert_snapshot!(sample().to_text(), @r#"
    # Which commits the default-environments of this environment stand for: deployments use these, and nothing newer.
    # Written by `bitops-compose lock` and `bitops-compose update`. Commit it; do not edit it by hand, change
    # bitops.config.yaml instead. `bitops-compose outdated` lists newer versions and moved tags.
    format: 1
    sources:
    - repo: https://host/obs
      environment: eks
      version: "^1.10"
      tag: "eks/v1.10.0"
      commit: "0101010101010101010101010101010101010101"
      tree: "1111111111111111111111111111111111111111"
      signer: "SHA256:abc"
      via:
      - repo: https://host/a
        environment: stacks/eks
    - repo: https://host/a
      environment: eks
      ref: "main"
      branch: "main"
      commit: "0202020202020202020202020202020202020202"
      tree: "1212121212121212121212121212121212121212"
    - repo: https://host/b
      environment: eks
      ref: "0303030303030303030303030303030303030303"
      commit: "0303030303030303030303030303030303030303"
      tree: "1313131313131313131313131313131313131313"
    - repo: https://host/head
      environment: eks
      ref: "HEAD"
      branch: "trunk"
      commit: "0404040404040404040404040404040404040404"
      tree: "1414141414141414141414141414141414141414"
    - repo: https://host/pull
      environment: eks
      ref: "refs/pull/7/head"
      commit: "0505050505050505050505050505050505050505"
      tree: "1515151515151515151515151515151515151515"
    - repo: https://host/object
      environment: eks
      ref: "0909090909090909090909090909090909090909"
      commit: "0606060606060606060606060606060606060606"
      tree: "1616161616161616161616161616161616161616"
      tag-object: "0909090909090909090909090909090909090909"
    the-end: true
    "#);
    assert_eq!(parse(&sample().to_text()), Ok(sample()));
    assert_eq!(parse(&Lock::default().to_text()), Ok(Lock::default()));
    assert_eq!(parse(&sample().to_text().replace('\n', "\r\n")), Ok(sample()));
}

#[test]
fn what_resolved_is_locked_by_its_kind() {
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
fn one_changed_source_changes_its_lines_only() {
    let mut newer = sample();
    newer.sources[0].resolved = tag("eks/v1.11.0");
    newer.sources[0].commit = commit(9);
    let (old, new) = (sample().to_text(), newer.to_text());
    let changed = old
        .lines()
        .zip(new.lines())
        .filter(|(old, new)| old != new)
        .count();
    assert_eq!((changed, old.lines().count()), (2, new.lines().count()));
}

#[test]
fn a_file_that_is_no_whole_lock_is_told_with_its_place() {
    let text = sample().to_text();
    insta::assert_snapshot!(mistakes(""), @"1 «» the lock is not usable: it has no `format`, so this program did not write it (…)");
    insta::assert_snapshot!(mistakes("bitops:\n  deployments: {}\n"), @"1 «bitops:» the lock is not usable: it has no `format`, so this program did not write it (…)");
    insta::assert_snapshot!(mistakes("format: 1\n..."), @"1 «format: 1» the lock is not usable: it has no `sources` (…)");
    insta::assert_snapshot!(mistakes(&text.replace("format: 1", "format: 2\nnew: {}")), @"4 «2» the lock is not usable: it has format 2, and this program reads format 1 (a newer bitops-compose wrote it: use that version, or remove it and run `bitops-compose lock`)");
    insta::assert_snapshot!(mistakes(&text.replace("format: 1", "format: one")), @"4 «one» the lock is not usable: its `format` does not exist (…)");
    insta::assert_snapshot!(mistakes(&text.replace("- repo: https://host/b", "<<<<<<< HEAD\n- repo: https://host/b\n=======\n>>>>>>> x")), @"22 «<<<<<<< HEAD» the lock is not usable: it holds the marks of a merge that was not finished (take either side of the merge, then run `bitops-compose lock`)");
    insta::assert_snapshot!(mistakes("format: [\n"), @"2 «» the lock is not usable: not valid YAML: expected a value, but found the end of the text (…)");
    let edited = text
        .replace("  tree: \"111", "  tree: \"11")
        .replace(
            "  environment: eks\n  ref: \"main\"",
            "  environment: ../eks\n  ref: \"main\"",
        )
        .replace("  branch: \"main\"\n", "")
        .replace("  signer", "  singer")
        .replace("    environment: stacks/eks\n", "")
        .replace("https://host/b", "https://u:s3cr3t@host/b")
        .replace("sources:", "other: 1\nsources:")
        .replace("the-end: true\n", "");
    insta::assert_snapshot!(mistakes(&edited), @r#"
    5 «other» the lock is not usable: a lock has the keys `format`, `sources` and `the-end` only (…)
    12 «"111111111111111111111111111111111111111"» the lock is not usable: `tree` is wrong: not a full commit id (40 hexadecimal digits) (…)
    13 «singer» the lock is not usable: unknown key `singer` in a source (did you mean `signer`?)
    15 «repo: https://host/a» the lock is not usable: an item of `via` has no `environment` (…)
    16 «repo: https://host/a» the lock is not usable: a source has exactly one of `tag` and `branch`, unless its `ref` is the commit, the `tag-object` or the full name of another ref (…)
    17 «../eks» the lock is not usable: `environment` is wrong: `.` and `..` are not allowed in the path (…)
    21 «https://********@host/b» the lock is not usable: `repo` is wrong: the address contains a password (…)
    42 «  tag-object: "0909090909090909090909090909090909090909"» the lock is not usable: its end is missing: the last key is not `the-end: true` (…)
    "#);
    insta::assert_snapshot!(mistakes(&text.replace("  ref: \"main\"\n", "").replace("https://host/b", "https://host/a.git")), @"16 «repo: https://host/a» the lock is not usable: a source has exactly one of `version` and `ref` (…)");
    insta::assert_snapshot!(mistakes(&text.replace("https://host/b", "https://host/a.git")), @"22 «repo: https://host/a.git» the lock is not usable: it holds `eks` of https://host/a.git twice (…)");
    // What no resolution could have found was put together by hand, or by a merge.
    let told = |from: &str, to: &str| mistakes(&text.replace(from, to));
    insta::assert_snapshot!(told("tag: \"eks/v1.10.0\"", "tag: \"eks/v2.0.0\""), @"6 «repo: https://host/obs» the lock is not usable: `eks/v2.0.0` is not what `^1.10` asks for (…)");
    insta::assert_snapshot!(told("tag: \"eks/v1.10.0\"", "branch: \"main\\e[31m\""), @r"6 «repo: https://host/obs» the lock is not usable: `main\u{1b}[31m` is not what `^1.10` asks for (…)");
    insta::assert_snapshot!(told("branch: \"main\"", "branch: \"dev\""), @"16 «repo: https://host/a» the lock is not usable: `dev` is not what `main` asks for (…)");
    insta::assert_snapshot!(told("version: \"^1.10\"", "version: 1.9.0"), @"6 «repo: https://host/obs» the lock is not usable: `eks/v1.10.0` is not what `1.9.0` asks for (…)");
    // YAML's own numbers are read as the text that they are.
    let unquoted = text
        .replace("\"^1.10\"", "1.10")
        .replace("eks/v1.10.0", "eks/1.10");
    assert_eq!(parse(&unquoted).unwrap().sources[0].requested.as_str(), "1.10");
    // As a checkout on Windows has it, and an editor there saves it.
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(parse(&windows).unwrap(), sample());
}

#[test]
fn hostile_locks_end_in_words() {
    let alias = format!(
        "format: 1\nx: &x\n{}sources: [{}]\n...\n",
        "  a: b\n".repeat(10_000),
        "*x,".repeat(10_000)
    );
    for (text, expected) in [
        (
            format!("format: 1\n# {}", "x".repeat(5 << 20)),
            "more than 4194304",
        ),
        ("[".repeat(200_000), "not valid YAML"),
        (alias, "counting what aliases repeat"),
        (
            format!("format: 1\nsources: [{}]\n...\n", "1,".repeat(10_000)),
            "more mistakes",
        ),
    ] {
        let found = parse(&text).unwrap_err();
        assert!(
            found.iter().any(|mistake| mistake.message.contains(expected)),
            "{expected}: {:?}",
            found[0].message
        );
    }
}

#[test]
fn no_part_of_a_lock_passes_for_the_whole() {
    let text = sample().to_text();
    for end in (0..text.trim_end().len()).filter(|end| text.is_char_boundary(*end)) {
        assert!(parse(&text[..end]).is_err(), "{}", &text[..end]);
    }
}

/// As PyYAML's `dump` writes a lock: sorted keys, other quotes, no comments, nothing behind the document.
#[test]
fn a_lock_that_a_tool_rewrote_is_still_the_lock() {
    let rewritten = "\
format: 1
sources:
- branch: main
  commit: '0202020202020202020202020202020202020202'
  environment: eks
  ref: main
  repo: https://host/a
  tree: '1212121212121212121212121212121212121212'
the-end: true
";
    let mut lock = sample();
    lock.sources = vec![lock.sources.remove(1)];
    assert_eq!(parse(rewritten), Ok(lock));
    for end in (0..rewritten.trim_end().len()).rev() {
        assert!(parse(&rewritten[..end]).is_err(), "{}", &rewritten[..end]);
    }
    let moved = rewritten
        .replace("the-end: true\n", "")
        .replace("format: 1\n", "format: 1\nthe-end: true\n");
    assert!(
        mistakes(&moved).contains("its end is missing"),
        "a key in another place does not mark the end"
    );
}

#[test]
fn a_lock_from_before_the_last_key_is_still_read() {
    let old = sample().to_text().replace("the-end: true\n", "...\n");
    assert_eq!(parse(&old), Ok(sample()));
    for end in (0..old.trim_end().len()).rev() {
        assert!(parse(&old[..end]).is_err(), "{}", &old[..end]);
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
fn what_lock_and_config_disagree_on_is_told() {
    let text = "default-environments:
- {repo: https://host/a, environment: eks, ref: dev}
- {repo: https://host/b, environment: web, version: 1.0.0}
- {repo: https://host/obs, environment: eks, version: 1.10.0}
";
    let specs = crate::config::parse(&Arc::from("dev"), &Arc::from(text), Nesting::Root).unwrap();
    let named: Vec<_> = specs.iter().map(|spec| (&spec.repo, &spec.environment)).collect();
    let lock = sample();
    let told: Vec<String> = specs
        .iter()
        .filter_map(|spec| lock.unanswered(spec))
        .chain(lock.unused(&named))
        .map(|warning| {
            let line = warning.place.map_or(0, |place| place.line_column().0);
            format!("{line} {} ({})", warning.message, warning.hints[0])
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    2 `eks` of https://host/a is asked for as `dev` and locked at `main` (020202020) (run `bitops-compose lock`, and commit the lock)
    3 `web` of https://host/b is not in the lock (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/b, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/head, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/pull, which nothing names (run `bitops-compose lock`, and commit the lock)
    0 the lock holds `eks` of https://host/object, which nothing names (run `bitops-compose lock`, and commit the lock)
    ");
}

#[test]
fn a_tag_that_was_moved_is_told_and_a_branch_is_not() {
    let mut newer = sample();
    for source in &mut newer.sources {
        source.commit = commit(9);
    }
    let lock = sample();
    let moved = lock.moved_tags(&newer);
    assert_eq!(moved.len(), 1);
    let told = moved[0].to_diagnostic();
    insta::assert_snapshot!(format!("{} ({})", told.message, told.hints[0]), @"the tag `eks/v1.10.0` of https://host/obs was moved: `eks` is locked at 010101010, the tag is at 090909090 now (ask the catalog's owner why; if it is right, accept it with `--accept-moved`)");
    // The same version under another name.
    for respelled in ["eks/1.10.0", "eks-v1.10.0", "v1.10.0"] {
        newer.sources[0].resolved = tag(respelled);
        let moved = lock.moved_tags(&newer);
        assert_eq!(moved.len(), 1, "{respelled}");
        let told = moved[0].to_diagnostic().message;
        assert!(
            told.contains(&format!("`{respelled}` is at 090909090 now")),
            "{told}"
        );
    }
    for other in ["eks/v1.11.0", "eks/v1.10.0+1", "stable"] {
        newer.sources[0].resolved = tag(other);
        assert_eq!(lock.moved_tags(&newer), [], "{other}");
    }
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

#[test]
fn outdated_tells_what_is_newer_moved_and_gone() {
    let lock = Lock {
        sources: vec![
            locked("same", version("1.0.0"), tag("1.0.0"), 1),
            locked("exact", version("1.0.0"), tag("v1.0.0"), 1),
            locked("range", version("^1.0"), tag("1.0.0"), 1),
            locked("pre", version(">=1.0.0-rc.1"), tag("1.0.0-rc.1"), 1),
            locked("moved", version("^1.0"), tag("1.0.0"), 1),
            locked("gone", version("1.0.0"), tag("1.0.0"), 1),
            locked(
                "branch",
                Requested::Ref("main".into()),
                LockedRef::Branch("main".into()),
                1,
            ),
            locked("stable", Requested::Ref("stable".into()), tag("stable"), 1),
            locked(
                "commit",
                Requested::Ref(commit(1).to_string()),
                LockedRef::Commit,
                1,
            ),
            locked("unreachable", version("1.0.0"), tag("1.0.0"), 1),
        ],
    };
    let all = [
        (
            "same",
            refs(&[("tags/1.0.0", 1), ("tags/0.9.0", 2), ("tags/2.0.0-rc.1", 3)]),
        ),
        (
            "exact",
            refs(&[("tags/v1.0.0", 1), ("tags/1.1.0", 2), ("tags/2.0.0", 3)]),
        ),
        (
            "range",
            refs(&[("tags/1.0.0", 1), ("tags/1.1.0", 2), ("tags/2.0.0", 3)]),
        ),
        (
            "pre",
            refs(&[
                ("tags/1.0.0-rc.1", 1),
                ("tags/1.0.0-rc.2", 2),
                ("tags/2.0.0-rc.1", 3),
            ]),
        ),
        ("moved", refs(&[("tags/1.0.0", 7)])),
        ("gone", refs(&[("tags/1.0.1", 1)])),
        ("branch", refs(&[("heads/main", 8), ("tags/2.0.0", 3)])),
        ("stable", refs(&[("tags/stable", 9), ("tags/2.0.0", 3)])),
        ("commit", refs(&[("tags/2.0.0", 3)])),
    ];
    let rows = outdated(&lock, |repo| {
        all.iter()
            .find(|(name, _)| repo.name() == *name)
            .map(|(_, refs)| refs)
    });
    insta::assert_snapshot!(to_table(&rows), @"
    SOURCE                   REQUESTED                                 LOCKED      IN RANGE    NEWEST      NOTE
    https://host/same eks    1.0.0                                     1.0.0       -           -
    https://host/exact eks   1.0.0                                     v1.0.0      -           2.0.0
    https://host/range eks   ^1.0                                      1.0.0       1.1.0       2.0.0
    https://host/pre eks     >=1.0.0-rc.1                              1.0.0-rc.1  1.0.0-rc.2  2.0.0-rc.1
    https://host/moved eks   ^1.0                                      1.0.0       -           -           tag moved from 010101010 to 070707070
    https://host/gone eks    1.0.0                                     1.0.0       -           1.0.1       deleted
    https://host/branch eks  main                                      main        -           -           branch went from 010101010 to 080808080
    https://host/stable eks  stable                                    stable      -           -           tag moved from 010101010 to 090909090
    https://host/commit eks  0101010101010101010101010101010101010101  010101010   -           -
    ");
    let outdated: Vec<&str> = rows
        .iter()
        .filter(|row| row.is_outdated())
        .map(|row| row.repo.name())
        .collect();
    assert_eq!(outdated, ["range", "pre", "moved", "gone", "branch", "stable"]);
    assert_eq!((rows[4].now, rows[5].now), (Now::Moved(commit(7)), Now::Deleted));
    insta::assert_snapshot!(serde_json::to_string_pretty(&to_json(&rows[2..5])).unwrap(), @r#"
    [
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": "1.1.0",
        "locked": "1.0.0",
        "newest": "2.0.0",
        "not_read": null,
        "now": "0101010101010101010101010101010101010101",
        "outdated": true,
        "repo": "https://host/range",
        "requested": "^1.0",
        "state": "unchanged"
      },
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": "1.0.0-rc.2",
        "locked": "1.0.0-rc.1",
        "newest": "2.0.0-rc.1",
        "not_read": null,
        "now": "0101010101010101010101010101010101010101",
        "outdated": true,
        "repo": "https://host/pre",
        "requested": ">=1.0.0-rc.1",
        "state": "unchanged"
      },
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": null,
        "locked": "1.0.0",
        "newest": null,
        "not_read": null,
        "now": "0707070707070707070707070707070707070707",
        "outdated": true,
        "repo": "https://host/moved",
        "requested": "^1.0",
        "state": "moved"
      }
    ]
    "#);
}

#[test]
fn outdated_reads_tags_that_are_nearly_versions_and_reports_those_that_it_does_not_read() {
    let tag = |name: &str| LockedRef::Tag(name.to_owned());
    let lock = Lock {
        sources: vec![
            locked("calendar", version("latest"), tag("2024.11.30"), 1),
            locked("java", version("^1"), tag("1.0.0"), 1),
        ],
    };
    let calendar = refs(&[("tags/2024.11.30", 1), ("tags/2025.01.15", 2)]);
    let java = refs(&[("tags/1.0.0", 1), ("tags/1.1.0.Final", 2)]);
    let rows = outdated(&lock, |repo| {
        Some(if repo.name() == "java" { &java } else { &calendar })
    });
    insta::assert_snapshot!(to_table(&rows), @"
    SOURCE                     REQUESTED  LOCKED      IN RANGE    NEWEST      NOTE
    https://host/calendar eks  latest     2024.11.30  2025.01.15  2025.01.15
    https://host/java eks      ^1         1.0.0       -           -           the higher `1.1.0.Final` is not read as a version
    ");
    assert_eq!(to_json(&rows)[1]["not_read"], "1.1.0.Final");
    assert!(!rows[1].is_outdated());
}

fn any_locked() -> impl Strategy<Value = Locked> {
    let name = "[ -~äß\u{7f}\u{85}\u{2028}\u{202e}😀]{1,12}";
    let environment = "[a-zA-Z0-9 #:'\"{}*&!%@._-]{1,8}(/[a-z]{1,4})?";
    (
        environment,
        name,
        0usize..8,
        any::<[u8; 20]>(),
        proptest::option::of(name),
        0usize..3,
    )
        .prop_filter_map("a path", |(environment, name, kind, id, signer, depth)| {
            let environment = TreePath::new(environment).ok()?;
            let commit = CommitId(ObjectId::from_bytes(id));
            let tag_object = ObjectId::from_bytes([7; 20]);
            let (requested, resolved) = match kind {
                0 => (
                    version(">=1.0 <2"),
                    LockedRef::Tag(format!("{environment}-1.2.{}", id[0])),
                ),
                1 => (version("1.10"), LockedRef::Tag(format!("{environment}/1.10"))),
                2 => (Requested::Ref(name.clone()), LockedRef::Branch(name)),
                3 => (Requested::Ref("HEAD".into()), LockedRef::Branch(name)),
                4 => (Requested::Ref("HEAD".into()), LockedRef::Other("HEAD".into())),
                5 => (
                    Requested::Ref(format!("refs/pull/{}/head", id[0])),
                    LockedRef::Other(format!("refs/pull/{}/head", id[0])),
                ),
                6 => (Requested::Ref(tag_object.to_string()), LockedRef::Commit),
                _ => (Requested::Ref(commit.to_string()), LockedRef::Commit),
            };
            let via = (0..depth)
                .map(|n| Via {
                    repo: url(&format!("via{n}")),
                    environment: environment.clone(),
                })
                .collect();
            let tree = TreeId(ObjectId::from_bytes(id));
            Some(Locked {
                repo: url("r"),
                environment,
                requested,
                resolved,
                commit,
                tag_object: (kind == 6).then_some(tag_object),
                tree,
                via,
                signer,
            })
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(mut sources in proptest::collection::vec(any_locked(), 0..5)) {
        for (n, source) in sources.iter_mut().enumerate() {
            source.repo = url(&format!("r{n}"));
        }
        let lock = Lock { sources };
        let text = lock.to_text();
        let read = parse(&text).unwrap();
        prop_assert_eq!(read.to_text(), text);
        prop_assert_eq!(read, lock);
    }
}
