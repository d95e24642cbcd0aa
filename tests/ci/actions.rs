//! The project's own actions and workflow, their steps run as a runner runs them, without a container engine:
//! `tests/containers/actions.rs` has those that start the image.

use std::fs;

use super::job::{job, read};
use super::project;

#[test]
fn no_input_is_text_of_a_script() {
    for file in [
        "action.yml",
        "setup/action.yml",
        ".github/workflows/update.yml",
        ".github/workflows/release.yml",
    ] {
        let text = read(&project().join(file));
        let document: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        let mut scripts = Vec::new();
        collect(&document, &mut scripts);
        assert!(!scripts.is_empty(), "{file}");
        for script in scripts {
            assert!(!script.contains("${{"), "{file}: {script}");
        }
    }
}

fn collect(value: &serde_yaml::Value, scripts: &mut Vec<String>) {
    match value {
        serde_yaml::Value::Mapping(map) => {
            for (key, value) in map {
                if key == "run" && value.is_string() {
                    scripts.push(value.as_str().unwrap().to_owned());
                }
                collect(value, scripts);
            }
        }
        serde_yaml::Value::Sequence(all) => all.iter().for_each(|value| collect(value, scripts)),
        _ => {}
    }
}

#[test]
fn the_image_is_that_of_the_actions_version_or_the_one_named() {
    for (reference, with, image) in [
        ("v0.1.0", vec![], Some("ghcr.io/bitovi/bitops-compose:0.1.0")),
        (
            "v0.1.0",
            vec![("version", "0.2.0")],
            Some("ghcr.io/bitovi/bitops-compose:0.2.0"),
        ),
        (
            "main",
            vec![("version", "v0.2.0")],
            Some("ghcr.io/bitovi/bitops-compose:0.2.0"),
        ),
        ("main", vec![("image", "mine:1")], Some("mine:1")),
        ("main", vec![], None),
    ] {
        let mut job = job();
        job.docker().runner.context("github.action_ref", reference);
        let own = job.own();
        let done = job.runner.action(&own, &with);
        match image {
            Some(image) => {
                done.expect_code(0);
                assert_eq!(job.docker_arguments().last().map(String::as_str), Some(image));
            }
            None => {
                let done = done.expect_code(2);
                assert!(
                    done.last()
                        .stderr
                        .contains("::error title=bitops-compose::name the image"),
                    "{}",
                    done.last()
                );
            }
        }
    }
}

#[test]
fn arguments_are_words_and_never_code() {
    let mut job = job();
    job.docker();
    let own = job.own();
    let with = [
        ("image", "mine:1"),
        (
            "args",
            "--a='b c' \"$(touch hacked)\" `touch hacked` ; touch hacked *",
        ),
        ("options", "--network=host --label 'x y'"),
        ("environment", "$(touch hacked)"),
    ];
    job.runner.action(&own, &with).expect_code(0);
    let arguments = job.docker_arguments();
    let image = arguments.iter().position(|word| word == "mine:1").unwrap();
    assert_eq!(arguments[image - 3..image], ["--network=host", "--label", "x y"]);
    let expected = [
        "--a=b c",
        "$(touch hacked)",
        "`touch",
        "hacked`",
        ";",
        "touch",
        "hacked",
        "*",
    ];
    assert_eq!(arguments[image + 1..], expected);
    assert!(!job.path("app/app/hacked").exists());
    let environment = read(&job.path("docker.environment"));
    assert!(
        environment.contains("\nBITOPS_ENVIRONMENT=$(touch hacked)\n"),
        "{environment}"
    );

    for (with, message) in [
        (("args", "'"), "a quote is not closed in the input args"),
        (
            ("command", "plan; touch hacked"),
            "the input command is no command",
        ),
        (("command", "--help"), "the input command is no command"),
        (
            ("ops-repo", "nowhere"),
            "there is no directory nowhere in the workspace",
        ),
    ] {
        let done = job
            .runner
            .action(&own, &[("image", "mine:1"), with])
            .expect_code(2);
        assert!(done.last().stderr.contains(message), "{}", done.last());
    }
}

