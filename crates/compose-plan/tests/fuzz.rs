//! Every parser of text that others wrote, with texts that start from good ones and are damaged at random: none panics, none
//! hangs, and what is taken means the same when it is read again.
//!
//! Deterministic. `BITOPS_COMPOSE_TEST_ROUNDS=1000000 cargo test --release -p compose-plan --test fuzz` looks for longer, from
//! another place each time that `BITOPS_COMPOSE_TEST_SEED` says so.

use std::sync::Arc;

use compose_model::{Nesting, RepoUrl, TreePath};
use compose_plan::{
    config,
    lock::Lock,
    merge::{Class, Contribution, Input, Precedence, class, definitions},
    verify::Keys,
};

/// What parsers trip over.
const PIECES: &[&str] = &[
    "\0",
    "\u{feff}",
    "\r",
    "\t",
    "\n",
    "\n\n",
    "  ",
    ": ",
    "- ",
    "? ",
    "#",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!Ref ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "%",
    "@",
    "`",
    "---\n",
    "...\n",
    "~",
    "null",
    "1_000",
    "0x1",
    "12:30",
    ".inf",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{1f600}",
    "e\u{301}",
    "<<EOF\n",
    "EOF\n",
    "${",
    "}",
    "=",
    "/*",
    "*/",
    "//",
    "://",
    "..",
    "/",
    "^",
    "~1",
    "18446744073709551616",
    "-oProxyCommand=x",
    "ext::",
    "%0a",
    "default-environments:\n",
];

fn feed(seeds: &[&str], read: impl Fn(&[u8], &[u8])) {
    compose_testkit::fuzz::feed(1500, seeds, PIECES, read);
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
                // What is taken can be reached by no program and leads out of no directory.
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
                tree: \"1111111111111111111111111111111111111111\"\n  signer: \"SHA256:abc\"\n  via:\n  - repo: https://host/a\n    \
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
fn merges() {
    let seeds = [
        "a: 1\nb:\n  c: [1, 2]\n  d: &x {e: yes, f: 012}\ng: *x\nh: |\n  text\n  more\ni: \"q\\n\" # note\n",
        "Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n    Name: !Sub '${A}-b'\n? complex\n: value\n",
        "{\"a\": {\"b\": [1, 2.50, null]}, \"c\": \"\\u00e9\"}\n",
        "r\u{e9}gion = \"\u{e9}\" /* \u{e9} */\n",
        "region = \"eu\" # note\ntags = {\n  a = \"b\"\n}\nlist = [1, 2]\ntext = <<EOF\nx ${y}\nEOF\n",
        "resource \"aws_s3_bucket\" \"b\" {\n  name = var.x\n}\nvariable \"x\" {}\noutput \"y\" { value = 1 }\n",
        "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.0.0\"\n  hashes = [\"h1:x=\"]\n}\n",
    ];
    let paths = [
        "dev/bitops.config.yaml",
        "dev/helm/x/values.yaml",
        "dev/x.json",
        "dev/terraform/terraform.tfvars",
        "dev/terraform/.terraform.lock.hcl",
    ]
    .map(|path| TreePath::new(path).unwrap());
    let places =
        ["dev/terraform/main.tf", "dev/terraform/main.tf.json"].map(|path| TreePath::new(path).unwrap());
    feed(&seeds, |one, two| {
        for path in &paths {
            let Class::Merge(merger) = class(path) else {
                continue;
            };
            let contributions = [one, two].map(|bytes| Contribution { bytes });
            for precedence in [Precedence::HigherWins, Precedence::Conflict] {
                let merged = merger.merge(&Input {
                    path,
                    contributions: &contributions,
                    precedence: &move |_, _| precedence,
                });
                // What was written can be read: merging it with itself changes nothing.
                let Some(merged) = merged.ok().filter(|merged| merged.conflicts.is_empty()) else {
                    continue;
                };
                let same = [&merged.bytes, &merged.bytes].map(|bytes| Contribution { bytes });
                let again = merger.merge(&Input {
                    path,
                    contributions: &same,
                    precedence: &|_, _| Precedence::HigherWins,
                });
                assert!(
                    again.is_ok(),
                    "{path}: {}: {:?}",
                    String::from_utf8_lossy(&merged.bytes),
                    again.err()
                );
            }
        }
        for path in &places {
            let _ = definitions(path, one);
        }
    });
}

#[test]
fn keys_addresses_and_paths() {
    let keys = "# keys\nada@example.org,*@b namespaces=\"git\",valid-after=\"20200101\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti a\n";
    assert!(Keys::parse("allowed_signers", keys.as_bytes()).is_ok());
    feed(&[keys], |text, _| {
        let _ = Keys::parse("allowed_signers", text);
    });
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
