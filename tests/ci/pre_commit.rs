//! `.pre-commit-hooks.yaml`, run by pre-commit itself.

use std::fs;
use std::path::Path;
use std::process::Command;

use compose_testkit::git;

use super::{project, tools};
use crate::common::{World, catalog, world};

/// Builds a repo of the project's hooks, as their users see it, and returns its pre-commit config.
fn hooks(directory: &Path) -> String {
    fs::create_dir_all(directory.join("scripts")).unwrap();
    for file in [".pre-commit-hooks.yaml", "scripts/pre-commit-hook"] {
        fs::copy(project().join(file), directory.join(file)).unwrap();
    }
    commit(directory);
    let head = git::run(directory, ["rev-parse", "HEAD"]);
    format!(
        "repos:\n- repo: {}\n  rev: {}\n  hooks: [{{id: bitops-compose-check}}, {{id: bitops-compose-lock}}]\n",
        directory.display(),
        head
    )
}

fn commit(directory: &Path) {
    git::run(directory, ["init", "--quiet"]);
    git::run(directory, ["add", "--all"]);
    git::run(directory, ["commit", "--quiet", "--message", "x"]);
}

/// Returns a world whose environment has one locked source.
fn locked() -> World {
    let mut world = world(&mut [catalog("c", "eks", "x.txt", "from c")]);
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    world
        .context
        .file("dev/terraform/bitops.config.yaml", "terraform: {}\n");
    world.context.run(["lock"]).expect_code(0);
    world.context.unset("BITOPS_ENVIRONMENT");
    world
}

/// Sets the environment of the program, and puts the program into `PATH`.
fn environment(world: &World, command: &mut Command) {
    command.env_clear();
    for (name, value) in world.context.command(["x"]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let program = Path::new(env!("CARGO_BIN_EXE_bitops-compose")).parent().unwrap();
    command.env(
        "PATH",
        format!("{}:{}", program.display(), std::env::var("PATH").unwrap()),
    );
}

/// The hooks' script can run without pre-commit.
fn hook(world: &World, what: &str, files: &[&str]) -> std::process::Output {
    let mut command = Command::new(project().join("scripts/pre-commit-hook"));
    environment(world, &mut command);
    command
        .arg(what)
        .args(files)
        .current_dir(world.context.home())
        .output()
        .unwrap()
}

#[test]
fn each_environment_is_looked_at_once_and_no_deployments_config() {
    let world = locked();
    let files = [
        "mount/dev/bitops.config.yaml",
        "mount/dev/bitops.lock.yaml",
        "mount/dev/terraform/bitops.config.yaml",
    ];
    let output = hook(&world, "check", &files);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        stdout
            .matches("dev/bitops.config.yaml: 1 source, no mistakes")
            .count(),
        1,
        "{stdout}"
    );
    assert!(hook(&world, "lock", &files).status.success());

    world.context.file(
        "prod/bitops.config.yaml",
        "default-environments:\n- {repo: x, enviroment: y}\n",
    );
    let output = hook(
        &world,
        "check",
        &["mount/prod/bitops.config.yaml", "mount/dev/bitops.config.yaml"],
    );
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("did you mean `environment`?"), "{stderr}");
}

#[test]
fn a_lock_that_does_not_answer_the_config_fails() {
    let world = locked();
    world.sources(&[
        "{repo: '{repo}/c', environment: eks, version: ^1}",
        "{repo: '{repo}/d', environment: y, version: 2.0.0}",
    ]);
    let output = hook(&world, "lock", &["mount/dev/bitops.config.yaml"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_file(world.context.ops_repo().join("dev/bitops.lock.yaml")).unwrap();
    world.sources(&["{repo: '{repo}/c', environment: eks, version: 1.0.0}"]);
    let output = hook(&world, "lock", &["mount/dev/bitops.config.yaml"]);
    assert_eq!(output.status.code(), Some(1), "a missing lock is none");
}

#[test]
fn pre_commit_itself_runs_them() {
    let Some(program) = tools::find("pre-commit") else {
        return;
    };
    let world = locked();
    let repo = world.context.ops_repo();
    let hooks = world.context.root().join("hooks");
    fs::write(repo.join(".pre-commit-config.yaml"), self::hooks(&hooks)).unwrap();
    commit(&repo);
    let run = || {
        let mut command = Command::new(&program);
        environment(&world, &mut command);
        command
            .env("PRE_COMMIT_HOME", world.context.root().join("pre-commit"))
            .args(["run", "--all-files", "--verbose"])
            .current_dir(&repo);
        let output = command.output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = run();
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("no mistakes") && text.matches("Passed").count() == 2,
        "{text}"
    );
    world.context.file(
        "dev/bitops.config.yaml",
        "default-environments:\n- {repo: x, enviroment: y}\n",
    );
    let (code, text) = run();
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("did you mean `environment`?"), "{text}");
}
