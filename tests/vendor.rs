//! `vendor`: the composition as real files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use crate::common::{World, catalog, world};
use compose_testkit::{
    Catalog, Context, Run, Signal,
    server::{Fault, RequestKind, Rule},
};

/// A source with a hook, a merged file and a shared directory; a checkout with links of its own.
fn vendored_world() -> World {
    let mut catalog = Catalog::new("c");
    catalog
        .file("eks/terraform/main.tf", "# theirs\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .executable(
            "eks/terraform/bitops.before-deploy.d/hook.sh",
            "echo the hook ran\n",
        )
        .file("eks/helm/a/values.yaml", "port: 80\nhost: a\n")
        .file("eks/helm/a/bitops.config.yaml", "helm: {}\n")
        .file("_scripts/theirs.sh", "echo theirs\n")
        .tag("1.0.0");
    let world = world(&mut [catalog]);
    world.context.file(
        "dev/bitops.config.yaml",
        format!(
            "# my environment\ndefault-environments:\n- repo: {}/c\n  environment: eks\n  version: 1.0.0\n  shared: [_scripts]\n\
             # what is run\nbitops:\n  deployments:\n    terraform:\n      plugin: terraform\n",
            world.server.address()
        ),
    );
    world
        .context
        .file("dev/helm/a/values.yaml", "port: 81\n")
        .file("dev/notes.txt", "mine\n")
        .symlink("dev/link.txt", "notes.txt")
        .file("_scripts/mine.sh", "echo mine\n")
        .file("prod/bitops.config.yaml", "bitops: {}\n");
    world
}

#[track_caller]
fn file_text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every path below a directory, sorted.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                waiting.push(path);
            } else {
                assert!(kind.is_file(), "{} is not a real file", path.display());
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

const ALL: [&str; 10] = [
    "_scripts/mine.sh",
    "_scripts/theirs.sh",
    "dev/bitops.config.yaml",
    "dev/helm/a/bitops.config.yaml",
    "dev/helm/a/values.yaml",
    "dev/link.txt",
    "dev/notes.txt",
    "dev/terraform/bitops.before-deploy.d/hook.sh",
    "dev/terraform/bitops.config.yaml",
    "dev/terraform/main.tf",
];

#[test]
fn the_result_is_real_files_that_bitops_runs_alone() {
    let world = vendored_world();
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["vendor"]).expect_code(0);
    insta::assert_snapshot!(run);
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    world.assert_nothing_left();

    let root = world.context.root().join("vendored");
    assert_eq!(files(&root), ALL);
    assert_eq!(
        file_text(&root, "dev/bitops.config.yaml"),
        "# my environment\n# what is run\nbitops:\n  deployments:\n    terraform:\n      plugin: terraform\n    helm:\n      plugin: helm\n"
    );
    assert_eq!(file_text(&root, "dev/helm/a/values.yaml"), "port: 81\nhost: a\n");
    assert_eq!(file_text(&root, "dev/link.txt"), "mine\n");
    let mode = |path: &str| root.join(path).metadata().unwrap().permissions().mode() & 0o111;
    assert_ne!(mode("dev/terraform/bitops.before-deploy.d/hook.sh"), 0);
    assert_eq!(mode("dev/notes.txt"), 0);

    // Another machine, which has only the result, runs what is composed here.
    world.context.run(["deploy"]).expect_code(0);
    let composed = world.context.pipeline().unwrap();
    let mut alone = Context::new(env!("CARGO_BIN_EXE_bitops-compose"));
    alone
        .set("BITOPS_ENVIRONMENT", "dev")
        .set("BITOPS_COMPOSE", "off");
    for path in files(&root) {
        alone.file(&path, fs::read(root.join(&path)).unwrap());
        fs::set_permissions(
            alone.ops_repo().join(&path),
            root.join(&path).metadata().unwrap().permissions(),
        )
        .unwrap();
    }
    let ran = alone.run(["deploy"]).expect_code(0);
    assert!(ran.stdout.contains("the hook ran"), "{ran}");
    let seen = alone.pipeline().unwrap();
    for path in ALL
        .iter()
        .filter(|path| !path.ends_with("dev/bitops.config.yaml"))
    {
        assert_eq!(seen.text(path), composed.text(path), "{path}");
    }
}

#[test]
fn nothing_is_overwritten_without_force_and_every_existing_file_is_reported() {
    let world = vendored_world();
    let out = world.context.root().join("out");
    for (path, content) in [
        ("dev/notes.txt", "other\n"),
        ("dev/terraform/main.tf", "other\n"),
        ("_scripts/mine.sh", "echo mine\n"),
        ("dev/unrelated", "stays\n"),
    ] {
        fs::create_dir_all(out.join(path).parent().unwrap()).unwrap();
        fs::write(out.join(path), content).unwrap();
    }
    let before = files(&out);
    let refused = world.context.run(["vendor", "--output", "out"]).expect_code(73);
    insta::assert_snapshot!(refused);
    assert_eq!(files(&out), before);
    assert_eq!(file_text(&out, "dev/notes.txt"), "other\n");

    let forced = world
        .context
        .run(["vendor", "--output", "out", "--force"])
        .expect_code(0);
    assert_eq!(
        forced.stdout,
        "dev: 9 files written to out, 1 was there already\n"
    );
    assert_eq!(file_text(&out, "dev/notes.txt"), "mine\n");
    assert_eq!(file_text(&out, "dev/unrelated"), "stays\n");
    assert_eq!(files(&out).len(), ALL.len() + 1);

    // The second time everything is there already and unchanged, so nothing is in the way.
    let again = world
        .context
        .run(["vendor", "--output", "out", "--format", "json"])
        .expect_code(0);
    let report: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["written"], serde_json::json!([]));
    assert_eq!(report["unchanged"], serde_json::json!(ALL));
}

