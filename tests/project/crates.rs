//! What depends on what, and how each crate begins.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    markdown::Document,
    sources::{files, read, root},
};

/// The names of the crates, and of those each depends on: in the product and in tests.
struct Crate {
    product: BTreeSet<String>,
    tests: BTreeSet<String>,
}

fn crates() -> BTreeMap<String, Crate> {
    let mut crates = BTreeMap::new();
    for manifest in files("crates")
        .iter()
        .filter(|path| path.ends_with("/Cargo.toml"))
    {
        let name = manifest.split('/').nth(1).unwrap();
        let of = |section: &str| {
            let text = read(manifest);
            let Some((_, rest)) = text.split_once(&format!("\n[{section}]\n")) else {
                return BTreeSet::new();
            };
            let lines = rest.lines().take_while(|line| !line.starts_with('['));
            let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
            names
                .filter(|name| name.starts_with("compose-"))
                .map(ToOwned::to_owned)
                .collect()
        };
        let found = Crate {
            product: of("dependencies"),
            tests: of("dev-dependencies"),
        };
        crates.insert(name.to_owned(), found);
    }
    crates
}

/// Returns the words in backticks.
fn names(cell: &str) -> Vec<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words
        .map(|word| {
            if word.contains('-') {
                word.to_owned()
            } else {
                format!("compose-{word}")
            }
        })
        .collect()
}

/// A crate may only use crates above its row, so there cannot be a circle.
#[test]
fn the_crates_depend_on_each_other_as_the_architecture_says() {
    let crates = crates();
    let rows = Document::read("ARCHITECTURE.md").table("crate");
    let mut above: Vec<String> = Vec::new();
    for row in &rows {
        let name = names(&row[0]).remove(0);
        let found = crates
            .get(&name)
            .unwrap_or_else(|| panic!("there is no crate {name}"));
        let may: BTreeSet<String> = if row[1] == "all above" {
            above.iter().cloned().collect()
        } else {
            names(&row[1]).into_iter().collect()
        };
        for used in &may {
            assert!(
                above.contains(used),
                "{name} may use {used}, which is not above it"
            );
        }
        if row[1] != "all above" {
            assert_eq!(
                found.product, may,
                "{name}: ARCHITECTURE.md and Cargo.toml differ"
            );
        }
        assert!(found.product.is_subset(&may), "{name} uses {:?}", found.product);
        above.push(name);
    }
    let listed: BTreeSet<&String> = above.iter().collect();
    assert_eq!(listed, crates.keys().collect(), "the table has every crate once");
    assert_eq!(listed.len(), above.len(), "the table has every crate once");
}

/// Every crate's tests use the test kit, so it cannot depend on any of them.
#[test]
fn tests_need_no_other_crate_than_the_kit() {
    for (name, found) in crates() {
        let kit = BTreeSet::from(["compose-testkit".to_owned()]);
        assert!(found.tests.is_subset(&kit), "{name}: {:?}", found.tests);
    }
}

#[test]
fn one_crate_knows_gix() {
    for manifest in files("crates")
        .iter()
        .filter(|path| path.ends_with("/Cargo.toml"))
    {
        assert!(
            manifest.contains("/compose-git/") || !read(manifest).contains("\ngix"),
            "{manifest}"
        );
    }
}

/// What the crate is for, and how it is used: an example that runs, or for a program the words that run it.
#[test]
fn every_crate_begins_with_what_it_is_for_and_an_example() {
    for name in crates().keys() {
        let dir = format!("crates/{name}");
        let main = ["src/lib.rs", "src/main.rs"].map(|file| format!("{dir}/{file}"));
        let main = main.iter().find(|file| root().join(file).is_file()).unwrap();
        let text = read(main);
        let doc: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(doc.len() > 2, "{main} has no doc comment");
        assert!(
            doc[0].ends_with(['.', ':', ',']) || doc[1].len() > 3,
            "{main}: {}",
            doc[0]
        );
        let example = doc.iter().any(|line| line.starts_with("//! ```"));
        let is_program = main.ends_with("main.rs");
        let runs = doc
            .iter()
            .any(|line| *line == "//! ```" || line.starts_with("//! ```no_run"));
        assert!(example, "{main} has no example");
        assert!(runs || is_program, "{main} has no example that is compiled");
        assert!(
            !read(&format!("{dir}/Cargo.toml")).contains("doctest = false"),
            "{dir}"
        );
    }
}
