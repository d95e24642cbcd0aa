//! Sources that name sources.

use crate::common::{World, world};
use compose_testkit::{Catalog, server::ClosedPort};

/// A world whose catalogs have an environment `env` each, which holds a file of the catalog's name, a `who` that all of
/// them have, and a config that names other catalogs.
struct Nested(World);

impl Nested {
    fn new() -> Self {
        Self(world(&mut []))
    }

    /// Publishes a catalog with one tag for each version, and the sources that it names there.
    fn catalog(&mut self, name: &str, versions: &[(&str, &[&str])]) {
        let mut catalog = Catalog::new(name);
        for (version, nested) in versions {
            catalog
                .file(&format!("env/{name}.txt"), format!("{name} {version}"))
                .file("env/who.txt", format!("{name} {version}"));
            catalog.remove("env/bitops.config.yaml");
            if !nested.is_empty() {
                catalog.file("env/bitops.config.yaml", self.0.config(nested));
            }
            catalog.tag(version);
        }
        self.0.publish(catalog);
    }

    /// Publishes a catalog with one tag, `1.0.0`, and the sources that it names there.
    fn release(&mut self, name: &str, nested: &[&str]) {
        self.catalog(name, &[("1.0.0", nested)]);
    }

    /// Returns the content of a file as the pipeline saw it.
    fn seen_text(&self, path: &str) -> Option<String> {
        let seen = self.0.context.pipeline().expect("the pipeline was started");
        seen.text(path).map(str::to_owned)
    }

    /// Deploys, which must fail with a code. Returns the messages with a name in place of the server's address.
    #[track_caller]
    fn refused(&self, code: i32) -> String {
        let run = self.0.context.run(["deploy"]).expect_code(code);
        assert!(self.0.context.pipeline().is_none(), "{run}");
        self.0.assert_nothing_left();
        run.stderr.replace(&self.0.server.address(), "http://server")
    }
}

const A: &str = "{repo: '{repo}/a', environment: env, version: 1.0.0}";
const B: &str = "{repo: '{repo}/b', environment: env, version: 1.0.0}";
const C: &str = "{repo: '{repo}/c', environment: env, version: 1.0.0}";

#[test]
fn a_config_that_is_left_out_names_no_sources() {
    let mut world = Nested::new();
    world.release("b", &[]);
    world.release("a", &[B]);
    for left_out in ["exclude: [bitops.config.yaml]", "include: ['*.txt', '!/who.txt']"] {
        world
            .0
            .sources(&[&A.replace("1.0.0", &format!("1.0.0, {left_out}"))]);
        // Cold, then from the cache.
        for _ in 0..2 {
            world.0.context.run(["deploy"]).expect_code(0);
            assert_eq!(
                world.seen_text("dev/a.txt").as_deref(),
                Some("a 1.0.0"),
                "{left_out}"
            );
            assert_eq!(world.seen_text("dev/b.txt"), None, "{left_out}");
        }
    }
    assert_eq!(world.0.server.stats("b").info_refs, 0);
}

