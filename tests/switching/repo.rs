//! Which operations repo is deployed, and what of it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use compose_testkit::Catalog;

use super::{PLAIN, composed, copy, theirs};
use crate::common::{World, world};

#[test]
fn an_empty_directory_in_the_mounts_place_is_not_an_operations_repo() {
    let world = world(&mut []);
    for _ in ["first", "again"] {
        let run = world.context.run(["deploy"]).expect_code(1);
        assert!(run.stderr.contains("needs to be mounted"), "{run}");
        assert!(!world.context.deployment().exists());
    }
    // It may be filled later.
    world
        .context
        .file("dev/bitops.config.yaml", PLAIN)
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn one_directory_alone_that_has_the_environment_is_the_operations_repo() {
    let world = composed();
    let below = world.context.ops_repo().join("checkout");
    let aside = world.context.root().join("aside");
    fs::rename(world.context.ops_repo(), &aside).unwrap();
    fs::create_dir(world.context.ops_repo()).unwrap();
    fs::rename(&aside, &below).unwrap();
    world.context.run(["deploy"]).expect_code(0);
    assert_eq!(theirs(&world).as_deref(), Some("theirs"));
    // The commands see the same, and so does a plain deploy.
    let plan = world.context.run(["plan"]).expect_code(0);
    assert!(plan.stdout.contains("1 source, 2 files composed"), "{plan}");
    fs::write(below.join("dev/bitops.config.yaml"), PLAIN).unwrap();
    world.context.run(["deploy"]);
    let seen = world.context.pipeline().unwrap();
    assert_eq!(seen.text("dev/terraform/mine.txt"), Some("mine"));
    assert_eq!(theirs(&world), None);
}

#[test]
fn a_config_that_cannot_be_read_is_not_a_plain_deploy() {
    let world = composed();
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    fs::remove_file(&config).unwrap();
    symlink("bitops.config.yaml", &config).unwrap();
    let run = world.context.run(["deploy"]).expect_code(73);
    assert!(run.stderr.contains("a link that leads to itself"), "{run}");
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    let run = world.context.run(["deploy"]).expect_code(73);
    assert!(
        run.stderr.contains("cannot read") && run.stderr.contains("dev/bitops.config.yaml"),
        "{run}"
    );
    assert!(
        run.stderr.contains("put the environment's config in its place"),
        "{run}"
    );
    assert!(world.context.pipeline().is_none());
    // What isn't there is BitOps' business, as ever.
    fs::remove_dir(&config).unwrap();
    symlink("nowhere", &config).unwrap();
    world.context.run(["deploy"]);
    assert!(world.context.pipeline().is_some());
}

#[test]
fn a_config_that_this_user_may_not_read_is_not_a_plain_deploy() {
    let mut world = composed();
    let config = world.context.ops_repo().join("dev/bitops.config.yaml");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything, but for its capabilities.
    world.context.wrap([
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-all",
        "sh",
        "-c",
        "exec \"$@\"",
        "sh",
    ]);
    if fs::read(&config).is_err() {
        world.context.wrap(Vec::<String>::new());
    }
    let run = world.context.run(["deploy"]).expect_code(73);
    assert!(run.stderr.contains("Permission denied"), "{run}");
    assert!(run.stderr.contains("let this user read it"), "{run}");
    assert!(world.context.pipeline().is_none());
}

/// What a run deploys is what a copy of a repo would be into which somebody had copied the sources' files.
#[test]
fn links_and_modes_are_those_of_the_hand_merged_repo() {
    let mut c = Catalog::new("c");
    c.file("eks/terraform/theirs.tf", "# theirs\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("eks/terraform/values.yaml", "a: 1\n")
        .file("eks/only/theirs.txt", "only\n")
        .file("modules/vpc/main.tf", "# vpc\n")
        .tag("1.0.0");
    let world = world(&mut [c]);
    let source = "{repo: '{repo}/c', environment: eks, version: 1.0.0, shared: [modules]}";
    world
        .context
        .file("environments/dev/bitops.config.yaml", world.config(&[source]))
        .file("environments/dev/terraform/mine.tf", "# mine\n")
        .file("environments/dev/terraform/values.yaml", "b: 2\n")
        .symlink("dev", "environments/dev")
        .symlink("environments/dev/terraform-b", "terraform")
        .symlink("environments/dev/mods", "../../modules")
        .symlink("environments/dev/only-b", "only")
        .symlink("prod/deep/mods", "../../modules");
    let root = world.context.ops_repo();
    for (path, mode) in [
        ("environments/dev/terraform/values.yaml", 0o600),
        ("environments/dev", 0o2775),
    ] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(0);
    let seen = world.context.pipeline().unwrap();
    for dev in ["dev", "environments/dev"] {
        for (path, text) in [
            ("terraform/theirs.tf", "# theirs\n"),
            ("terraform-b/theirs.tf", "# theirs\n"),
            ("terraform-b/mine.tf", "# mine\n"),
            ("only-b/theirs.txt", "only\n"),
            ("mods/vpc/main.tf", "# vpc\n"),
        ] {
            assert_eq!(
                seen.text(&format!("{dev}/{path}")),
                Some(text),
                "{dev}/{path}\n{run}"
            );
        }
        let mode = |path: &str| seen.ops_repo[&format!("{dev}/{path}")].mode.clone().unwrap();
        assert_eq!(mode("terraform/values.yaml"), "0600");
        assert_eq!(mode("terraform/theirs.tf"), "0644");
    }
    assert_eq!(seen.text("prod/deep/mods/vpc/main.tf"), Some("# vpc\n"));
    assert_eq!(seen.ops_repo["dev"].mode.as_deref(), Some("2775"));
    world.context.ops_repo_fingerprint().assert_same_as(&before);
}

#[test]
fn an_environments_name_is_read_as_bitops_joins_it() {
    for name in ["./dev", "dev/", "dev/.", ".//dev", "prod/../dev"] {
        let mut world = composed();
        world.context.set("BITOPS_ENVIRONMENT", name);
        let run = world.context.run(["deploy"]).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        assert_eq!(seen.env["BITOPS_ENVIRONMENT"], name);
        assert_eq!(theirs(&world).as_deref(), Some("theirs"), "{name}\n{run}");
        // What BitOps reads by the name is the composed one.
        assert!(run.stdout.contains("DEPLOYMENT terraform"), "{name}\n{run}");
    }
    let mut world = composed();
    world.context.symlink("link", "prod");
    world.context.set("BITOPS_ENVIRONMENT", "link/../dev");
    let run = world.context.run(["deploy"]).expect_code(65);
    assert!(run.stderr.contains("link is a link"), "{run}");
}

#[test]
fn a_workspace_is_deployed_and_then_another_one() {
    let mut world = composed();
    let mut workspaces = Vec::new();
    for name in ["a", "b"] {
        let workspace = world.context.root().join(name);
        copy(&world.context.ops_repo(), &workspace);
        fs::write(workspace.join("dev/terraform/mine.txt"), name).unwrap();
        workspaces.push(workspace);
    }
    fs::remove_dir_all(world.context.ops_repo()).unwrap();
    fs::create_dir(world.context.ops_repo()).unwrap();
    let mine = |world: &World| {
        let seen = world.context.pipeline().unwrap();
        seen.text("dev/terraform/mine.txt").map(str::to_owned)
    };
    for (workspace, name) in [
        (&workspaces[0], "a"),
        (&workspaces[1], "b"),
        (&workspaces[0], "a"),
    ] {
        world
            .context
            .set("GITHUB_ACTIONS", "true")
            .set("GITHUB_WORKSPACE", workspace);
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(mine(&world).as_deref(), Some(name));
        assert_eq!(theirs(&world).as_deref(), Some("theirs"));
        world.context.set("BITOPS_ENVIRONMENT", "prod");
        world.context.run(["deploy"]).expect_code(0);
        assert_eq!(mine(&world).as_deref(), Some(name));
        world.context.set("BITOPS_ENVIRONMENT", "dev");
    }
}
