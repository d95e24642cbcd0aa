//! Configs that are right, and the schema.

use compose_model::{OnConflict, Requested, VerifyMode, VersionRequest};

use super::specs;
use crate::config;

#[test]
fn the_six_sources_of_the_readme() {
    let specs = specs(
        "default-environments:
- {repo: https://github.com/bitops-operations-repos/kubernetes, environment: eks, version: 1.0.0}
- {repo: https://github.com/bitops-operations-repos/observability, environment: promStack, version: 1.2.0}
- {repo: https://github.com/bitops-operations-repos/observability, environment: grafanaStack, version: 1.1.0}
- {repo: https://github.com/bitops-operations-repos/k8s-ingress, environment: nginx, version: 1.0.0}
- {repo: https://github.com/bitops-operations-repos/k8s-service-mesh, environment: istio, version: 1.0.5}
- {repo: https://github.com/bitops-operations-repos/stackstorm, environment: ha-k8s, version: 1.0.0}
",
    );
    let short: Vec<_> = specs
        .iter()
        .map(|spec| {
            format!(
                "{} {} {}",
                spec.repo.name(),
                spec.environment,
                spec.requested.as_str()
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            "kubernetes eks 1.0.0",
            "observability promStack 1.2.0",
            "observability grafanaStack 1.1.0",
            "k8s-ingress nginx 1.0.0",
            "k8s-service-mesh istio 1.0.5",
            "stackstorm ha-k8s 1.0.0"
        ]
    );
    assert_eq!(specs[3].place.line_column(), (5, 4));
}

#[test]
fn every_key_is_read() {
    let spec = specs(
        "bitops:
  default-environments:
  - repo: git@host:org/repo.git
    environment: stacks/eks/
    ref: feature/x
    include: ['terraform/', \"*.yaml\"]
    exclude: [README.md]
    as: blue
    shared: [_scripts, _terraform/]
    default-folder: _default
    on-conflict: last
    hooks: no
    verify: {mode: both, keys: keys/allowed}
    upgrade: {ignore: [\">=3\", 2.10]}
",
    )
    .remove(0);
    assert_eq!(
        (spec.repo.as_str(), spec.environment.as_str()),
        ("git@host:org/repo.git", "stacks/eks")
    );
    assert_eq!(spec.requested, Requested::Ref("feature/x".into()));
    assert_eq!(
        (spec.filter.included(), spec.filter.excluded()),
        (
            ["terraform/".to_owned(), "*.yaml".to_owned()].as_slice(),
            ["README.md".to_owned()].as_slice()
        )
    );
    assert_eq!(
        (
            spec.rename.as_deref(),
            spec.on_conflict,
            spec.filter.keeps_hooks()
        ),
        (Some("blue"), OnConflict::Last, false)
    );
    assert_eq!(
        spec.shared.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["_scripts", "_terraform"]
    );
    assert_eq!(spec.default_folder.unwrap().as_str(), "_default");
    let verify = spec.verify.unwrap();
    assert_eq!(
        (verify.mode, verify.keys.unwrap().to_str().unwrap().to_owned()),
        (VerifyMode::Both, "keys/allowed".into())
    );
    let ignored: Vec<_> = spec.ignored_versions.iter().map(VersionRequest::as_str).collect();
    assert_eq!(ignored, [">=3", "2.10"]);
}

#[test]
fn a_config_without_sources_names_none() {
    for text in [
        "",
        "# default-environments: []\n",
        "default-environments:\n",
        "default-environments: ~\n",
        "default-environments: []\n",
        "bitops: {default-environments: []}\n",
        "just text about default-environments\n",
        "- default-environments\n",
        "\u{feff}bitops:\n  deployments: {}\n",
    ] {
        assert_eq!(specs(text), [], "{text:?}");
    }
}

#[test]
fn the_schema_says_what_the_parser_does() {
    let schema: serde_json::Value = serde_json::from_str(&config::schema()).unwrap();
    let source = &schema["definitions"]["source"];
    let names: Vec<_> = source["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "as",
            "default-folder",
            "environment",
            "exclude",
            "hooks",
            "include",
            "on-conflict",
            "ref",
            "repo",
            "shared",
            "upgrade",
            "verify",
            "version"
        ]
    );
    assert_eq!(source["required"], serde_json::json!(["repo", "environment"]));
    assert_eq!(source["additionalProperties"], false);
    // Every example of the schema is one that the parser takes.
    for (name, property) in source["properties"].as_object().unwrap() {
        let examples = property["examples"].as_array().cloned().unwrap_or_default();
        for example in examples {
            let mut all = serde_json::json!({ "repo": "https://host/r", "environment": "e" });
            if !["version", "ref"].contains(&name.as_str()) {
                all["version"] = "1.0.0".into();
            }
            all[name] = example;
            specs(&serde_json::json!({ "default-environments": [all] }).to_string());
        }
        assert!(property["description"].as_str().unwrap().len() > 20, "{name}");
    }
}
