//! Catalogs whose tags are not all semantic versions: what is deployed, and what is reported of the others.

use crate::common::{World, catalog, world};

/// Returns a world with a catalog `c` with these tags, each with a file that names it, and an environment that requests
/// `version` of it.
fn tagged(tags: &[&str], version: &str) -> World {
    let mut c = catalog("c", "eks", "terraform/main.txt", "1.0.0\n");
    for tag in tags {
        c.file("eks/terraform/main.txt", format!("{tag}\n")).tag(tag);
    }
    let world = world(&mut [c]);
    world.sources(&[&format!(
        "{{repo: '{{repo}}/c', environment: eks, version: '{version}'}}"
    )]);
    world
}

fn json(world: &World, command: &str) -> serde_json::Value {
    let run = world.context.run([command, "--format", "json"]).expect_code(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[test]
fn the_highest_tag_is_deployed_however_it_is_written() {
    for (tags, version, expected) in [
        (&["2024.11.30", "2025.01.15"][..], "latest", "2025.01.15"),
        (&["2024.11.30", "2025.01.15"], "2025.01.15", "2025.01.15"),
        (&["v1.0.0", "v1.1", "v1.2", "1.3-rc1", "v1"], "^1", "v1.2"),
        (&["1.8.0", "1.09.0"], "^1", "1.09.0"),
        (&["eks@1.0.1", "@org/eks@1.1.0"], "^1", "@org/eks@1.1.0"),
        (&["eks@1.0.1", "@org/eks@1.1.0"], "1.1.0", "@org/eks@1.1.0"),
    ] {
        let world = tagged(tags, version);
        let plan = json(&world, "plan");
        assert_eq!(plan["sources"][0]["resolved"], expected, "{tags:?} {version}");
        let lock = json(&world, "lock");
        assert_eq!(lock["sources"][0]["resolved"], expected, "{tags:?} {version}");
        // A locked deployment, which does not list the refs, uses the same one.
        world.context.run(["deploy"]).expect_code(0);
        let seen = world.context.pipeline().unwrap();
        let deployed = seen.text("dev/terraform/main.txt").unwrap();
        assert_eq!(deployed.trim_end(), expected);
        let outdated = json(&world, "outdated");
        assert_eq!(outdated["sources"][0]["outdated"], false, "{outdated}");
    }
}

#[test]
fn a_higher_tag_that_is_left_out_is_reported_by_every_command() {
    let world = tagged(&["1.1.0", "1.2.0.Final"], "^1");
    for command in ["deploy", "plan", "lock", "outdated"] {
        let run = world.context.run([command]).expect_code(0);
        let shown = format!("{}{}", run.stdout, run.stderr);
        assert!(
            shown.contains("1.2.0.Final") && shown.contains("not read as"),
            "{command}: {run}"
        );
    }
}

#[test]
fn a_partial_version_offers_a_range_only_where_it_is_answered() {
    let world = tagged(&["1.1.1"], "1.1");
    let run = world.context.run(["plan"]).expect_code(65);
    assert!(run.stderr.contains("~1.1"), "{run}");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ~1.1}"]);
    assert_eq!(json(&world, "plan")["sources"][0]["resolved"], "1.1.1");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.2}"]);
    let run = world.context.run(["plan"]).expect_code(65);
    assert!(!run.stderr.contains("~1.2"), "{run}");
}