#[test]
fn secrets_and_variables_reach_the_container_by_name() {
    let mut job = job();
    job.docker();
    for (name, value) in [
        ("AWS_SECRET_ACCESS_KEY", "aws-secret"),
        ("TF_VAR_x", "tf"),
        ("DATADOG_KEY", "datadog-secret"),
        ("UNRELATED", "unrelated"),
        ("GITHUB_SERVER_URL", "https://github.my-corp.example:8443"),
    ] {
        job.runner.variable(name, value);
    }
    let own = job.own();
    let with = [
        ("image", "mine:1"),
        ("token", "token-of-ours"),
        ("pass-env", "DATADOG_*"),
        ("environment", "dev"),
        ("locked", "true"),
    ];
    job.runner.action(&own, &with).expect_code(0);
    let arguments = job.docker_arguments();
    let shown = arguments.join("\n");
    for secret in ["aws-secret", "datadog-secret", "token-of-ours"] {
        assert!(
            !shown.contains(secret),
            "the process list shows {secret}: {shown}"
        );
    }
    let passed: Vec<&str> = arguments
        .iter()
        .filter_map(|word| word.strip_prefix("--env="))
        .collect();
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "TF_VAR_x",
        "DATADOG_KEY",
        "BITOPS_ENVIRONMENT",
        "BITOPS_COMPOSE_LOCKED",
        "BITOPS_COMPOSE_TOKEN_GITHUB_MY__CORP_EXAMPLE",
        "GITHUB_OUTPUT",
        "GITHUB_STEP_SUMMARY",
        "GITHUB_WORKSPACE",
        "GITHUB_ACTIONS",
        "RUNNER_TEMP",
        "CI",
    ] {
        assert!(passed.contains(&name), "{name}: {passed:?}");
    }
    for name in [
        "UNRELATED",
        "PATH",
        "HOME",
        "INPUT_TOKEN",
        "HOST_TEMP",
        "GITHUB_ENV",
        "GITHUB_PATH",
        "GITHUB_TOKEN",
    ] {
        assert!(!passed.contains(&name), "{name}: {passed:?}");
    }
    let environment = read(&job.path("docker.environment"));
    assert!(
        environment.contains("BITOPS_COMPOSE_TOKEN_GITHUB_MY__CORP_EXAMPLE=token-of-ours\n"),
        "{environment}"
    );

    // A token that the step's own variables name is passed on; `*` passes on everything except the runner's own variables.
    job.runner
        .variable("BITOPS_COMPOSE_TOKEN_GITHUB_MY__CORP_EXAMPLE", "theirs");
    job.runner
        .action(&own, &[("image", "mine:1"), ("pass-env", "*")])
        .expect_code(0);
    let environment = read(&job.path("docker.environment"));
    assert!(
        environment.contains("BITOPS_COMPOSE_TOKEN_GITHUB_MY__CORP_EXAMPLE=theirs\n"),
        "{environment}"
    );
    let arguments = job.docker_arguments();
    assert!(arguments.contains(&"--env=UNRELATED".to_owned()));
    for name in ["PATH", "HOME", "INPUT_TOKEN", "HOST_TEMP", "GITHUB_ENV"] {
        assert!(!arguments.contains(&format!("--env={name}")), "{name}");
    }
}

#[test]
fn the_operations_repo_is_the_workspace_or_a_directory_of_it() {
    for (directories, with, expected) in [
        (vec!["dev"], vec![], ""),
        (vec!["operations/dev"], vec![], "/operations"),
        (vec!["dev", "operations/dev"], vec![], ""),
        (vec!["ops/dev"], vec![("ops-repo", "ops")], "/ops"),
        (vec!["dev"], vec![("ops-repo", ".")], ""),
    ] {
        let mut job = job();
        for directory in &directories {
            fs::create_dir_all(job.path("app/app").join(directory)).unwrap();
        }
        let own = job.own();
        let with = [&[("image", "mine:1"), ("environment", "dev")][..], &with].concat();
        job.docker().runner.action(&own, &with).expect_code(0);
        let volume = format!(
            "--volume={}{expected}:/opt/bitops_deployment",
            job.path("app/app").display()
        );
        assert!(
            job.docker_arguments().contains(&volume),
            "{directories:?}: {:?}",
            job.docker_arguments()
        );
    }
}

