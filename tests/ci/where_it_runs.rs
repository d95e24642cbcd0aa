//! docs/where-it-runs.md: each row names the test that holds it.

use std::fs;

use super::project;

#[test]
fn every_row_names_a_test_that_exists() {
    let page = fs::read_to_string(project().join("docs/where-it-runs.md")).unwrap();
    let mut rows = 0;
    let mut missing = Vec::new();
    for row in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| way "))
    {
        let cited: Vec<(&str, &str)> = row
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(|code| code.split_once("::"))
            .collect();
        assert!(!cited.is_empty(), "no test is named: {row}");
        for (module, test) in cited {
            let file = project().join(format!("tests/containers/{module}.rs"));
            let text = fs::read_to_string(&file).unwrap_or_default();
            // A row for podman runs in each engine.
            let takes = if row.starts_with("| podman |") {
                "engine: Engine"
            } else {
                ""
            };
            if !text.contains(&format!("\nfn {test}({takes}")) {
                missing.push(format!("{module}::{test}"));
            }
        }
        rows += 1;
    }
    assert!(rows >= 12, "{rows} rows");
    assert_eq!(
        missing, [""; 0],
        "tests that the page names and that do not exist"
    );
}

#[test]
fn every_example_is_in_the_table() {
    let page = fs::read_to_string(project().join("docs/where-it-runs.md")).unwrap();
    for entry in fs::read_dir(project().join("docs/examples/ci")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || page.contains(&format!("examples/ci/{name}")),
            "{name}"
        );
    }
}
