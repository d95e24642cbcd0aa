//! The image's own list of deployments: which file it stands in is the pipeline's to say, and what the plan says is what
//! the pipeline does.

use crate::common::{World, catalog, world};
use compose_testkit::{Catalog, Run, standin};

/// A source with one directory that no plugin runs unless a list says so, and build configs that name one deployment each.
fn ready() -> World {
    let world = world(&mut [catalog("c", "env", "idle/file.txt", "text\n")]);
    world.sources(&["{repo: '{repo}/c', environment: env, version: 1.0.0}"]);
    world
}

/// Build configs in a directory of their own, each named by its deployment. `plain` is at BitOps' default path.
fn build_configs(world: &mut World) {
    let dir = world.context.root().join("build");
    std::fs::create_dir(&dir).unwrap();
    for name in [
        "plain", "other", "=other", "-", "-1", "a b", "-a b", "other=x", "-.5", "last",
    ] {
        let file = if name == "plain" {
            "bitops.config.yaml"
        } else {
            name
        };
        let text = format!("bitops:\n  deployments:\n    'is {name}': {{plugin: terraform}}\n");
        std::fs::write(dir.join(file), text).unwrap();
    }
    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &dir);
}

/// The deployments that the warning of the directory names.
fn warned(run: &Run) -> Option<&str> {
    let (_, rest) = run.stderr.split_once("there are is ")?;
    Some(rest.split_once(';').unwrap().0)
}

#[test]
fn an_argument_names_the_file_as_bitops_reads_it() {
    let mut world = ready();
    build_configs(&mut world);
    for (args, named) in [
        (&[][..], "plain"),
        (&["-c", "other"], "other"),
        (&["-ca b"], "a b"),
        (&["--bitops_config=last", "more"], "last"),
        (&["--", "-c", "other"], "plain"),
    ] {
        let words: Vec<&str> = ["deploy"].iter().chain(args).copied().collect();
        let run = world.context.run(words).expect_code(0);
        assert_eq!(warned(&run), Some(named), "{args:?}\n{run}");
        assert!(
            run.stdout.contains(&format!("SKIP is {named}:")),
            "{args:?}\n{run}"
        );
    }
}

#[test]
fn the_variable_goes_before_arguments_and_those_of_the_pipelines_own_words_count() {
    let mut world = ready();
    build_configs(&mut world);
    let words = world.context.variable("BITOPS_COMPOSE_PIPELINE").unwrap();
    let words = format!("{} -c last", words.to_str().unwrap());
    world.context.set("BITOPS_COMPOSE_PIPELINE", &words);
    assert_eq!(warned(&world.context.run(["deploy"])), Some("last"));
    assert_eq!(warned(&world.context.run(["plan"])), None);
    let plan = world.context.run(["plan"]);
    assert!(plan.stdout.contains("there are is last;"), "{plan}");
    assert_eq!(
        warned(&world.context.run(["deploy", "-c", "other"])),
        Some("other")
    );

    // The path is absolute, or relative to the pipeline's directory.
    let absolute = world.context.root().join("build/a b");
    for name in [absolute.to_str().unwrap(), "a b"] {
        world.context.set("BITOPS_BUILD_CONFIG_YAML", name);
        let run = world.context.run(["deploy", "-c", "other"]);
        assert_eq!(warned(&run), Some("a b"), "{name}\n{run}");
    }
}

#[test]
fn a_file_that_the_pipeline_cannot_read_is_reported() {
    let mut world = ready();
    build_configs(&mut world);
    let build = world.context.root().join("build");
    std::fs::write(build.join("broken"), "bitops: {deployments: [a]}\n").unwrap();
    for (name, why) in [
        ("missing", "No such file"),
        (".", "directory"),
        ("broken", "not a mapping"),
    ] {
        let run = world.context.run(["deploy", "-c", name]);
        let message = format!(
            "warning: the deployments of the pipeline's own config {}",
            build.display()
        );
        assert!(run.stderr.contains(&message), "{name}\n{run}");
        assert!(run.stderr.contains(why), "{name}\n{run}");
        assert_eq!(warned(&run), None, "{name}\n{run}");
    }
    // To BitOps, an empty variable is a set one.
    world.context.set("BITOPS_BUILD_CONFIG_YAML", "");
    let run = world.context.run(["deploy"]);
    assert!(
        run.code != Some(0) && run.stderr.contains("are not known"),
        "{run}"
    );
    // Without BitOps nothing is known about deployments, and nothing is reported.
    world.context.unset("BITOPS_BUILD_CONFIG_YAML");
    let nowhere = world.context.root().join("tmp");
    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", nowhere);
    let plan = world.context.run(["plan"]).expect_code(0);
    assert_eq!(plan.stderr, "", "{plan}");
}

