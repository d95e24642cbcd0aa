//! `upgrade`, and what `outdated` shows beside it.

use compose_testkit::Catalog;

use super::{World, json, world};
use crate::common::catalog;

/// A catalog with four versions, of which one brings a hook and one is a pre-release; a second one with a `v` in its tags; a
/// third one that is never at a version.
fn catalogs() -> World {
    let mut c = Catalog::new("c");
    c.file("eks/terraform/main.txt", "one\n")
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("1.0.0")
        .file("eks/terraform/main.txt", "two\n")
        .file("eks/terraform/bitops.before-deploy.d/10-login.sh", "true\n")
        .tag("1.2.0")
        .file("eks/terraform/main.txt", "three\n")
        .tag("2.1.0")
        .tag("3.0.0-rc.1");
    let mut d = catalog("d", "web", "helm/web/values.yaml", "port: 80\n");
    d.tag("v1.3.0").tag("v2.0.1");
    let mut world = world(&mut [c, d, catalog("r", "own", "x.txt", "x\n")]);
    world.context.set("BITOPS_ENVIRONMENT", "dev");
    world
}

/// Comments, quotes and styles of all kinds.
const CONFIG: &str = "# dev\nbitops:\n  fail_fast: true # always\ndefault-environments:\n\
    - repo: {repo}/c # ours\n  environment: eks\n  version:   '1.0.0'   # pinned\n\
    - {repo: '{repo}/d', environment: web, version: ^1.2} # a range\n\
    - repo: {repo}/r\n  environment: own\n  ref: main\n";

fn write(world: &World, config: &str) {
    let config = config.replace("{repo}", &world.server.address());
    world.context.file("dev/bitops.config.yaml", config);
}

fn read(world: &World, file: &str) -> Option<String> {
    std::fs::read_to_string(world.context.ops_repo().join(file)).ok()
}

/// Returns the config with the server's address taken out.
fn config(world: &World) -> String {
    let text = read(world, "dev/bitops.config.yaml").unwrap();
    text.replace(&world.server.address(), "{repo}")
}

#[test]
fn versions_move_in_the_text_and_the_lock_follows() {
    let world = catalogs();
    write(&world, CONFIG);
    world.context.run(["lock"]).expect_code(0);
    let lock = read(&world, "dev/bitops.lock.yaml").unwrap();
    let dry = world.context.run(["upgrade", "--dry-run"]).expect_code(0);
    insta::assert_snapshot!("upgrade_dry_run", dry);
    assert_eq!(config(&world), CONFIG);
    assert_eq!(read(&world, "dev/bitops.lock.yaml").unwrap(), lock);
    world
        .context
        .run(["upgrade", "--dry-run", "--check"])
        .expect_code(1);
    insta::assert_snapshot!("upgrade", world.context.run(["upgrade"]).expect_code(0));
    let compatible = CONFIG.replace("'1.0.0'", "'1.2.0'");
    assert_eq!(config(&world), compatible);
    world.context.run(["plan", "--locked"]).expect_code(0);
    assert!(
        read(&world, "dev/bitops.lock.yaml")
            .unwrap()
            .contains(&world.repo("c").commit("1.2.0"))
    );
    world
        .context
        .run(["upgrade", "--dry-run", "--check"])
        .expect_code(0);
    let again = world.context.run(["upgrade", "eks"]).expect_code(0);
    assert!(again.stdout.contains("nothing to upgrade"), "{again}");
    insta::assert_snapshot!(
        "upgrade_major",
        world.context.run(["upgrade", "--major"]).expect_code(0)
    );
    let newest = compatible.replace("'1.2.0'", "'2.1.0'").replace("^1.2", "^2.0");
    assert_eq!(config(&world), newest);
    world.context.run(["plan", "--locked"]).expect_code(0);
    insta::assert_snapshot!(
        "upgrade_nothing",
        world.context.run(["upgrade", "--major"]).expect_code(0)
    );
    // Without a lock, none is made.
    write(&world, CONFIG);
    std::fs::remove_file(world.context.ops_repo().join("dev/bitops.lock.yaml")).unwrap();
    world.context.run(["upgrade"]).expect_code(0);
    assert_eq!(config(&world), compatible);
    assert_eq!(read(&world, "dev/bitops.lock.yaml"), None);
}

