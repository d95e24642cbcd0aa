//! `adopt`: a copied environment becomes a source.

use std::{fs, path::Path};

use compose_testkit::{Catalog, Run, git};

use super::{World, json, world};

/// A catalog with three versions of an environment, among others.
fn catalog(environments: usize, tags: usize) -> Catalog {
    let mut catalog = Catalog::new("kubernetes");
    catalog.padding(environments, 2);
    catalog
        .file("eks/bitops.config.yaml", "# EKS\nbitops:\n  fail_fast: true\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("eks/terraform/main.tf", "resource \"null_resource\" \"a\" {}\n")
        .executable("eks/terraform/bitops.before-deploy.d/login.sh", "true\n")
        .file("eks/helm/grafana/bitops.config.yaml", "helm: {}\n")
        .file("eks/helm/grafana/values.yaml", "port: 80\nreplicas: 1\n")
        .file("eks/docs/one.md", "one\n")
        .file("eks/docs/two.md", "two\n")
        .tag("1.0.0")
        .file("eks/terraform/variables.tf", "variable \"x\" {}\n")
        .tag("1.1.0");
    for patch in 0..tags {
        catalog
            .file("env-0000/notes.txt", format!("{patch}\n"))
            .tag(&format!("1.1.{}", patch + 1));
    }
    catalog
        .file("eks/terraform/main.tf", "resource \"null_resource\" \"b\" {}\n")
        .tag("2.0.0");
    catalog
}

/// Puts a copy of the environment at a tag into the operations repo, below other directories if `rename` is set.
fn copy(world: &World, tag: &str, dir: &str, rename: &str) {
    let repo = world.path("kubernetes");
    for path in git::run(&repo, ["ls-tree", "-r", "--name-only", tag, "eks/"]).lines() {
        let inside = path.strip_prefix("eks/").unwrap();
        let prefix = if inside.starts_with("terraform/") || inside.starts_with("helm/") {
            rename
        } else {
            ""
        };
        let to = format!("{dir}/{prefix}{inside}");
        let text = git::output_bytes(&repo, ["show", &format!("{tag}:{path}")], b"");
        if path.ends_with(".sh") {
            world.context.executable(&to, text);
        } else {
            world.context.file(&to, text);
        }
    }
}

fn status(world: &World) -> String {
    git::run(
        &world.context.ops_repo(),
        ["status", "--porcelain", "--untracked-files=all"],
    )
}

fn files_below(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> = git::run(dir, ["ls-files", "--cached", "--others"])
        .lines()
        .map(str::to_owned)
        .collect();
    all.retain(|path| dir.join(path).exists());
    all.sort();
    all
}

/// Runs `adopt`.
fn adopt(world: &World, more: &[&str], code: i32) -> Run {
    let repo = world.server.url("kubernetes");
    let mut args = vec!["adopt", &repo];
    args.extend(more);
    world.context.run(&args).expect_code(code)
}

#[test]
fn a_copy_becomes_a_source_and_what_differs_stays() {
    let world = world(&mut [catalog(1, 3)]);
    copy(&world, "1.1.0", "dev", "");
    world
        .context
        .file("dev/helm/grafana/values.yaml", "port: 80\nreplicas: 3\n")
        .file("dev/terraform/own.tf", "variable \"own\" {}\n");
    fs::remove_dir_all(world.context.ops_repo().join("dev/docs")).unwrap();
    world.commit();
    let dry = adopt(&world, &["eks", "--dry-run"], 0);
    insta::assert_snapshot!("adopt_dry_run", dry);
    assert_eq!(status(&world), "");
    let done = adopt(&world, &["eks"], 0);
    insta::assert_snapshot!("adopt", done);
    let shown = done
        .stdout
        .replace(&world.server.address(), "https://github.com/ORG");
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/adopting.md");
    assert!(
        fs::read_to_string(docs).unwrap().contains(&shown),
        "docs/adopting.md shows something else than\n{shown}"
    );
    assert_eq!(
        files_below(&world.context.ops_repo()),
        [
            "dev/bitops.config.yaml",
            "dev/helm/grafana/values.yaml",
            "dev/terraform/own.tf"
        ]
    );
    let config = fs::read_to_string(world.context.ops_repo().join("dev/bitops.config.yaml")).unwrap();
    let repo = world.server.url("kubernetes");
    assert_eq!(
        config,
        format!(
            "default-environments:\n- repo: {repo}\n  environment: eks\n  version: \"1.1.3\"\n  exclude:\n  - /docs/\n"
        )
    );
    // What is deployed is what the directory was.
    let vendored = world.context.root().join("vendored");
    world
        .context
        .run(["vendor", "--output", vendored.to_str().unwrap()])
        .expect_code(0);
    let read = |path: &str| fs::read_to_string(vendored.join("dev").join(path)).unwrap();
    assert_eq!(read("helm/grafana/values.yaml"), "port: 80\nreplicas: 3\n");
    assert_eq!(read("terraform/main.tf"), "resource \"null_resource\" \"a\" {}\n");
    assert!(!vendored.join("dev/docs").exists());
    // It is undone as it says.
    git::run(&world.context.ops_repo(), ["checkout", "--", "dev"]);
    assert_eq!(status(&world), "");
}