/// The pipeline takes `deployments: {}` for a list. A source's would switch off everything; the user's own does so.
#[test]
fn an_empty_list_is_a_list() {
    let mut silent = Catalog::new("silent");
    silent
        .file(
            "env/bitops.config.yaml",
            "bitops:\n  deployments: {}\n  fail_fast: true\n",
        )
        .file("env/terraform/main.tf", "# theirs\n")
        .file("env/terraform/bitops.config.yaml", "terraform: {}\n")
        .tag("1.0.0");
    let world = world(&mut [silent]);
    let entry = "{repo: '{repo}/silent', environment: env, version: 1.0.0}";
    world.sources(&[entry]);
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stdout.contains("DEPLOYMENT terraform"), "{run}");

    let own = format!("{}bitops:\n  deployments: {{}}\n", world.config(&[entry]));
    world.context.file("dev/bitops.config.yaml", own);
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(!run.stdout.contains("DEPLOYMENT"), "{run}");
    assert!(run.stderr.contains("no deployment runs terraform/"), "{run}");
    assert!(run.stderr.contains("there is none"), "{run}");
    let plan = world.context.run(["plan", "--format", "json"]).expect_code(0);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["deployments"], serde_json::json!([]), "{plan:#}");

    // `as` makes a list necessary, which does not bring back the image's deployments.
    let renamed = entry.replace("1.0.0", "1.0.0, as: x");
    let own = format!("{}bitops:\n  deployments: {{}}\n", world.config(&[&renamed]));
    world.context.file("dev/bitops.config.yaml", own);
    world.context.file("dev/terraform/own.tf", "# ours\n");
    let run = world.context.run(["deploy"]).expect_code(0);
    assert!(run.stdout.contains("DEPLOYMENT x-terraform"), "{run}");
    assert!(!run.stdout.contains("DEPLOYMENT terraform"), "{run}");
}

/// The way out of a conflict that a plan on a laptop names is one: a plan has no further conflict, and the image
/// deploys what it says.
#[test]
fn advice_that_is_followed_outside_of_an_image_ends_the_conflict() {
    let source = |name: &str| {
        let mut source = Catalog::new(name);
        source
            .file("env/terraform/main.txt", name)
            .file("env/terraform/bitops.config.yaml", "terraform: {}\n");
        source.tag("1.0.0");
        source
    };
    let mut world = world(&mut [source("c"), source("d")]);
    let entry = |name: &str, more: &str| {
        format!("{{repo: '{{repo}}/{name}', environment: env, version: 1.0.0{more}}}")
    };
    let nowhere = world.context.root().join("nowhere");
    world.sources(&[&entry("c", ""), &entry("d", "")]);
    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &nowhere);
    let plan = world.context.run(["plan"]).expect_code(65);
    for remedy in [
        "  a) dev/bitops.config.yaml:2 (A) or :3 (B)\n       exclude: [\"/terraform/main.txt\"]\n",
        "  b) dev/bitops.config.yaml:3 (B)\n       on-conflict: last\n",
        "  c) dev/bitops.config.yaml:2 (A) or :3 (B)\n       as: NAME\n     both run: the deployment becomes NAME-terraform\n",
        "  d) write your own dev/terraform/main.txt: a local file wins over every source\n",
    ] {
        assert!(plan.stdout.contains(remedy), "{plan}");
    }
    for (first, second, deployed) in [
        ("", ", as: x", &["terraform", "x-terraform"][..]),
        (", as: x", "", &["x-terraform", "terraform"]),
        (", as: x", ", as: y", &["x-terraform", "y-terraform"]),
        (", exclude: [/terraform/main.txt]", "", &["terraform"]),
    ] {
        world.sources(&[&entry("c", first), &entry("d", second)]);
        world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &nowhere);
        let plan = world.context.run(["plan", "--format", "json"]).expect_code(0);
        let planned: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        let planned = planned["deployments"].as_array().unwrap().iter();
        let planned = planned.map(|one| one["name"].as_str().unwrap());
        let planned: Vec<&str> = planned.filter(|name| name.ends_with("terraform")).collect();
        assert!(deployed.iter().all(|name| planned.contains(name)), "{plan}");
        world
            .context
            .set("BITOPS_COMPOSE_PIPELINE_DIR", standin::directory());
        let run = world.context.run(["deploy"]).expect_code(0);
        let ran = run
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("DEPLOYMENT "));
        let ran: Vec<&str> = ran.map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(ran.len(), deployed.len(), "{run}");
        assert_eq!(
            planned
                .into_iter()
                .filter(|name| ran.contains(name))
                .collect::<Vec<_>>(),
            ran
        );
    }
}

