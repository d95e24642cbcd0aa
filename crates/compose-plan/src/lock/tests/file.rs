//! The text of a lock: how it is written, and which texts are read.

use proptest::prelude::*;

use super::{commit, mistakes, parse, sample, tag, url, version};
use crate::lock::{Lock, Locked, LockedRef, Via};
use compose_model::{CommitId, ObjectId, Requested, TreeId, TreePath};

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
      signer: "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
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
fn an_incomplete_or_edited_lock_is_reported_with_its_place() {
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
    let mistakes_with = |from: &str, to: &str| mistakes(&text.replace(from, to));
    insta::assert_snapshot!(mistakes_with("tag: \"eks/v1.10.0\"", "tag: \"eks/v2.0.0\""), @"6 «repo: https://host/obs» the lock is not usable: `eks/v2.0.0` is not what `^1.10` asks for (…)");
    insta::assert_snapshot!(mistakes_with("tag: \"eks/v1.10.0\"", "branch: \"main\\e[31m\""), @r"6 «repo: https://host/obs» the lock is not usable: `main\u{1b}[31m` is not what `^1.10` asks for (…)");
    insta::assert_snapshot!(mistakes_with("branch: \"main\"", "branch: \"dev\""), @"16 «repo: https://host/a» the lock is not usable: `dev` is not what `main` asks for (…)");
    insta::assert_snapshot!(mistakes_with("version: \"^1.10\"", "version: 1.9.0"), @"6 «repo: https://host/obs» the lock is not usable: `eks/v1.10.0` is not what `1.9.0` asks for (…)");
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
fn hostile_locks_are_refused_with_a_message() {
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

fn any_locked() -> impl Strategy<Value = Locked> {
    let name = "[ -~äß\u{7f}\u{85}\u{2028}\u{202e}😀]{1,12}";
    let environment = "[a-zA-Z0-9 #:'\"{}*&!%@._-]{1,8}(/[a-z]{1,4})?";
    (
        environment,
        name,
        0usize..8,
        any::<[u8; 20]>(),
        proptest::option::of("SHA256:[a-zA-Z0-9+/]{43}|[0-9A-F]{40}"),
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