#[test]
fn a_renamed_copy_is_recognised() {
    let world = world(&mut [catalog(1, 0)]);
    copy(&world, "1.0.0", "dev", "blue-");
    let deployments = "bitops:\n  fail_fast: true\n  deployments:\n    blue-terraform: {plugin: terraform}\n    blue-helm: {plugin: helm}\n";
    world.context.file("dev/bitops.config.yaml", deployments);
    world.commit();
    let done = json(&adopt(&world, &["eks", "--format", "json"], 0));
    assert_eq!(done["source"]["as"], "blue");
    assert_eq!(done["source"]["version"], "1.0.0");
    assert_eq!(done["equal"].as_array().unwrap().len(), 7);
    assert_eq!(files_below(&world.context.ops_repo()), ["dev/bitops.config.yaml"]);
}

#[test]
fn what_would_change_is_refused_and_the_proposal_works() {
    let world = world(&mut [catalog(1, 0)]);
    copy(&world, "1.1.0", "dev", "");
    // A key is gone, and a file of terraform's is another.
    world
        .context
        .file("dev/helm/grafana/values.yaml", "port: 80\n")
        .file(
            "dev/terraform/main.tf",
            "resource \"null_resource\" \"mine\" {}\n",
        );
    world.commit();
    let refused = adopt(&world, &["eks"], 65);
    insta::assert_snapshot!("adopt_refused", refused);
    assert_eq!(status(&world), "");
    let proposal = refused
        .stderr
        .rsplit("source's: `bitops-compose ")
        .next()
        .unwrap();
    let words: Vec<&str> = proposal.trim_end().trim_end_matches('`').split(' ').collect();
    world.context.run(&words).expect_code(0);
    assert_eq!(
        files_below(&world.context.ops_repo()),
        [
            "dev/bitops.config.yaml",
            "dev/helm/grafana/values.yaml",
            "dev/terraform/main.tf"
        ]
    );
}

#[test]
fn only_a_clean_work_tree_is_changed() {
    let world = world(&mut [catalog(1, 0)]);
    copy(&world, "1.1.0", "dev", "");
    let none = adopt(&world, &["eks"], 65);
    assert!(none.stderr.contains("work tree"), "{none}");
    world.commit();
    world.context.file("dev/new.txt", "new\n");
    let dirty = adopt(&world, &["eks"], 65);
    assert!(dirty.stderr.contains("dev/new.txt"), "{dirty}");
    fs::remove_file(world.context.ops_repo().join("dev/new.txt")).unwrap();
    for (environment, said) in [
        ("absent", "has no version with"),
        ("env-0000", "has a file as it is"),
    ] {
        let refused = adopt(&world, &[environment], 65);
        assert!(refused.stderr.contains(said), "{refused}");
    }
    // A lock that cannot be used is known before anything is written.
    let elsewhere = world.context.root().join("elsewhere.yaml");
    fs::write(&elsewhere, "format: 1\nsources: []\n...\n").unwrap();
    std::os::unix::fs::symlink(&elsewhere, world.context.ops_repo().join("dev/bitops.lock.yaml")).unwrap();
    world.commit();
    let failed = adopt(&world, &["eks"], 65);
    assert_eq!(status(&world), "", "{failed}");
}

#[test]
fn all_copies_are_found_and_each_proposal_works() {
    let world = world(&mut [catalog(1, 2)]);
    copy(&world, "1.0.0", "dev", "");
    copy(&world, "2.0.0", "live/prod", "");
    world.context.file("other/terraform/bitops.config.yaml", "x: 1\n");
    world.commit();
    let found = adopt(&world, &["--all"], 0);
    insta::assert_snapshot!("adopt_all", found);
    assert_eq!(status(&world), "");
    let found = json(&adopt(&world, &["--all", "--format", "json"], 0));
    for one in found["matches"].as_array().unwrap() {
        let words: Vec<&str> = one["command"].as_str().unwrap().split(' ').skip(1).collect();
        world.context.run(&words).expect_code(0);
    }
    assert_eq!(
        files_below(&world.context.ops_repo()),
        [
            "dev/bitops.config.yaml",
            "live/prod/bitops.config.yaml",
            "other/terraform/bitops.config.yaml"
        ]
    );
}

#[test]
fn many_tags_take_few_requests() {
    let world = world(&mut [catalog(20, 60)]);
    copy(&world, "1.1.0", "dev", "");
    world.commit();
    let dry = adopt(&world, &["eks", "--dry-run"], 0);
    let stats = world.server.stats("kubernetes");
    assert!(
        dry.stdout.contains("9 of 9 files equal in 1.1.60  (nearest)"),
        "{dry}"
    );
    // The handshake, the refs, all commits, all trees of the directory, the files of the nearest version.
    assert_eq!(stats.requests(), 5);
}