/// Outside of an image `as` needs a list as well. That of BitOps' omnibus image is assumed, and the plan says so.
#[test]
fn a_plan_outside_of_an_image_assumes_the_omnibus_images_deployments() {
    let mut source = Catalog::new("c");
    for plugin in ["ansible", "cloudformation", "helm", "idle", "terraform"] {
        source.file(&format!("env/{plugin}/file.txt"), plugin);
    }
    source.tag("1.0.0");
    let mut world = world(&mut [source]);
    world.sources(&["{repo: '{repo}/c', environment: env, version: 1.0.0, as: x}"]);
    let inside = world.context.root().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let omnibus: String = ["cloudformation", "terraform", "helm", "ansible"]
        .map(|name| format!("    {name}:\n      plugin: {name}\n"))
        .concat();
    let omnibus = format!("bitops:\n  deployments:\n{omnibus}");
    std::fs::write(inside.join("bitops.config.yaml"), omnibus).unwrap();
    let custom = world.context.root().join("custom.yaml");
    std::fs::write(&custom, "bitops: {deployments: {idle: {plugin: terraform}}}\n").unwrap();
    let deployments = |world: &World, args: &[&str]| {
        let words = [&["plan", "--format", "json"], args].concat();
        let plan = world.context.run(words).expect_code(0);
        let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        plan["deployments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let assumed =
        "assumes the deployments of BitOps' omnibus image; --image-config FILE names another image's\n";

    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", &inside);
    let in_the_image = deployments(&world, &[]);
    assert!(
        in_the_image.starts_with("\"x-cloudformation\" \"x-terraform\" \"x-helm\" \"x-ansible\" "),
        "{in_the_image}"
    );
    let plan = world.context.run(["plan"]).expect_code(0);
    assert!(!plan.stdout.contains("assumes"), "{plan}");

    let nowhere = world.context.root().join("nowhere");
    world.context.set("BITOPS_COMPOSE_PIPELINE_DIR", nowhere);
    assert_eq!(deployments(&world, &[]), in_the_image);
    let plan = world.context.run(["plan"]).expect_code(0);
    assert!(plan.stdout.contains(assumed), "{plan}");
    assert!(plan.stdout.contains("no deployment runs idle/"), "{plan}");

    // The path is relative to the working directory of the command.
    let root = world.context.root().to_owned();
    world.context.current_dir(&root);
    assert_eq!(
        deployments(&world, &["--image-config", "custom.yaml"]),
        "\"x-idle\" \"idle\""
    );
    let plan = world
        .context
        .run(["plan", "--image-config", "custom.yaml"])
        .expect_code(0);
    assert!(!plan.stdout.contains("assumes"), "{plan}");
    let explained = world
        .context
        .run(["explain", "x-idle/file.txt", "--image-config", "custom.yaml"])
        .expect_code(0);
    assert!(
        explained
            .stdout
            .contains("env/idle/file.txt: the only one that has it"),
        "{explained}"
    );

    for (name, text) in [
        ("missing.yaml", None),
        ("broken.yaml", Some("bitops: {deployments: [a]}\n")),
    ] {
        if let Some(text) = text {
            std::fs::write(root.join(name), text).unwrap();
        }
        let run = world
            .context
            .run(["plan", "--image-config", name])
            .expect_code(65);
        assert!(
            run.stderr
                .contains(&format!("the deployments of {name} cannot be read")),
            "{run}"
        );
    }
}