#[test]
fn a_chain_of_three_is_composed_below_the_one_that_names_it() {
    let mut world = Nested::new();
    world.release("c", &[]);
    world.release("b", &[C]);
    world.release("a", &[B]);
    world.0.sources(&[A]);
    world.0.context.run(["deploy"]).expect_code(0);
    for name in ["a", "b", "c"] {
        let text = world.seen_text(&format!("dev/{name}.txt"));
        assert_eq!(text, Some(format!("{name} 1.0.0")));
        assert_eq!(
            world.0.server.stats(name).info_refs,
            1,
            "one connection to {name}"
        );
    }
    assert_eq!(world.seen_text("dev/who.txt").as_deref(), Some("a 1.0.0"));

    let plan = world.0.context.run(["plan", "--format", "json"]).expect_code(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let via: Vec<usize> = plan["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["via"].as_array().unwrap().len())
        .collect();
    assert_eq!(via, [2, 1, 0], "{plan:#}");
}

#[test]
fn a_diamond_composes_its_foot_once_at_the_version_that_both_sides_take() {
    let mut world = Nested::new();
    world.catalog(
        "c",
        &[("1.0.0", &[]), ("1.1.0", &[]), ("1.2.0", &[]), ("2.0.0", &[])],
    );
    world.release("a", &["{repo: '{repo}/c', environment: env, version: ^1.0}"]);
    world.release("b", &["{repo: '{repo}/c', environment: env, version: '<1.2'}"]);
    world.0.sources(&[
        A,
        "{repo: '{repo}/b', environment: env, version: 1.0.0, exclude: [who.txt]}",
    ]);
    world.0.context.run(["deploy"]).expect_code(0);
    assert_eq!(world.seen_text("dev/c.txt").as_deref(), Some("c 1.1.0"));
    assert_eq!(world.0.server.stats("c").info_refs, 1, "one connection to c");
}

#[test]
fn a_cycle_is_reported_with_its_chain() {
    let mut world = Nested::new();
    world.release("b", &[A]);
    world.release("a", &[B]);
    world.0.sources(&[A]);
    let stderr = world.refused(65);
    assert!(
        stderr.contains(
            "dev/bitops.config.yaml → env of http://server/a → env of http://server/b → env of http://server/a"
        ),
        "{stderr}"
    );
    // Another mistake is reported as well.
    world.release("c", &[]);
    world
        .0
        .sources(&[A, "{repo: '{repo}/c', environment: other, version: 1.0.0}"]);
    let stderr = world.refused(65);
    for message in ["in a cycle", "has no environment `other`"] {
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn versions_that_exclude_each_other_are_reported_with_both_chains_and_the_root_decides() {
    let mut world = Nested::new();
    world.catalog("c", &[("1.0.0", &[]), ("1.5.0", &[]), ("2.0.0", &[])]);
    world.release("a", &[C]);
    world.release("b", &["{repo: '{repo}/c', environment: env, version: 2.0.0}"]);
    let b = "{repo: '{repo}/b', environment: env, version: 1.0.0, exclude: [who.txt]}";
    world.0.sources(&[A, b]);
    let stderr = world.refused(65);
    for chain in [
        "dev/bitops.config.yaml → env of http://server/a → env of http://server/c (`1.0.0`)",
        "dev/bitops.config.yaml → env of http://server/b → env of http://server/c (`2.0.0`)",
    ] {
        assert!(stderr.contains(chain), "{stderr}");
    }
    world
        .0
        .sources(&[A, b, "{repo: '{repo}/c', environment: env, version: 1.5.0}"]);
    world.0.context.run(["deploy"]).expect_code(0);
    assert_eq!(world.seen_text("dev/c.txt").as_deref(), Some("c 1.5.0"));
    assert_eq!(
        world.seen_text("dev/who.txt").as_deref(),
        Some("a 1.0.0"),
        "what names it wins over it"
    );
}

#[test]
fn a_range_that_no_tag_matches_is_reported_with_every_requester() {
    let mut world = Nested::new();
    world.catalog("c", &[("1.0.0", &[]), ("2.0.0", &[])]);
    world.release("a", &["{repo: '{repo}/c', environment: env, version: ^1.0}"]);
    world.release("b", &["{repo: '{repo}/c', environment: env, version: '>1.0.0'}"]);
    world.0.sources(&[A, B]);
    let stderr = world.refused(65);
    assert!(
        stderr.contains("no tag matches version `^1.0, >1.0.0`"),
        "{stderr}"
    );
    for chain in [
        "env of http://server/a → env of http://server/c (`^1.0`)",
        "env of http://server/b → env of http://server/c (`>1.0.0`)",
    ] {
        assert!(
            stderr.contains(&format!("requested by: dev/bitops.config.yaml → {chain}")),
            "{stderr}"
        );
    }
}

#[test]
fn a_version_that_a_later_config_rules_out_may_be_broken() {
    let mut world = Nested::new();
    // `^1.0` alone would take 1.1.0, which names a tag that does not exist, and 1.2.0, whose config is wrong.
    world.release("broken", &[]);
    let missing = "{repo: '{repo}/broken', environment: env, version: 9.9.9}";
    world.catalog(
        "c",
        &[
            ("1.0.0", &[]),
            ("1.1.0", &[missing]),
            ("1.2.0", &["{repo: '{repo}/broken'}"]),
        ],
    );
    world.release("a", &["{repo: '{repo}/c', environment: env, version: ^1.0}"]);
    world.release("b", &["{repo: '{repo}/b2', environment: env, version: 1.0.0}"]);
    world.release("b2", &["{repo: '{repo}/b3', environment: env, version: 1.0.0}"]);
    world.release("b3", &[C]);
    let b = "{repo: '{repo}/b', environment: env, version: 1.0.0, exclude: [who.txt]}";
    world.0.sources(&[A]);
    let stderr = world.refused(65);
    assert!(stderr.contains("c @ 1.2.0 : env/bitops.config.yaml"), "{stderr}");
    world.0.sources(&[A, b]);
    // b2 and b3 are of the same rank as a, so the environment itself decides about `who.txt`.
    world.0.context.file("dev/who.txt", "me");
    let run = world.0.context.run(["deploy"]).expect_code(0);
    assert!(!run.stderr.contains("error"), "{run}");
    assert_eq!(world.seen_text("dev/c.txt").as_deref(), Some("c 1.0.0"));
}

#[test]
fn the_deciding_entry_is_fetched_with_its_own_options() {
    let mut world = Nested::new();
    world.release("c", &[]);
    // The entry that arrives first leaves the file out. The lowest entry, whose options count, does not.
    world.release("a", &["{repo: '{repo}/a2', environment: env, version: 1.0.0}"]);
    world.release("a2", &[C]);
    world.release(
        "b",
        &["{repo: '{repo}/c', environment: env, version: 1.0.0, exclude: [c.txt]}"],
    );
    world.0.sources(&[
        A,
        "{repo: '{repo}/b', environment: env, version: 1.0.0, exclude: [who.txt]}",
    ]);
    let run = world.0.context.run(["deploy"]).expect_code(0);
    assert_eq!(world.seen_text("dev/c.txt").as_deref(), Some("c 1.0.0"));
    assert!(
        run.stderr.contains("is composed once, with the options of"),
        "{run}"
    );
}

#[test]
fn a_local_path_is_for_the_root_config_only() {
    let mut world = Nested::new();
    world.release("c", &[]);
    let path = world.0.path("c");
    let nested = format!(
        "{{repo: 'file://{}', environment: env, version: 1.0.0}}",
        path.display()
    );
    world.release("a", &[&nested]);
    world.0.sources(&[A]);
    let stderr = world.refused(65);
    assert!(
        stderr.contains("a source's own config cannot name a local path"),
        "{stderr}"
    );
    assert!(stderr.contains("a @ 1.0.0 : env/bitops.config.yaml"), "{stderr}");
}

#[test]
fn policy_holds_for_nested_sources_too() {
    let mut world = Nested::new();
    world.release("c", &[]);
    world.release("a", &[C]);
    world.0.sources(&[A]);
    let only_a = world.0.server.url("a");
    world.0.context.set("BITOPS_COMPOSE_ALLOW", only_a);
    let stderr = world.refused(77);
    assert!(
        stderr.contains("http://server/c is not among the repos"),
        "{stderr}"
    );
    assert_eq!(world.0.server.stats("c").requests(), 0);
}

#[test]
fn a_chain_has_a_limit() {
    let mut world = Nested::new();
    let mut catalog = Catalog::new("deep");
    for level in 0..20 {
        let next = format!(
            "{{repo: '{{repo}}/deep', environment: e{}, version: 1.0.0}}",
            level + 1
        );
        catalog.file(&format!("e{level}/bitops.config.yaml"), world.0.config(&[&next]));
    }
    catalog.file("e20/end.txt", "end").tag("1.0.0");
    world.0.publish(catalog);
    world
        .0
        .sources(&["{repo: '{repo}/deep', environment: e0, version: 1.0.0}"]);
    let stderr = world.refused(65);
    assert!(stderr.contains("a chain of more than 16 sources"), "{stderr}");
    assert_eq!(
        world.0.server.stats("deep").info_refs,
        1,
        "one connection for all of the chain"
    );
}

#[test]
fn every_failing_nested_source_is_reported() {
    let gone = ClosedPort::new();
    let mut world = Nested::new();
    world.release("c", &[]);
    let unreachable = format!(
        "{{repo: '{}/x', environment: env, version: 1.0.0}}",
        gone.address()
    );
    world.release("a", &["{repo: '{repo}/c', environment: env, version: 3.0.0}"]);
    world.release("b", &[&unreachable]);
    world.0.sources(&[A, B]);
    let stderr = world.refused(65);
    assert!(stderr.contains("there is no tag for version `3.0.0`"), "{stderr}");
    assert!(stderr.contains("a @ 1.0.0 : env/bitops.config.yaml"), "{stderr}");
    assert!(stderr.contains("b @ 1.0.0 : env/bitops.config.yaml"), "{stderr}");
}

#[test]
fn a_nested_source_adds_nothing_to_another_environment_unasked() {
    let mut world = Nested::new();
    let mut catalog = Catalog::new("b");
    catalog.file("env/b.txt", "b").file("prod/added.txt", "added");
    world.0.publish(catalog.tag("1.0.0").clone());
    let sharing = B.replace("1.0.0", "1.0.0, shared: [prod]");
    world.catalog("a", &[("1.0.0", &[&sharing])]);
    world.0.context.file("prod/mine.txt", "mine");
    world.0.sources(&[A]);
    let refused = world.refused(77);
    assert!(
        refused.contains("`env` of http://server/b would bring `prod` beside your environment"),
        "{refused}"
    );
    assert!(refused.contains("name it in the local config too"), "{refused}");

    // Both remedies of the message work.
    world.0.sources(&[B, A]);
    world.0.context.run(["deploy"]).expect_code(0);
    assert_eq!(world.seen_text("prod/added.txt"), None);
    assert_eq!(world.seen_text("dev/b.txt").as_deref(), Some("b"));
    world.0.sources(&[&sharing, A]);
    world.0.context.run(["deploy"]).expect_code(0);
    assert_eq!(world.seen_text("prod/added.txt").as_deref(), Some("added"));
    assert_eq!(world.seen_text("prod/mine.txt").as_deref(), Some("mine"));
}

/// The user cannot see from the local config which of the sources brings a config that is not usable.
#[test]
fn a_fault_in_the_config_of_a_source_names_that_source() {
    let list = "default-environments:\n- {repo: x, environment: y, version: 1.0.0}\n";
    let large = format!("# {}\n{list}", "x".repeat(1 << 20));
    let nested = format!("{list}deep: {}\n", "[".repeat(100_000));
    let aliases = format!("a: &a {{x: y}}\ndefault-environments: [{}]\n", "*a, ".repeat(900));
    for bytes in [
        "default-environments: [\n".as_bytes(),
        b"default-environments: {}\n",
        b"default-environments:\n- {repo: x}\n",
        b"default-environments: \xff\n",
        b"\xff\xfed\0default-environments: [\n\0",
        b"default-environments: \"\0\"\n",
        b"bitops:\n  deployments: [a]\n",
        b"bitops:\n  deployments:\n    ../x: {plugin: terraform}\n",
        large.as_bytes(),
        nested.as_bytes(),
        aliases.as_bytes(),
    ] {
        let mut world = Nested::new();
        let mut catalog = Catalog::new("a");
        catalog
            .file("env/terraform/main.tf", "")
            .file("env/bitops.config.yaml", bytes);
        catalog.tag("1.0.0");
        world.0.publish(catalog);
        world
            .0
            .sources(&["{repo: '{repo}/a', environment: env, version: 1.0.0}"]);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
            .escape_debug()
            .to_string();
        let stderr = world.0.context.run(["deploy"]).stderr;
        assert!(world.0.context.pipeline().is_none(), "{shown}: {stderr}");
        assert!(stderr.contains("error: "), "{shown}: {stderr}");
        let errors = stderr.split("error: ").skip(1);
        for error in errors.filter(|error| !error.starts_with("… and")) {
            // A fault of the list is shown where it is, a fault of what is composed at the entry of the source.
            let is_of_list = error.contains("/a @ 1.0.0 : env/bitops.config.yaml");
            let is_of_source = error.contains("\n  A  env 1.0.0 (http://") && error.contains("/a)   dev/");
            assert!(is_of_list || is_of_source, "{shown}: {stderr}");
            assert!(!error.contains(": its deployments"), "{shown}: {stderr}");
        }
    }
}
