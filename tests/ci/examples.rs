//! The example files for other tools pass those tools' own checkers: docs/examples/ci/README.md.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{project, tools};

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(project().join("docs/examples/ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// The vendored schema for a file.
fn schema(name: &str) -> Option<&'static str> {
    match name {
        "gitlab-ci.yml" => Some("vendor.gitlab-ci"),
        "circleci.yml" => Some("vendor.circle-ci"),
        "compose.yaml" => Some("vendor.compose-spec"),
        "action.yml" => Some("vendor.github-actions"),
        "default.json" => Some("vendor.renovate"),
        _ if name.starts_with("github-") || name == "update.yml" || name == "release.yml" => {
            Some("vendor.github-workflows")
        }
        _ => None,
    }
}

#[test]
fn every_example_has_a_checker_or_a_reason() {
    let readme = fs::read_to_string(project().join("docs/examples/ci/README.md")).unwrap();
    for file in examples() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let shown = ["github-", "kubernetes-"]
            .into_iter()
            .find(|prefix| name.starts_with(prefix))
            .map_or(format!("`{name}`"), |prefix| format!("`{prefix}*"));
        assert!(
            name == "README.md" || readme.contains(&shown),
            "{name} is not in the README"
        );
        let checked = schema(name).is_some() || name.starts_with("kubernetes-");
        assert!(
            checked || ["README.md", "Jenkinsfile"].contains(&name),
            "{name} has no checker"
        );
    }
}

#[test]
fn files_are_what_their_schemas_say() {
    let Some(program) = tools::find("check-jsonschema") else {
        return;
    };
    let own = [
        "action.yml",
        "setup/action.yml",
        "default.json",
        ".github/workflows/update.yml",
        ".github/workflows/release.yml",
    ];
    let own = own.iter().map(|file| project().join(file));
    let mut checked = 0;
    for file in examples().into_iter().chain(own) {
        if let Some(schema) = schema(file.file_name().unwrap().to_str().unwrap()) {
            tools::expect(
                Command::new(&program)
                    .args(["--builtin-schema", schema])
                    .arg(file),
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 13);
}

#[test]
fn kubernetes_takes_its_examples() {
    let Some(program) = tools::find("kubernetes-validate") else {
        return;
    };
    let files = examples()
        .into_iter()
        .filter(|file| file.to_string_lossy().contains("kubernetes-"));
    tools::expect(Command::new(program).arg("--strict").args(files));
}

#[test]
fn docker_compose_takes_its_example() {
    let Some(program) = tools::find("docker-compose") else {
        return;
    };
    let file = project().join("docs/examples/ci/compose.yaml");
    tools::expect(
        Command::new(program)
            .arg("--file")
            .arg(file)
            .args(["config", "--quiet"]),
    );
}
