//! Catalogs are real repos with the same ids in every run.

use std::path::Path;

use compose_testkit::{Catalog, RawEntry, Repo, example, git};

fn checkout(repo: &Repo, tag: &str, into: &Path) {
    let from = repo.path().to_str().unwrap();
    git::run(
        into,
        [
            "clone",
            "--quiet",
            "-c",
            "advice.detachedHead=false",
            "-b",
            tag,
            from,
            ".",
        ],
    );
}

fn sample() -> Catalog {
    let mut catalog = Catalog::new("organisation/kubernetes");
    catalog
        .file("eks/terraform/main.tf", "one")
        .executable("eks/hook.sh", "#!/bin/sh\n")
        .symlink("eks/shared", "../_shared")
        .file("_shared/a \"quoted\"\tnäme", "x")
        .submodule("eks/module", &"a".repeat(40))
        .tag("1.0.0");
    catalog
        .file("eks/terraform/main.tf", "two")
        .remove("_shared")
        .annotated_tag("v1.1.0");
    catalog.branch("feature").file("eks/terraform/main.tf", "three");
    catalog
}

#[test]
fn two_builds_have_the_same_ids() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (sample().build(first.path()), sample().build(second.path()));
    for revision in ["1.0.0", "v1.1.0", "main", "feature"] {
        assert_eq!(first.commit(revision), second.commit(revision), "{revision}");
    }
    assert_eq!(first.commit("v1.1.0"), first.commit("main"));
    assert_ne!(first.commit("feature"), first.commit("main"));
    assert_eq!(first.git(["cat-file", "-t", "v1.1.0"]), "tag");
    assert_eq!(first.git(["cat-file", "-t", "1.0.0"]), "commit");
    first.git(["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn all_types_of_entries_are_written() {
    let root = tempfile::tempdir().unwrap();
    let repo = sample().build(root.path());
    let listed = repo.git(["ls-tree", "-r", "--format=%(objectmode) %(path)", "1.0.0"]);
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    assert_eq!(
        listed,
        [
            r#"100644 "_shared/a \"quoted\"\tn\303\244me""#,
            "100644 eks/terraform/main.tf",
            "100755 eks/hook.sh",
            "120000 eks/shared",
            "160000 eks/module",
        ]
    );
    assert_eq!(repo.git(["show", "1.0.0:eks/terraform/main.tf"]), "one");
    assert_eq!(repo.git(["show", "v1.1.0:eks/terraform/main.tf"]), "two");
    assert_eq!(repo.git(["ls-tree", "--name-only", "v1.1.0"]), "eks");
}

#[test]
fn a_sha256_repo_has_long_ids() {
    let root = tempfile::tempdir().unwrap();
    let repo = Catalog::new("long")
        .sha256()
        .file("a", "b")
        .tag("1.0.0")
        .build(root.path());
    assert_eq!(repo.commit("1.0.0").len(), 64);
}

#[test]
fn trees_that_git_would_refuse_are_written_unchanged() {
    let root = tempfile::tempdir().unwrap();
    let repo = Catalog::new("hostile")
        .file("a", "b")
        .tag("0.1.0")
        .build(root.path());
    let blob = repo.write_blob("owned");
    let names: [&[u8]; 5] = [b"..", b".git", b"a\x1b[2J", b"\xff", b"a/b"];
    for (number, name) in names.into_iter().enumerate() {
        let tree = repo.write_tree(&[RawEntry::new("100644", name, &blob)]);
        repo.tag_environment(&format!("1.0.{number}"), "env", &tree);
        let listed = git::command(repo.path())
            .args(["ls-tree", "-z", "--name-only", &format!("1.0.{number}:env")])
            .output()
            .unwrap();
        assert_eq!(listed.stdout, [name, b"\0"].concat());
    }
    let twice = [
        RawEntry::new("120000", "x", &blob),
        RawEntry::new("104755", "x", &blob),
        RawEntry::new("100664", "null", &"0".repeat(40)),
    ];
    let tree = repo.write_tree(&twice);
    // The size of an entry: mode, space, name, NUL and 20 bytes of id.
    let size: usize = twice
        .iter()
        .map(|entry| entry.mode.len() + entry.name.len() + 22)
        .sum();
    assert_eq!(repo.git(["cat-file", "-s", &tree]), size.to_string());

    let tag = repo.write_tag("of-a-blob", "blob", &blob);
    repo.set_ref("refs/tags/of-a-blob", &tag);
    assert_eq!(repo.id("of-a-blob^{}"), blob);
    repo.set_ref_unchecked("refs/heads/gone", &"1".repeat(40));
    assert_eq!(repo.git(["rev-parse", "refs/heads/gone"]), "1".repeat(40));
}

#[test]
fn padding_has_the_sizes_of_the_benchmark() {
    let root = tempfile::tempdir().unwrap();
    let repo = Catalog::new("large")
        .padding(100, 12)
        .tag("1.0.0")
        .build(root.path());
    let sizes = repo.git(["ls-tree", "-r", "--format=%(objectsize)", "1.0.0"]);
    let sizes: Vec<u32> = sizes.lines().map(|size| size.parse().unwrap()).collect();
    assert_eq!(sizes.len(), 1_200);
    assert!(sizes.iter().all(|size| (2_048..3_072).contains(size)));
    let blobs = repo.git(["ls-tree", "-r", "--format=%(objectname)", "1.0.0"]);
    assert_eq!(
        blobs.lines().collect::<std::collections::BTreeSet<_>>().len(),
        1_200
    );
}

#[test]
fn the_catalogs_have_the_versions_in_the_examples_configs() {
    let root = tempfile::tempdir().unwrap();
    let repos = example::six_sources(root.path());
    let mut paths = std::collections::BTreeMap::new();
    for name in ["six-sources", "five-sources", "ha-vm-aws"] {
        let config = example::config(name, "http://127.0.0.1:1");
        assert!(!config.contains("github.com"), "{config}");
        let values = |key: &str| -> Vec<String> {
            config
                .lines()
                .filter_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix(key))
                .map(str::to_owned)
                .collect()
        };
        let (urls, environments, versions) = (values("repo: "), values("environment: "), values("version: "));
        paths.clear();
        for ((url, environment), version) in urls.iter().zip(&environments).zip(&versions) {
            let repo = repos
                .iter()
                .find(|repo| url.ends_with(&format!("/{}", repo.name())))
                .unwrap();
            for path in repo
                .git([
                    "ls-tree",
                    "-r",
                    "--name-only",
                    &format!("{version}:{environment}"),
                ])
                .lines()
            {
                let other = paths.insert(path.to_owned(), environment.clone());
                assert_eq!(other, None, "{path} is of two environments of {name}");
            }
        }
        assert_eq!(
            urls.len(),
            match name {
                "six-sources" => 6,
                "five-sources" => 5,
                _ => 1,
            }
        );
    }
}