#[test]
fn sources_environments_and_a_version_are_named() {
    let mut world = catalogs();
    write(&world, CONFIG);
    let done = world
        .context
        .run(["upgrade", "dev", "eks", "--to", "2.1.0", "--format", "json"])
        .expect_code(0);
    let done = json(&done);
    assert_eq!(done["sources"][0]["before"]["tag"], "1.0.0", "{done}");
    assert_eq!(done["sources"][0]["after"]["tag"], "2.1.0", "{done}");
    assert_eq!(
        (&done["written"], done["left"].as_array().unwrap().len()),
        (&true.into(), 0)
    );
    assert_eq!(
        done["files"][0]["path"], "dev/terraform/bitops.before-deploy.d/10-login.sh",
        "{done}"
    );
    assert_eq!(config(&world), CONFIG.replace("'1.0.0'", "'2.1.0'"));
    // A pre-release and an older version are taken if they are named, and a range may become another.
    for (name, version, expected) in [
        ("c", "3.0.0-rc.1", "'3.0.0-rc.1'"),
        ("c", "1.0.0", "'1.0.0'"),
        ("c", ">=1, <3", "'>=1, <3'"),
    ] {
        world
            .context
            .run(["upgrade", name, "--to", version])
            .expect_code(0);
        assert_eq!(config(&world), CONFIG.replace("'1.0.0'", expected), "{version}");
    }
    write(&world, CONFIG);
    for (args, code, said) in [
        (
            &["upgrade", "eks", "web", "--to", "1.0.0"][..],
            2,
            "exactly one source",
        ),
        (&["upgrade", "--to", "1.0.0"], 2, "exactly one source"),
        (&["upgrade", "eks", "--to", "main"], 2, "`--to` is not usable"),
        (
            &["upgrade", "eks", "--to", "9.9.9"],
            65,
            "there is no tag for version `9.9.9`",
        ),
        (&["upgrade", "own", "--to", "1.0.0"], 2, "is at the ref `main`"),
        (
            &["upgrade", "absent"],
            2,
            "no source of dev/bitops.config.yaml is called `absent`",
        ),
        (&["upgrade", "--check"], 2, "--dry-run"),
    ] {
        let run = world.context.run(args).expect_code(code);
        assert!(run.stderr.contains(said), "{args:?}: {run}");
        assert_eq!(config(&world), CONFIG, "{args:?}");
    }
    // Every environment, each repo looked at once.
    let text = read(&world, "dev/bitops.config.yaml").unwrap();
    world.context.file("stacks/prod/bitops.config.yaml", &text);
    world
        .context
        .set("BITOPS_COMPOSE_CACHE", world.context.root().join("another-cache"));
    let before = world.server.stats("d").requests();
    let all = world
        .context
        .run(["upgrade", "--all", "web", "--major", "--format", "json"])
        .expect_code(0);
    let all = json(&all);
    assert_eq!(all["environments"].as_array().unwrap().len(), 2, "{all}");
    for file in ["dev/bitops.config.yaml", "stacks/prod/bitops.config.yaml"] {
        assert_eq!(
            read(&world, file).unwrap(),
            text.replace("^1.2", "^2.0"),
            "{file}"
        );
    }
    // Two for the refs, and one for each commit.
    let requests = world.server.stats("d").requests() - before;
    assert!(requests <= 4, "{requests}");
}

#[test]
fn what_an_entry_ignores_is_never_taken() {
    let world = catalogs();
    let text = "default-environments:\n- repo: {repo}/c\n  environment: eks\n  version: 1.0.0\n  upgrade:\n    ignore: ['>=2']\n\
        - {repo: '{repo}/d', environment: web, version: 1.0.0, upgrade: {ignore: ['*']}}\n";
    write(&world, text);
    let run = world.context.run(["upgrade", "--major"]).expect_code(0);
    assert_eq!(config(&world), text.replacen("1.0.0", "1.2.0", 1));
    assert!(
        run.stdout
            .contains("its `upgrade: ignore` leaves out what is newer"),
        "{run}"
    );
    world.context.run(["lock"]).expect_code(0);
    let outdated = world.context.run(["outdated"]).expect_code(0);
    assert!(!outdated.stdout.contains("bitops-compose upgrade"), "{outdated}");
}

#[test]
fn conflicts_and_failures_leave_everything_as_it_was() {
    let mut world = catalogs();
    let mut e = catalog("e", "web", "terraform/main.txt", "one\n");
    e.file("web/terraform/main.txt", "other\n").tag("1.1.0");
    world.publish(e);
    let text = "default-environments:\n- {repo: '{repo}/c', environment: eks, version: 1.0.0}\n\
        - {repo: '{repo}/e', environment: web, version: 1.0.0}\n";
    write(&world, text);
    world.context.run(["lock"]).expect_code(0);
    let lock = read(&world, "dev/bitops.lock.yaml").unwrap();
    for format in ["text", "markdown", "json"] {
        let run = world.context.run(["upgrade", "--format", format]).expect_code(65);
        assert!(run.stderr.contains("contents differ"), "{run}");
        assert_eq!(config(&world), text);
        assert_eq!(read(&world, "dev/bitops.lock.yaml").unwrap(), lock);
    }
    // A tag that moved since it was locked, though the config went back to an older one.
    write(&world, &text.replacen("1.0.0", "1.2.0", 1).replace("/e'", "/d'"));
    world.context.run(["lock"]).expect_code(0);
    let moved = text.replace("/e'", "/d'");
    write(&world, &moved);
    world.repo("c").git(["tag", "--force", "1.2.0", "2.1.0"]);
    let run = world.context.run(["upgrade", "eks"]).expect_code(65);
    assert!(
        run.stderr.contains("the tag `1.2.0` of") && run.stderr.contains("was moved"),
        "{run}"
    );
    assert_eq!(config(&world), moved);
    world
        .context
        .run(["upgrade", "eks", "--accept-moved", "--dry-run"])
        .expect_code(0);
    // A repo that is gone.
    std::fs::remove_dir_all(world.path("d")).unwrap();
    let run = world.context.run(["upgrade"]).expect_code(69);
    assert_eq!(config(&world), moved, "{run}");
}

