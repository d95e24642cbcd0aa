//! Bad input ends the run before the pipeline starts, with a message that names the place and the remedy.

use std::fs;

use crate::common::{World, catalog, world};
use compose_testkit::{
    Catalog,
    server::{ClosedPort, Fault, RequestKind, Rule},
};

/// Runs `deploy`, which must fail with `code`, start no pipeline, leave nothing and change nothing. Returns its output.
#[track_caller]
fn refused(world: &World, code: i32) -> String {
    let before = world.context.ops_repo_fingerprint();
    let run = world.context.run(["deploy"]).expect_code(code);
    assert!(
        world.context.pipeline().is_none(),
        "the pipeline was started\n{run}"
    );
    assert_eq!(run.stdout, "", "stdout is for results");
    world.assert_nothing_left();
    world.context.ops_repo_fingerprint().assert_same_as(&before);
    run.to_string()
}

fn eks() -> Catalog {
    catalog("c", "eks", "terraform/main.txt", "from c")
}

#[test]
fn all_mistakes_of_a_config_are_reported_together() {
    let world = world(&mut []);
    world.context.file(
        "dev/bitops.config.yaml",
        "bitops:\n  fail_fast: true\ndefault-environments:\n\
         - repo: https://example.com/org/c\n  enviroment: eks\n  version: 1.0.0\n\
         - repo: ext::sh -c id\n  environment: eks\n  version: 1.0.0\n  ref: main\n\
         - repo: https://me:hunter2@example.com/org/c\n  environment: ../eks\n\
         - repo: https://example.com/org/c\n  environment: eks\n  version: main\n",
    );
    let output = refused(&world, 65);
    assert!(!output.contains("hunter2"), "{output}");
    insta::assert_snapshot!(output);
}

#[test]
fn a_config_that_is_not_yaml() {
    let world = world(&mut []);
    world
        .context
        .file("dev/bitops.config.yaml", "default-environments:\n- repo: [\n");
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn all_failing_sources_are_reported_together() {
    let gone = ClosedPort::new();
    let world = world(&mut [eks()]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 9.9.9}",
        "{repo: '{repo}/missing', environment: eks, version: 1.0.0}",
        &format!(
            "{{repo: '{}/c', environment: eks, version: 1.0.0}}",
            gone.address()
        ),
    ]);
    // The user can fix the tag without help, so its code takes precedence.
    insta::assert_snapshot!(refused(&world, 65));
}

/// A source that cannot be used is reported together with one that cannot be fetched.
#[test]
fn sources_that_fail_at_different_stages_are_reported_together() {
    let mut catalog = eks();
    catalog.symlink("bad/passwd", "/etc/passwd").tag("2.0.0");
    let world = world(&mut [catalog]);
    let failing = [
        "{repo: '{repo}/c', environment: ekz, version: 1.0.0}",
        "{repo: '{repo}/c', environment: eks, version: 9.9.9}",
        "{repo: '{repo}/c', environment: bad, version: 2.0.0}",
        "{repo: '{repo}/missing', environment: web, version: 1.0.0}",
    ];
    world.sources(&failing);
    insta::assert_snapshot!(refused(&world, 65));
    // Whichever two they are.
    let messages = [
        "has no environment `ekz`",
        "no tag for version `9.9.9`",
        "bad/passwd",
        "no such repository",
    ];
    for one in 0..failing.len() {
        for other in 0..one {
            world.sources(&[failing[other], failing[one]]);
            let output = refused(&world, 65);
            for message in [messages[other], messages[one]] {
                assert!(output.contains(message), "{message}\n{output}");
            }
        }
    }
}

#[test]
fn an_unreachable_repo() {
    let gone = ClosedPort::new();
    let world = world(&mut []);
    world.sources(&[&format!(
        "{{repo: '{}/c', environment: eks, version: 1.0.0}}",
        gone.address()
    )]);
    insta::assert_snapshot!(refused(&world, 69));
}

