//! The files that are compiled into each binary. A test in a file that no binary names would silently not run.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use regex::Regex;

use super::sources::{files, read, root};

/// The test binaries besides a crate's `tests/main.rs`, and their reasons.
const OWN_BINARY: [(&str, &str); 3] = [
    (
        "crates/compose-git/tests/fuzz.rs",
        "counts the panics of its process",
    ),
    (
        "crates/compose-git/tests/processes.rs",
        "starts itself, without the test harness",
    ),
    ("tests/containers/main.rs", "needs a container engine"),
];

/// The root files of the libraries, of the programs and of the test binaries: those that the manifests name, and those
/// that cargo finds by itself.
fn roots() -> BTreeSet<String> {
    let target = Regex::new(r#"(?m)^\[\[(?:test|bin)\]\]\n(?:[^\[\n]+\n)*?path = "([^"]+)""#).unwrap();
    let found_by_cargo = |path: &&String| {
        let parts: Vec<&str> = path.split('/').collect();
        matches!(
            parts[..],
            ["crates", _, "build.rs"]
                | ["crates", _, "src", "lib.rs" | "main.rs"]
                | ["crates", _, "examples", _]
        )
    };
    let mut roots: BTreeSet<String> = files("crates").iter().filter(found_by_cargo).cloned().collect();
    for manifest in files("crates")
        .iter()
        .filter(|path| path.ends_with("/Cargo.toml"))
    {
        let dir = root().join(manifest);
        for found in target.captures_iter(&read(manifest)) {
            let path = dir.parent().unwrap().join(&found[1]).canonicalize();
            let path = path.unwrap_or_else(|error| panic!("{manifest}: {}: {error}", &found[1]));
            roots.insert(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
        }
    }
    roots
}

/// The files that are compiled with a root file: `mod` declarations, followed as rustc does.
fn compiled(file: &str, is_root: bool, into: &mut BTreeSet<String>) {
    if !into.insert(file.to_owned()) {
        return;
    }
    static DECLARATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?m)^(?:#\[path = "([^"]+)"\]\n)?(?:pub(?:\([^)]*\))? )?mod (\w+);"#).unwrap()
    });
    let path = Path::new(file);
    let dir = path.parent().unwrap();
    let below = if is_root || path.ends_with("mod.rs") {
        dir.to_owned()
    } else {
        path.with_extension("")
    };
    for found in DECLARATION.captures_iter(&read(file)) {
        let name = &found[2];
        let candidates = match found.get(1) {
            Some(named) => vec![dir.join(named.as_str())],
            None => vec![below.join(format!("{name}.rs")), below.join(name).join("mod.rs")],
        };
        let found = candidates
            .iter()
            .find_map(|path| root().join(path).canonicalize().ok());
        let found = found.unwrap_or_else(|| panic!("{file}: no file of `mod {name}`"));
        let found = found.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        compiled(&found, false, into);
    }
}

#[test]
fn no_test_is_forgotten() {
    let mut seen = BTreeSet::new();
    for file in roots() {
        compiled(&file, true, &mut seen);
    }
    // Tests beside the code and the code itself, too: a file that no `mod` names is compiled into nothing.
    let forgotten: Vec<_> = files("crates")
        .into_iter()
        .chain(files("tests"))
        .filter(|path| path.ends_with(".rs") && !seen.contains(path))
        .collect();
    assert!(forgotten.is_empty(), "no binary names {forgotten:?}");
    for path in [
        "tests/lock/updates.rs",
        "tests/common/mod.rs",
        "crates/compose-plan/src/lock/tests/refs.rs",
    ] {
        assert!(seen.contains(path), "{path} was moved: name another file here");
    }
}

#[test]
fn a_crate_has_one_test_binary_but_for_stated_reasons() {
    for file in roots() {
        let is_tests = file.starts_with("tests/") || file.contains("/tests/");
        let is_main = file == "tests/main.rs" || file.ends_with("/tests/main.rs");
        let is_program = file.contains("/tests/programs/");
        let is_own = OWN_BINARY.iter().any(|(own, _)| *own == file);
        assert!(
            !is_tests || is_main || is_program || is_own,
            "{file} is a binary of its own: see CONTRIBUTING.md"
        );
    }
    for (own, why) in OWN_BINARY {
        assert!(roots().contains(own), "{own} ({why}) is no binary any more");
    }
}

/// If cargo looked for tests by itself, every file would become a binary.
#[test]
fn no_crate_has_its_test_binaries_guessed() {
    for manifest in files("crates")
        .iter()
        .filter(|path| path.ends_with("/Cargo.toml"))
    {
        let dir = manifest.trim_end_matches("Cargo.toml");
        if root().join(dir).join("tests").exists() {
            assert!(read(manifest).contains("\nautotests = false\n"), "{manifest}");
        }
    }
}

/// A snapshot without a module is left over from a renamed test or file.
#[test]
fn every_snapshot_belongs_to_a_module() {
    for path in files("").iter().filter(|path| path.ends_with(".snap")) {
        let (dir, name) = path.rsplit_once("/snapshots/").unwrap();
        let source = read(path);
        let source = source
            .lines()
            .find_map(|line| line.strip_prefix("source: "))
            .expect("insta's head")
            // The program's tests are outside of its package.
            .trim_start_matches("crates/bitops-compose/../../");
        let source_dir = Path::new(source).parent().unwrap();
        assert!(root().join(source).is_file(), "{path}: {source} is gone");
        assert_eq!(source_dir, Path::new(dir), "{path} is not beside its test");
        let module = Path::new(source).with_extension("");
        let module = module.file_name().unwrap().to_str().unwrap();
        let module = if module == "mod" {
            source_dir.file_name().unwrap().to_str().unwrap()
        } else {
            module
        };
        assert!(
            name.contains(&format!("__{module}__")),
            "{path} is none of {source}"
        );
    }
}