/// The repos stand on github.com, but are fetched from the server.
fn on_github(world: &mut World) {
    let config = format!(
        "[url \"{}/\"]\n\tinsteadOf = https://github.com/o/\n",
        world.server.address()
    );
    let file = world.context.root().join("gitconfig");
    std::fs::write(&file, config).unwrap();
    world.context.set("GIT_CONFIG_GLOBAL", &file);
}

#[test]
fn a_pull_request_has_versions_links_hooks_and_the_diff() {
    let mut world = catalogs();
    on_github(&mut world);
    let text = CONFIG.replace("{repo}/c", "https://github.com/o/c");
    write(&world, &text);
    let args = ["upgrade", "--major", "--format", "markdown"];
    let page = world.context.run(args).expect_code(0);
    assert!(
        page.stdout
            .contains("[compare](https://github.com/o/c/compare/1.0.0...2.1.0)"),
        "{page}"
    );
    insta::assert_snapshot!("upgrade_markdown", page);
    let none = world.context.run(args).expect_code(0);
    assert!(none.stdout.contains("Nothing to upgrade."), "{none}");
}

#[test]
fn what_moves_along_with_a_source_is_shown() {
    let mut base = catalog("base", "base", "x.txt", "one\n");
    base.file("base/x.txt", "two\n").tag("2.0.0");
    let world = world(&mut [base]);
    let nesting = |version: &str| {
        format!(
            "default-environments:\n- {{repo: '{}/base', environment: base, version: {version}}}\n",
            world.server.address()
        )
    };
    let mut c = Catalog::new("c");
    c.file("eks/bitops.config.yaml", nesting("1.0.0"))
        .tag("1.0.0")
        .file("eks/bitops.config.yaml", nesting("2.0.0"))
        .tag("1.1.0");
    let world = world.with(c);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world.context.run(["lock"]).expect_code(0);
    let run = world.context.run(["upgrade"]).expect_code(0);
    assert!(
        run.stdout
            .contains("/base: `1.0.0` -> `2.0.0`, named by another source\n"),
        "{run}"
    );
    assert!(run.stdout.contains("1 composed file changes"), "{run}");
    world.context.run(["plan", "--locked"]).expect_code(0);
}

/// Returns the commands that an output names, each as its words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let named = text
        .split('`')
        .filter_map(|part| part.strip_prefix("bitops-compose upgrade "));
    named
        .map(|rest| {
            std::iter::once("upgrade")
                .chain(rest.split(' '))
                .map(ToOwned::to_owned)
                .collect()
        })
        .collect()
}

#[test]
fn outdated_shows_what_lies_outside_and_its_commands_work() {
    let mut world = catalogs();
    write(&world, CONFIG);
    world.context.run(["lock"]).expect_code(0);
    let outdated = world.context.run(["outdated", "--check"]).expect_code(0);
    insta::assert_snapshot!("outdated_outside", outdated);
    let report = json(&world.context.run(["outdated", "--format", "json"]).expect_code(0));
    let versions: Vec<_> = report["outside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1.2.0", "2.1.0", "^2.0"]);
    // From several directories, with and without the variable, and beside an environment that is called like a source.
    let text = read(&world, "dev/bitops.config.yaml").unwrap();
    world.context.file("eks/bitops.config.yaml", "bitops: {}\n");
    let (ops, root) = (world.context.ops_repo(), world.context.root().to_owned());
    std::fs::create_dir(ops.join(".git")).unwrap();
    world
        .context
        .unset("BITOPS_ENVIRONMENT")
        .set("BITOPS_COMPOSE_OPS_REPO", root.join("absent"))
        .set("BITOPS_COMPOSE_HOME", root.join("absent"));
    let dev = ops.join("dev");
    for (dir, args) in [
        (&dev, &["outdated"][..]),
        (&ops, &["outdated", "dev"]),
        (&root, &["outdated", dev.to_str().unwrap()]),
        (&root, &["-C", dev.to_str().unwrap(), "outdated"]),
        (&root, &["outdated", "dev", "--ops-repo", ops.to_str().unwrap()]),
        (&ops, &["upgrade", "dev", "--dry-run"]),
    ] {
        world.context.current_dir(dir);
        let run = world.context.run(args).expect_code(0);
        let commands = commands(&run.stdout);
        assert!(commands.len() > 1, "{run}");
        for command in commands {
            let done = world.context.run(&command).expect_code(0);
            assert!(done.stdout.contains("1 source upgraded"), "{command:?}: {done}");
            world.context.file("dev/bitops.config.yaml", &text);
        }
    }
}