#[test]
fn a_tag_that_does_not_exist() {
    let mut catalog = eks();
    catalog.file("eks/terraform/more.txt", "").tag("1.0.2");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.1}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn an_environment_that_does_not_exist() {
    let world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: ekz, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn directories_that_an_entry_names_and_the_repo_does_not_have() {
    let mut catalog = eks();
    catalog.file("_scripts/login.sh", "echo login\n").tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.1.0, default-folder: _default, shared: [_script, _scripts]}",
    ]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn two_sources_with_the_same_path() {
    let world = world(&mut [eks(), catalog("d", "web", "terraform/main.txt", "from d")]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn the_same_bytes_twice_are_one_file() {
    let world = world(&mut [eks(), catalog("d", "web", "terraform/main.txt", "from c")]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_file_where_another_layer_has_a_directory() {
    let world = world(&mut [eks()]);
    world.context.file("dev/terraform", "a file");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_symlink_that_leaves_the_repo() {
    let mut catalog = eks();
    catalog
        .symlink("eks/passwd", "../../../../etc/passwd")
        .symlink("eks/absolute", "/etc/passwd")
        .tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn symlinks_of_every_bad_kind_are_reported_together() {
    let mut catalog = Catalog::new("c");
    let bad = [
        ("a", "gone.txt"),
        ("b", "link"),
        ("c", "/etc/passwd"),
        ("d", "../../../etc/passwd"),
        ("e", "../.git/config"),
    ];
    for (environment, target) in bad {
        catalog.symlink(&format!("{environment}/link"), target);
    }
    catalog.tag("1.0.0");
    let world = world(&mut [catalog]);
    let entries = bad.map(|(environment, _)| {
        format!("{{repo: '{{repo}}/c', environment: {environment}, version: 1.0.0}}")
    });
    world.sources(&entries.each_ref().map(String::as_str));
    insta::assert_snapshot!(refused(&world, 65));
}

/// Two sources with these files.
fn two(c: &[(&str, &str)], d: &[(&str, &str)]) -> World {
    let catalog = |name: &str, environment: &str, files: &[(&str, &str)]| {
        let mut catalog = Catalog::new(name);
        for (path, text) in files {
            catalog.file(&format!("{environment}/{path}"), text);
        }
        catalog.tag("1.0.0");
        catalog
    };
    let world = world(&mut [catalog("c", "eks", c), catalog("d", "web", d)]);
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0}",
    ]);
    world
}

#[test]
fn keys_that_differ_between_sources() {
    let world = two(
        &[
            ("helm/a/values.yaml", "image:\n  tag: 1.10\nport: 80\n"),
            ("x.json", "{\"a\": 1}\n"),
            ("terraform/x.auto.tfvars", "region = \"a\"\n"),
        ],
        &[
            ("helm/a/values.yaml", "image:\n  tag: 1.1\nport: 81\n"),
            ("x.json", "{\"a\": 2}\n"),
            ("terraform/x.auto.tfvars", "# b\nregion = \"b\"\n"),
        ],
    );
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_file_of_two_sources_that_does_not_parse() {
    let world = two(
        &[
            ("helm/a/values.yaml", "port: 80\n"),
            ("terraform/terraform.tfvars", "a = 1\n"),
            ("x.json", "{}\n"),
            ("play.yaml", "- hosts: a\n"),
        ],
        &[
            ("helm/a/values.yaml", "port: [\n"),
            ("terraform/terraform.tfvars", "a {\n}\n"),
            ("x.json", "{,}\n"),
            ("play.yaml", "- hosts: b\n"),
        ],
    );
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn hooks_of_two_sources() {
    let hook = "terraform/bitops.before-deploy.d/login.sh";
    let world = two(&[(hook, "echo c\n")], &[(hook, "echo d\n")]);
    insta::assert_snapshot!(refused(&world, 65));
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0, hooks: false}",
    ]);
    let plan = world.context.run(["plan"]).expect_code(0);
    assert!(plan.stdout.contains(hook), "{plan}");
}

#[test]
fn providers_locked_in_two_versions() {
    let lock = |version: &str| {
        format!(
            "provider \"registry.terraform.io/hashicorp/aws\" {{\n  version = \"{version}\"\n  hashes = [\n    \"h1:{version}=\",\n  ]\n}}\n"
        )
    };
    let (c, d) = (lock("5.1.0"), lock("5.2.0"));
    let path = "terraform/.terraform.lock.hcl";
    let world = two(&[(path, &c)], &[(path, &d)]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn everything_that_terraform_allows_once() {
    let all = "resource \"a\" \"r\" {}\ndata \"a\" \"d\" {}\nmodule \"m\" {\n  source = \"./m\"\n}\nvariable \"v\" {}\n\
               output \"o\" {\n  value = 1\n}\nlocals {\n  l = 1\n}\nprovider \"p\" {}\nterraform {\n  backend \"s3\" {}\n}\n";
    let json = r#"{"resource": {"a": {"r": {}}}, "variable": {"v": {}}}"#;
    let world = two(&[("terraform/c.tf", all)], &[("terraform/d.tf", all)]);
    insta::assert_snapshot!(refused(&world, 65));
    // Both syntaxes, and the user's own files.
    let world = two(&[("terraform/c.tf", all)], &[("x.txt", "d\n")]);
    world.context.file("dev/terraform/own.tf.json", json);
    insta::assert_snapshot!("everything_that_terraform_allows_once_json", refused(&world, 65));
}

#[test]
fn names_that_are_one_on_other_systems() {
    let world = two(
        &[("app/README.md", "c\n"), ("app/caf\u{e9}.txt", "c\n")],
        &[("app/readme.md", "d\n"), ("app/cafe\u{301}.txt", "d\n")],
    );
    world.context.file("dev/APP/x.txt", "mine\n");
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_directory_and_a_file_of_two_sources() {
    let world = two(&[("app/x", "a file\n")], &[("app/x/y", "below\n")]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn one_deployment_with_two_plugins() {
    let config = |plugin: &str| format!("bitops:\n  deployments:\n    app:\n      plugin: {plugin}\n");
    let (c, d) = (config("helm"), config("terraform"));
    let world = two(
        &[("bitops.config.yaml", &c), ("app/c.txt", "c\n")],
        &[("bitops.config.yaml", &d), ("app/d.txt", "d\n")],
    );
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn two_sources_with_the_same_as() {
    let world = two(
        &[("terraform/x.txt", "c\n"), ("terraform/c.txt", "c\n")],
        &[("terraform/x.txt", "d\n"), ("terraform/d.txt", "d\n")],
    );
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: 1.0.0, as: blue}",
        "{repo: '{repo}/d', environment: web, version: 1.0.0, as: blue}",
    ]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_git_lfs_pointer() {
    let mut catalog = eks();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    catalog.file("eks/image.bin", pointer).tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0, exclude: [image.bin]}"]);
    world.context.run(["deploy"]).expect_code(0);
}

#[test]
fn a_submodule() {
    let mut catalog = eks();
    catalog
        .submodule("eks/modules/vpc", "0123456789012345678901234567890123456789")
        .tag("1.1.0");
    let world = world(&mut [catalog]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.1.0}"]);
    insta::assert_snapshot!(refused(&world, 65));
}

#[test]
fn a_repo_that_wants_credentials() {
    let world = world(&mut [eks()]);
    world.server.inject(
        "c",
        Fault::Status {
            code: 401,
            retry_after: None,
        },
    );
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 77));
}

#[test]
fn a_repo_that_policy_refuses() {
    let mut world = world(&mut [eks()]);
    world
        .context
        .set("BITOPS_COMPOSE_ALLOW", "https://github.com/our-org/*");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    insta::assert_snapshot!(refused(&world, 77));
    assert_eq!(world.server.requests().len(), 0);
}

/// Redirects the first request for `c` to this machine's other name.
fn redirected(world: &World, code: u16) -> String {
    let to = world.server.address().replace("127.0.0.1", "localhost");
    let fault = Fault::Redirect { code, to: to.clone() };
    world
        .server
        .inject("c", Rule::from(fault).on(RequestKind::InfoRefs).times(1));
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    format!("{to}/c")
}

#[test]
fn a_redirect_to_a_repo_that_policy_does_not_allow() {
    for code in [301, 302, 307, 308] {
        let mut world = world(&mut [eks()]);
        redirected(&world, code);
        let allowed = format!("{}/*", world.server.address());
        world.context.set("BITOPS_COMPOSE_ALLOW", &allowed);
        let stderr = refused(&world, 77);
        assert!(
            stderr.contains("which BITOPS_COMPOSE_ALLOW does not allow"),
            "{stderr}"
        );
        assert!(
            stderr.contains("redirects to http://localhost:[PORT]/c,"),
            "{stderr}"
        );
        let plan = world.context.run(["plan"]).expect_code(0);
        assert_eq!(
            plan.stderr.matches("localhost").count(),
            0,
            "the server no longer redirects: {plan}"
        );
    }
}

#[test]
fn a_repo_that_has_moved_for_good_is_a_warning() {
    for (code, warned) in [(301, true), (308, true), (302, false), (307, false)] {
        let world = world(&mut [eks()]);
        let to = redirected(&world, code);
        let run = world.context.run(["deploy"]).expect_code(0);
        let warning = format!("has permanently moved to {to}");
        assert_eq!(run.stderr.matches(&warning).count(), usize::from(warned), "{run}");
        assert_eq!(
            run.stderr.matches(&format!("is redirected to {to}")).count(),
            1,
            "{run}"
        );
    }
}

#[test]
fn a_home_that_cannot_be_written() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    // Root may write anywhere but below a file.
    let file = world.context.root().join("file");
    fs::write(&file, "").unwrap();
    std::os::unix::fs::symlink(world.context.ops_repo(), world.context.root().join("ops")).unwrap();
    let ops = world.context.root().join("ops");
    world
        .context
        .set("BITOPS_COMPOSE_HOME", file.join("home"))
        .set("BITOPS_COMPOSE_OPS_REPO", ops);
    insta::assert_snapshot!(refused(&world, 73));
}

#[test]
fn an_operations_repo_that_is_not_a_link() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let repo = world.context.ops_repo();
    world.context.set("BITOPS_COMPOSE_OPS_REPO", &repo);
    insta::assert_snapshot!(refused(&world, 73));
}

#[test]
fn a_pipeline_that_cannot_be_started() {
    for (pipeline, code) in [
        ("absent-program deploy", 127),
        ("./not-executable", 126),
        ("'unclosed", 2),
    ] {
        let mut world = world(&mut [eks()]);
        world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
        let dir = world.context.root().join("pipeline");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("not-executable"), "").unwrap();
        world
            .context
            .set("BITOPS_COMPOSE_PIPELINE", pipeline)
            .set("BITOPS_COMPOSE_PIPELINE_DIR", &dir)
            // A program without a directory in its name is searched here alone.
            .set("PATH", &dir);
        let output = refused(&world, code);
        insta::assert_snapshot!(format!("a_pipeline_that_cannot_be_started_{code}"), output);
        assert_eq!(
            world.server.requests().len(),
            0,
            "what fails at the end is better known at the start"
        );
    }
}

#[test]
fn invalid_settings_are_reported_together() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_JOBS", "many")
        .set("BITOPS_COMPOSE_TIMEOUT", "-1");
    insta::assert_snapshot!(refused(&world, 2));
}

