//! Every parser of foreign text, with valid texts that are damaged at random: no parser panics or
//! hangs, and an accepted text means the same when it is written and read again.
//!
//! See `compose_testkit::fuzz` for longer runs and other seeds.

use std::sync::Arc;

use compose_model::{Nesting, RepoUrl, TreePath};
use compose_plan::{config, lock::Lock};
use compose_testkit::fuzz;

fn feed(seeds: &[&str], read: impl Fn(&[u8], &[u8])) {
    fuzz::feed(1500, seeds, fuzz::PIECES, read);
}

const CONFIGS: &[&str] = &[
    "# c\nbitops:\n  fail_fast: true\ndefault-environments:\n- repo: https://github.com/org/kubernetes\n  environment: eks\n  version: 1.0.0\n  include: [terraform/**]\n  exclude:\n  - '*.md'\n  as: one\n  shared: [_scripts]\n  default-folder: _default\n  on-conflict: first\n  hooks: false\n- {repo: 'git@host:x/y', environment: a/b, ref: main}\n",
    "default-environments:\n- &a {repo: &r file:///srv/c, environment: e, version: '^1.2'}\n- {<<: *a, environment: f, repo: *r}\n",
    "bitops: {default-environments: [{repo: /srv/x, environment: e, version: \">=1.0, <2\", verify: {mode: both, keys: k}}]}\r\n",
];

#[test]
fn configs() {
    let file: Arc<str> = "dev/bitops.config.yaml".into();
    for good in CONFIGS {
        assert!(
            config::parse(&file, &(*good).into(), Nesting::Root).is_ok(),
            "{good}"
        );
    }
    feed(CONFIGS, |text, _| {
        let text: Arc<str> = String::from_utf8_lossy(text).into();
        for nesting in [Nesting::Root, Nesting::Nested] {
            match config::parse(&file, &text, nesting) {
                // An accepted source cannot start a program or lead out of a directory.
                Ok(sources) => sources.iter().for_each(|source| {
                    assert!(!source.repo.as_str().starts_with('-'));
                    assert!(
                        !source
                            .environment
                            .components()
                            .any(|part| part == ".." || part.is_empty())
                    );
                }),
                Err(mistakes) => mistakes.iter().for_each(|mistake| {
                    let place = mistake.place.as_ref().expect("a mistake has a place");
                    assert!(text.get(place.span.clone()).is_some(), "{mistake:?}");
                    assert!(!mistake.message.contains('\u{1b}'));
                }),
            }
        }
    });
}

#[test]
fn locks() {
    let lock = "# Which commits\nformat: 1\nsources:\n- repo: https://host/obs\n  environment: eks\n  version: \"^1.10\"\n  \
                tag: \"eks/v1.10.0\"\n  commit: \"0101010101010101010101010101010101010101\"\n  \
                tree: \"1111111111111111111111111111111111111111\"\n  signer: \"SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n  via:\n  - repo: https://host/a\n    \
                environment: stacks/eks\n- repo: https://host/a\n  environment: eks\n  ref: \"main\"\n  branch: \"main\"\n  \
                commit: \"0202020202020202020202020202020202020202\"\n  tree: \"1212121212121212121212121212121212121212\"\n...\n";
    let file: Arc<str> = "dev/bitops.lock.yaml".into();
    assert!(
        Lock::parse(&file, &lock.into()).is_ok(),
        "the damage starts from a good one"
    );
    feed(&[lock, CONFIGS[0]], |text, _| {
        let text: Arc<str> = String::from_utf8_lossy(text).into();
        if let Ok(lock) = Lock::parse(&file, &text) {
            let again: Arc<str> = lock.to_text().into();
            assert_eq!(Lock::parse(&file, &again).as_ref(), Ok(&lock), "{again}");
        }
    });
}

#[test]
fn addresses_and_paths() {
    let seeds = [
        "https://github.com/org/repo.git",
        "ssh://git@host:22/org/repo",
        "git@host:org/repo",
        "file:///srv/catalogs/x",
        "/srv/a b/x",
        "stacks/eks",
    ];
    feed(&seeds, |text, _| {
        let text = String::from_utf8_lossy(text);
        if let Ok(url) = RepoUrl::parse(&text) {
            let again = RepoUrl::parse(url.as_str()).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(again.key(), url.key());
            let host = url.host().unwrap_or_default();
            assert!(
                !host.starts_with('-') && !host.contains(['@', '\\', '%', '\n', '\0']),
                "{host}"
            );
        }
        if let Ok(path) = TreePath::new(text.as_ref()) {
            assert!(!path.as_str().starts_with('/'));
            assert!(path.components().all(|part| !["", ".", ".."].contains(&part)));
        }
    });
}
