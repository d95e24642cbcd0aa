//! The program that demonstrations and benchmarks start.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use compose_testkit::{example, git};

#[test]
fn the_examples_are_built_and_served() {
    let root = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_catalog-server"))
        .args(["--latency-ms", "1", "--build-examples"])
        .arg(root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let config = example::config("six-sources", address.trim());
    let urls: std::collections::BTreeSet<&str> = config
        .lines()
        .filter_map(|line| line.strip_prefix("- repo: "))
        .collect();
    assert_eq!(urls.len(), 5);
    for url in urls {
        let tags = git::run(root.path(), ["ls-remote", "--tags", url]);
        assert!(tags.contains("\trefs/tags/1.0."), "{url}: {tags}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_directory_to_serve_is_required() {
    let output = Command::new(env!("CARGO_BIN_EXE_catalog-server"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