#[test]
fn a_checkout_of_an_example_equals_the_documentation() {
    let root = tempfile::tempdir().unwrap();
    let repos = example::six_sources(root.path());
    let observability = repos
        .iter()
        .find(|repo| repo.name().ends_with("/observability"))
        .unwrap();
    let work = tempfile::tempdir().unwrap();
    checkout(observability, "1.2.0", work.path());
    let chart = "promStack/helm/prometheus/Chart.yaml";
    let documented = example::directory().join("catalogs/observability").join(chart);
    assert_eq!(
        std::fs::read_to_string(work.path().join(chart)).unwrap(),
        std::fs::read_to_string(documented).unwrap()
    );
    assert!(
        observability
            .git(["show", &format!("1.0.0:{chart}")])
            .contains("version: 1.0.0\n")
    );
    assert_eq!(
        observability.git(["ls-tree", "--name-only", "1.0.0", "grafanaStack"]),
        ""
    );

    let kubernetes = repos
        .iter()
        .find(|repo| repo.name().ends_with("/kubernetes"))
        .unwrap();
    let hook = kubernetes.git([
        "ls-tree",
        "1.0.0",
        "eks/terraform/bitops.before-deploy.d/10-announce.sh",
    ]);
    assert!(hook.starts_with("100755 "), "{hook}");
}