#[test]
fn the_operations_repo_itself_can_leave_bitops_compose_behind() {
    let world = vendored_world();
    let repo = world.context.ops_repo();
    fs::remove_file(repo.join("dev/link.txt")).unwrap();
    let output = repo.to_str().unwrap();
    let refused = world.context.run(["vendor", "--output", output]).expect_code(73);
    assert!(refused.stderr.contains("2 files are in"), "{refused}");
    world
        .context
        .run(["vendor", "--output", output, "--force"])
        .expect_code(0);
    assert_eq!(file_text(&repo, "dev/helm/a/values.yaml"), "port: 81\nhost: a\n");
    let requests = world.server.requests().len();
    let deployed = world.context.run(["deploy"]).expect_code(0);
    assert!(deployed.stdout.contains("the hook ran"), "{deployed}");
    assert_eq!(
        world.server.requests().len(),
        requests,
        "there is nothing left to compose"
    );
}

#[test]
fn a_config_of_sources_alone_stays_as_an_empty_one() {
    let world = world(&mut [catalog("c", "eks", "terraform/x.txt", "x")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.run(["vendor"]).expect_code(0);
    let config = file_text(&world.context.root().join("vendored"), "dev/bitops.config.yaml");
    assert!(
        config.ends_with("\n{}\n") && !config.contains("default-environments"),
        "{config}"
    );
}

#[test]
fn nothing_is_written_through_a_link_or_in_place_of_a_directory() {
    let world = vendored_world();
    let out = world.context.root().join("out");
    let elsewhere = world.context.root().join("elsewhere");
    fs::create_dir_all(out.join("dev/notes.txt")).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("dev/terraform")).unwrap();
    let refused = world
        .context
        .run(["vendor", "--output", "out", "--force"])
        .expect_code(73);
    insta::assert_snapshot!(refused);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(!out.join("_scripts").exists());
}

#[test]
fn conflicts_and_unwritable_places_leave_nothing() {
    let world = world(&mut [
        catalog("c", "eks", "app/x.txt", "from c"),
        catalog("d", "web", "app/x.txt", "from d"),
    ]);
    let both = [
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ];
    let left = |run: Run| {
        let names: Vec<_> = fs::read_dir(world.context.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("vendored") || name.starts_with(".bitops-compose"))
            .collect();
        assert!(names.is_empty(), "{names:?}\n{run}");
        run
    };
    world.sources(&both);
    let refused = left(world.context.run(["vendor"]).expect_code(65));
    assert!(refused.stderr.contains("contents differ"), "{refused}");
    world.sources(&both[..1]);
    fs::write(world.context.root().join("file"), "").unwrap();
    insta::assert_snapshot!(left(
        world
            .context
            .run(["vendor", "--output", "file/vendored"])
            .expect_code(73)
    ));
}

#[test]
fn more_files_than_can_be_copied_are_an_error_and_not_left_out() {
    let world = world(&mut [catalog("c", "eks", "app/x.txt", "x")]);
    // Two links that lead back make the tree practically endless.
    world
        .context
        .file("dev/own.txt", "mine\n")
        .symlink("dev/a", ".")
        .symlink("dev/b", ".");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(world.context.run(["vendor"]).expect_code(65));
    assert!(!world.context.root().join("vendored").exists());
    // The plan says that it does not show everything.
    let plan = world.context.run(["plan"]).expect_code(0);
    assert!(plan.stdout.contains("there are too many"), "{plan}");
}

#[test]
fn a_signal_leaves_nothing_or_all_of_it() {
    let world = vendored_world();
    let left = |run: &Run| {
        let names = fs::read_dir(world.context.root()).unwrap();
        let names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("vendored") || name.starts_with(".bitops-compose"))
            .collect();
        assert!(names.is_empty(), "{names:?}\n{run}");
    };
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        world
            .server
            .inject("c", Rule::from(Fault::Stall).on(RequestKind::Fetch));
        world.server.clear_requests();
        let run = world.context.spawn(["vendor"]);
        world.server.wait_for(Duration::from_secs(20), |seen| {
            seen.iter().any(|request| request.kind == RequestKind::Fetch)
        });
        run.signal(signal);
        left(&run.wait(Duration::from_secs(10)).expect_code(code));
        world.server.heal("c");
    }
    // The signal comes while it writes, as soon as there is a staging directory.
    for file in 0..4000 {
        world.context.file(&format!("dev/many/{file}"), "mine\n");
    }
    let run = world.context.spawn(["vendor"]);
    let staged = || {
        let names = fs::read_dir(world.context.root()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .any(|name| name.starts_with(".bitops-compose") || name == "vendored")
    };
    let limit = std::time::Instant::now() + Duration::from_secs(60);
    while !staged() {
        assert!(std::time::Instant::now() < limit, "nothing is staged");
        std::thread::yield_now();
    }
    run.signal(Signal::TERM);
    let run = run.wait(Duration::from_secs(20));
    match run.code {
        Some(143) => left(&run),
        _ => assert_eq!(
            files(&world.context.root().join("vendored")).len(),
            ALL.len() + 4000,
            "{run}"
        ),
    }
}
