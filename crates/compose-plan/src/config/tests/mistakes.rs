//! Mistakes in the list of sources, and how they are reported.

use std::sync::Arc;

use compose_model::{Nesting, Requested};

use super::{entry, mistakes, parse, render, specs};
use crate::config;

#[test]
fn all_mistakes_at_once_each_with_its_place_and_remedy() {
    let text = "default-environments:
- repo: https://host/a
  enviroment: eks
  version: 1.0.0
- {environment: /etc, version: main, ref: x}
- repo: ext::sh
  environment: ../../x
- repo: [https://host/b]
  environment: {a: b}
  version:
- text
- repo: https://host/c
  environment: c
  version: 1.0.0
  on-conflict: lastt
  hooks: 1
  as: a/b
  shared: [a/b, ok, ok, ../x]
  include: '*.tf'
  exclude: ['a[', '#x', 'b{', ok]
  default-folder: .
  verify: {mod: commit}
";
    insta::assert_snapshot!(mistakes(text), @"
    3:3 «enviroment» unknown key `enviroment` in a source
        (did you mean `environment`?)
    5:4 «environment: /etc» a source has no `repo`
        (for example `repo: https://github.com/bitops-operations-repos/kubernetes`)
    5:4 «environment: /etc» a source has both `version` and `ref`
        (keep `version` for a release, or `ref` for a branch, a tag, a commit or another ref)
    5:17 «/etc» `environment` is not a directory of the repo: the path is absolute
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    6:3 «repo: ext::sh» a source has neither `version` nor `ref`
        (add `version: 1.0.0` (a release), or `ref: main` (a branch, a tag or a full commit id))
    6:9 «ext::sh» `repo` is not usable: the scheme is not one of https://, http://, ssh://, user@host:path, file:// or an absolute path
        (for example https://github.com/ORG/REPO or git@github.com:ORG/REPO)
    7:16 «../../x» `environment` is not a directory of the repo: `.` and `..` are not allowed in the path
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    8:9 «[https://host/b]» `repo` must be text, not a list
    9:16 «{a: b}» `environment` must be text, not a mapping
    10:11 «» `version` has no value
    11:3 «text» a source must be a mapping, not text
        (write keys and values, such as `repo: …`, `environment: …`)
    15:16 «lastt» `on-conflict` cannot be `lastt`
        (it is one of `error`, `first`, `last`)
    16:10 «1» `hooks` is neither `true` nor `false`
    17:7 «a/b» `as` is not a name that a directory could have
        (letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`; at most 100)
    18:12 «a/b» `shared` takes top-level directories only
        (write `a`, or leave it out)
    18:21 «ok» `ok` stands twice in `shared`
        (keep one of the two)
    18:25 «../x» `shared` names no directory of the repo: `.` and `..` are not allowed in the path
        (write the directory's name, such as `_scripts`)
    19:12 «'*.tf'» `include` must be a list, not text
        (write a list: `include: [terraform/]`)
    20:13 «'a['» `a[` in `exclude` is not a glob: unclosed character class; missing ']'
        (globs are those of .gitignore: `*.md`, `/docs/`, `**/test_*`)
    20:19 «'#x'» `#x` in `exclude` matches nothing
    20:25 «'b{'» `b{` in `exclude` is not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)
        (globs are those of .gitignore: `*.md`, `/docs/`, `**/test_*`)
    21:19 «.» `default-folder` is not a directory of the repo: `.` and `..` are not allowed in the path
        (write it from the repo's root, such as `eks` or `stacks/eks`)
    22:12 «mod» unknown key `mod` in `verify`
        (did you mean `mode`?)
    ");
}

#[test]
fn refs_that_git_or_we_cannot_take() {
    for name in [
        "FETCH_HEAD",
        "refs/",
        "refs/pull//head",
        "'refs/pull/*/head'",
        "refs/pull/../head",
        "a b",
        "a..b",
        "'-x'",
        "a~1",
        "'@{u}'",
        "a//b",
        "x.lock",
        "'*'",
        "\"a\\e\"",
    ] {
        let found = mistakes(&entry(&format!("ref: {name}")));
        assert!(found.contains("`ref` is not usable"), "{name}: {found}");
        assert!(!found.contains('\u{1b}'));
    }
    for name in [
        "main",
        "feature/x",
        "refs/heads/x",
        "refs/tags/v1",
        "refs/pull/7/head",
        "refs/pull/7/merge",
        "refs/merge-requests/3/head",
        "refs/changes/34/1234/1",
        "HEAD",
        "123",
        "0123456789abcdef0123456789abcdef01234567",
    ] {
        assert_eq!(
            specs(&entry(&format!("ref: {name}")))[0].requested,
            Requested::Ref(name.into())
        );
    }
}

#[test]
fn no_report_can_show_a_secret() {
    for url in [
        "https://u:s3cr3t@host/r",
        "https://ghp_s3cr3t@host/r",
        "https://u:s3/cr3t@host/r",
        "ssh://u:s3cr3t@host/r",
    ] {
        let text = format!("default-environments:\n- repo: {url} # {url}\n  environment: 1\n  versio: 1\n");
        let found = parse(&text).unwrap_err();
        assert!(found.len() >= 3, "{found:?}");
        assert!(!format!("{found:?}").contains("cr3t"), "{found:?}");
    }
    let text = entry("version: 1.0.0") + "other: https://u:s3cr3t@host/r\n";
    assert!(!format!("{:?}", specs(&text)).contains("s3cr3t"));
    insta::assert_snapshot!(mistakes("default-environments: [{repo: 'https://u:pw@host/r', environment: e, version: 1.0.0}]"), @"
    1:31 «'https://****@host/r'» `repo` is not usable: the address contains a password
        (remove and rotate it; set BITOPS_COMPOSE_TOKEN_<HOST>, or use a git credential helper or ~/.netrc)
    ");
}

#[test]
fn a_sources_own_config_reaches_nothing_local_and_chooses_no_keys() {
    let text = "default-environments:
- {repo: /etc, environment: e, version: 1.0.0}
- {repo: file:///srv/x, environment: e, version: 1.0.0}
- {repo: https://host/r, environment: e, version: 1.0.0, verify: {mode: tag, keys: mine}}
- {repo: https://host/r, environment: f, version: 1.0.0, verify: {mode: tag}}
";
    assert_eq!(specs(text).len(), 4);
    let nested = config::parse(
        &Arc::from("host/r @ 1.0.0 : e/bitops.config.yaml"),
        &Arc::from(text),
        Nesting::Nested,
    );
    insta::assert_snapshot!(render(&nested.unwrap_err()), @"
    2:10 «/etc» a source's own config cannot name a local path as `repo`
        (local paths are for the config of the run itself; name a repo that can be reached by URL)
    3:10 «file:///srv/x» a source's own config cannot name a local path as `repo`
        (local paths are for the config of the run itself; name a repo that can be reached by URL)
    4:84 «mine» a source's own config cannot choose the keys it is verified with
        (keys come from the one who deploys: from the image, a mount or BITOPS_COMPOSE_VERIFY_KEYS)
    ");
}

#[test]
fn one_list_each_source_once() {
    let entry = "{repo: https://host/r, environment: e, version: 1.0.0}";
    insta::assert_snapshot!(mistakes(&format!("default-environments: [{entry}]\nbitops:\n  default-environments: []\n")), @"
    3:3 «default-environments» `default-environments` stands twice, first on line 1
        (keep one list, at the root or under `bitops`)
    ");
    insta::assert_snapshot!(mistakes(&format!("default-environments: [{entry}]\ndefault-environments: []\n")), @"
    2:1 «default-environments» `default-environments` stands twice, first on line 1
        (keep one list, at the root or under `bitops`)
    ");
    let other = format!("default-environments: [{entry}]\nterraform:\n  default-environments: []\n");
    insta::assert_snapshot!(mistakes(&other), @"
    3:3 «default-environments» `default-environments` has no effect here
        (put it at the root of the file, or directly under `bitops:`)
    ");
    insta::assert_snapshot!(mistakes(&format!("bitops:\n  plugins:\n    default-environments: [{entry}]\n")), @"
    3:5 «default-environments» `default-environments` has no effect here
        (put it at the root of the file, or directly under `bitops:`)
    ");
    insta::assert_snapshot!(mistakes(&format!("- default-environments: [{entry}]\n")), @"
    1:3 «default-environments» `default-environments` has no effect here
        (put it at the root of the file, or directly under `bitops:`)
    ");
    insta::assert_snapshot!(mistakes(&format!("default-environments: {entry}\n")), @"
    1:1 «default-environments» `default-environments` must be a list, not a mapping
        (each source begins with `- repo: …`)
    ");
    insta::assert_snapshot!(mistakes(
        "default-environments:
- {repo: https://host/r, environment: e, version: 1.0.0}
- {repo: https://HOST/r.git, environment: e/, version: 1.0.0, as: other}
- {repo: https://host/r, environment: f, version: 1.0.0}
- {repo: https://host/r, environment: f, version: ^1}
"), @"
    3:4 «repo: https://HOST/r.git» `e` of https://HOST/r.git is named twice, first on line 2
        (an environment of a repo is composed once, whatever its `as`: remove one of the two)
    5:4 «repo: https://host/r» `f` of https://host/r is named twice, as `1.0.0` on line 4 and as `^1` here
        (an environment of a repo is composed once: choose one of the two)
    ");
    insta::assert_snapshot!(mistakes(&entry.replace("version", "repo: https://host/s, version").replacen('{', "default-environments: [{", 1).replace('}', "}]")), @"
    1:63 «repo» `repo` stands twice in a source, first on line 1
        (keep one of the two)
    ");
}

#[test]
fn globs_that_are_too_large_together_are_a_mistake_of_their_list() {
    let glob = |number: usize| format!("- '**/{number}/*{}'\n", "x?*".repeat(100));
    let globs: String = (0..500).map(glob).collect();
    for key in ["include", "exclude"] {
        let found = parse(&entry(&format!("version: 1.0.0\n{key}:\n{globs}"))).unwrap_err();
        let [found] = &found[..] else { panic!("{found:?}") };
        let message = "the globs of the config have more than 65536 bytes in all";
        let hint = "match the same files by fewer or shorter globs, such as their directory";
        assert_eq!(
            (&*found.message, &*found.hints),
            (message, &[hint.to_owned()][..])
        );
        // The first glob for which there is no room.
        assert_eq!(found.place.as_ref().unwrap().line_column(), (219, 5));
    }
}

#[test]
fn addresses_that_are_not_a_repos_are_turned_into_keys() {
    for (address, meant) in [
        ("o/r", "write `repo: https://github.com/o/r`"),
        ("github.com/o/r", "write `repo: https://github.com/o/r`"),
        (
            "gitlab.example.com/group/sub/r",
            "write `repo: https://gitlab.example.com/group/sub/r`",
        ),
        (
            "https://github.com/o/r/tree/main/stacks/eks",
            "write `repo: https://github.com/o/r`, `environment: stacks/eks`, `ref: main`",
        ),
        (
            "https://gitlab.example.com/g/s/r/-/tree/v1.2.0/eks",
            "write `repo: https://gitlab.example.com/g/s/r`, `environment: eks`, `version: v1.2.0`",
        ),
        (
            "git::https://host/o/r.git//eks?ref=v1.0.0",
            "write `repo: https://host/o/r.git`, `environment: eks`, `version: v1.0.0`",
        ),
    ] {
        let entry =
            format!("default-environments:\n- {{repo: '{address}', environment: e, version: 1.0.0}}\n");
        let found = mistakes(&entry);
        assert!(found.ends_with(&format!("({meant})")), "{address}\n{found}");
    }
    // The hint has nothing of an address with a password, and a path that only resembles a page is a repo.
    let found =
        mistakes("default-environments:\n- {repo: 'git::https://u:hunter2@h/o/r', environment: e, ref: x}\n");
    assert!(!found.contains("hunter2"), "{found}");
    specs("default-environments:\n- {repo: 'https://git.example.com/team/src/r', environment: e, ref: x}\n");
}

#[test]
fn operators_of_programming_languages_are_recognised() {
    for (version, meant) in [
        ("==1.0.0", "did you mean `1.0.0`?"),
        ("'=> 1.0'", "did you mean `>= 1.0`?"),
        ("'≥1.2, =<2'", "did you mean `>=1.2, <=2`?"),
        ("Latest", "did you mean `latest`?"),
        ("V1.X", "did you mean `v1.x`?"),
    ] {
        let found = mistakes(&entry(&format!("version: {version}")));
        assert!(found.ends_with(&format!("({meant})")), "{version}\n{found}");
    }
    let found = mistakes(&entry("version: '==main'"));
    assert!(found.ends_with("any other tag)"), "{found}");
}