#[test]
fn a_wrong_command_line_is_reported_as_json_too() {
    let mut world = world(&mut []);
    world.context.set("BITOPS_COMPOSE_LOG_FORMAT", "json");
    for (args, message) in [
        (&["plan", "--bogus"][..], "unexpected argument '--bogus' found"),
        (&["pln"], "unrecognized subcommand 'pln'"),
        (
            &["explain"],
            "the following required arguments were not provided:\n  <PATH[:KEY]>",
        ),
        (&[], "no command is named"),
    ] {
        let run = world.context.run(args).expect_code(2);
        let error: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        assert_eq!(
            (&error["message"], &error["exit_code"]),
            (&message.into(), &2.into()),
            "{run}"
        );
        assert_eq!(
            (error["hints"].as_array().unwrap().len(), run.stdout.as_str()),
            (1, ""),
            "{run}"
        );
    }
    let help = world.context.run(["plan", "--help"]).expect_code(0);
    assert!(help.stdout.contains("Usage:") && help.stderr.is_empty(), "{help}");
}

#[test]
fn the_time_for_all_fetching_is_limited() {
    let mut world = world(&mut [eks()]);
    world.server.inject("c", Fault::Stall);
    world.context.set("BITOPS_COMPOSE_TIMEOUT", "1");
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let started = std::time::Instant::now();
    insta::assert_snapshot!(refused(&world, 75));
    compose_testkit::figures::record(
        14,
        "a server that never answers, limit of 1 s: to exit",
        format!("{} ms", started.elapsed().as_millis()),
    );
}

#[test]
fn errors_as_json_and_as_annotations() {
    let mut world = world(&mut [eks()]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 9.0.0}"]);
    world
        .context
        .set("BITOPS_COMPOSE_LOG_FORMAT", "json")
        .set("GITHUB_ACTIONS", "true");
    // The address ends with a port, whose length varies.
    world.context.filter(r"endColumn=\d+", "endColumn=[END]");
    insta::assert_snapshot!(refused(&world, 65));
}
