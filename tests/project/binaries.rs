//! The files that are compiled into each test binary. A file that no binary names would silently not be tested.

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

/// The root files of the test binaries and of the programs for tests, as the manifests name them.
fn roots() -> BTreeSet<String> {
    let target = Regex::new(r#"(?m)^\[\[(?:test|bin)\]\]\n(?:[^\[\n]+\n)*?path = "([^"]+)""#).unwrap();
    let mut roots = BTreeSet::new();
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
    let is_test = |path: &String| {
        path.ends_with(".rs")
            && (path.starts_with("tests/") || path.starts_with("crates/") && path.contains("/tests/"))
    };
    // Below `src` the compiler's own rules hold, and a `tests` there is a module of the crate.
    let all = files("crates").into_iter().chain(files("tests"));
    let forgotten: Vec<_> = all
        .filter(|path| is_test(path) && !path.contains("/src/") && !seen.contains(path))
        .collect();
    assert!(forgotten.is_empty(), "no test binary names {forgotten:?}");
    assert!(seen.contains("tests/lock/updates.rs") && seen.contains("tests/common/mod.rs"));
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