#[test]
fn in_a_job_container_mounts_are_the_hosts() {
    let mut job = job();
    job.docker();
    // In a job container the two contexts hold paths of the host, and the variables paths of the container.
    job.runner
        .context("github.workspace", "/home/runner/work/app/app")
        .context("runner.temp", "/home/runner/work/_temp");
    fs::create_dir_all(job.path("app/app/operations/dev")).unwrap();
    let own = job.own();
    job.runner
        .action(&own, &[("image", "mine:1"), ("environment", "dev")])
        .expect_code(0);
    let (arguments, temp) = (job.docker_arguments(), job.path("_temp"));
    for expected in [
        "--volume=/home/runner/work/app/app/operations:/opt/bitops_deployment".to_owned(),
        format!(
            "--volume=/home/runner/work/_temp/bitops-compose:{}/bitops-compose",
            temp.display()
        ),
        "--volume=/home/runner/work/_temp/bitops-compose-cache:/var/cache/bitops-compose".to_owned(),
    ] {
        assert!(arguments.contains(&expected), "{expected}\n{arguments:?}");
    }
    let output = arguments
        .iter()
        .find(|word| word.contains("_runner_file_commands/output_"))
        .unwrap();
    assert!(
        output.starts_with("--volume=/home/runner/work/_temp/_runner_file_commands/"),
        "{output}"
    );
}

#[test]
fn where_the_program_is_installed_no_container_is_started() {
    let mut job = job();
    job.docker().program(
        "bitops-compose",
        "#!/bin/sh\necho ran \"$@\"\necho changed=true >>\"$GITHUB_OUTPUT\"\n",
    );
    fs::create_dir_all(job.path("app/app/operations/dev")).unwrap();
    let own = job.own();
    let with = [("command", "plan"), ("environment", "dev"), ("args", "--diff")];
    let done = job.runner.action(&own, &with).expect_code(0);
    let expected = format!(
        "ran plan --ops-repo {} --diff\n",
        job.path("app/app/operations").display()
    );
    assert_eq!(done.last().stdout, expected);
    assert_eq!(done.outputs["changed"], "true");
    assert!(!job.path("docker.arguments").exists());
    // A named image takes precedence over the installed program.
    job.runner
        .action(
            &own,
            &[("command", "plan"), ("environment", "dev"), ("image", "mine:1")],
        )
        .expect_code(0);
    let arguments = job.docker_arguments();
    assert_eq!(
        arguments[arguments.len() - 3..],
        ["--entrypoint=/usr/local/bin/bitops-compose", "mine:1", "plan"]
    );
}

#[test]
fn the_cache_is_carried_from_run_to_run_unless_it_is_not_wanted() {
    for (cache, used) in [("true", 1), ("false", 0)] {
        let mut job = job();
        job.docker();
        let own = job.own();
        job.runner
            .action(&own, &[("image", "mine:1"), ("cache", cache)])
            .expect_code(0);
        let caches: Vec<_> = job
            .runner
            .used()
            .iter()
            .filter(|(name, _)| name == "actions/cache")
            .collect();
        assert_eq!(caches.len(), used);
        let mounted = job
            .docker_arguments()
            .iter()
            .any(|word| word.ends_with(":/var/cache/bitops-compose"));
        assert_eq!(mounted, used == 1);
        if let Some((_, with)) = caches.first() {
            assert_eq!(
                with["path"],
                job.path("_temp/bitops-compose-cache").display().to_string()
            );
            assert!(with["key"].starts_with("bitops-compose-Linux-"), "{with:?}");
        }
    }
}

#[test]
fn versions_in_the_files_are_the_programs() {
    let version = env!("CARGO_PKG_VERSION");
    let workflow = read(&project().join(".github/workflows/update.yml"));
    assert!(workflow.contains(&format!("uses: bitovi/bitops-compose/setup@v{version}\n")));
    assert!(workflow.contains(&format!("default: {version}\n")));
    for file in fs::read_dir(project().join("docs/examples/ci")).unwrap() {
        let file = file.unwrap().path();
        let text = read(&file);
        for (at, name) in text
            .match_indices("bitovi/bitops-compose:")
            .chain(text.match_indices("bitovi/bitops-compose@v"))
        {
            assert!(
                text[at + name.len()..].starts_with(version),
                "{}: {}",
                file.display(),
                &text[at..]
            );
        }
    }
}
