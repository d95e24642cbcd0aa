//! `.github/workflows/update.yml`, with a real git and a `gh` that only records its arguments.

use std::fs;

use compose_testkit::git;

use super::job::{Job, job, read};
use super::project;
use crate::common::{World, catalog, world};

/// An environment with an outdated lock, one with an exact version that is not the newest, in a clone of a bare repo.
fn outdated(job: &Job) -> World {
    let mut c = catalog("c", "eks", "x.txt", "one");
    let mut world = world(&mut [catalog("d", "web", "y.txt", "y")]);
    world.publish({
        c.tag("1.0.0");
        c
    });
    world.sources(&["{repo: '{repo}/c', environment: eks, version: ^1}"]);
    world.context.file(
        "prod/bitops.config.yaml",
        world.config(&["{repo: '{repo}/d', environment: web, version: 1.0.0}"]),
    );
    for environment in ["dev", "prod"] {
        world.context.run(["lock", environment]).expect_code(0);
    }
    let mut c = catalog("c", "eks", "x.txt", "one");
    c.file("eks/x.txt", "two").tag("1.1.0");
    world.publish(c);
    let mut d = catalog("d", "web", "y.txt", "y");
    d.file("web/y.txt", "z").tag("v1.2.0").tag("2.0.0");
    world.publish(d);
    let (repo, origin, workspace) = (
        world.context.ops_repo(),
        job.path("origin.git"),
        job.path("app/app"),
    );
    git::run(&repo, ["init", "--quiet", "--initial-branch=main"]);
    git::run(&repo, ["add", "--all"]);
    git::run(&repo, ["commit", "--quiet", "--message", "x"]);
    git::run(
        &repo,
        ["clone", "--quiet", "--bare", ".", &origin.display().to_string()],
    );
    git::run(
        &origin,
        ["clone", "--quiet", ".", &workspace.display().to_string()],
    );
    world
}

const GH: &str = "#!/bin/bash\nprintf '%s\\n' \"$*\" >>\"$RUNNER_TEMP/gh\"\n[ \"$2\" != list ] || cat \"$RUNNER_TEMP/open\"\n\
    [ -z \"$GH_TOKEN\" ] || cp \"$RUNNER_TEMP/body.md\" \"$RUNNER_TEMP/sent.md\"\n";

#[test]
fn the_update_workflow_opens_a_pull_request_and_keeps_it() {
    let mut job = job();
    let _world = outdated(&job);
    job.release("v0.1.0");
    job.program("gh", GH);
    job.runner
        .context("inputs.environments", "dev prod")
        .context("inputs.version", "0.1.0");
    fs::write(job.path("_temp/open"), "").unwrap();
    let workflow = read(&project().join(".github/workflows/update.yml"));
    let done = job.runner.workflow(&workflow).expect_code(0);
    assert!(done.runs.len() == 3, "{}", done.last());
    let calls = read(&job.path("_temp/gh"));
    let body = job.path("_temp/body.md");
    assert!(
        calls.ends_with(&format!(
            "pr create --head bitops-compose/update --base main --title Update composed environments --body-file {}\n",
            body.display()
        )),
        "{calls}"
    );
    let sent = read(&job.path("_temp/sent.md"));
    assert!(
        sent.contains("### Sources of `dev`") && sent.contains("1.1.0") && sent.contains("+two"),
        "{sent}"
    );
    assert!(
        sent.contains("### Upgrades of `dev`\n\nNothing to upgrade."),
        "{sent}"
    );
    assert!(
        sent.contains("### Sources of `prod`\n\nNothing to update.\n\n### Upgrades of `prod`\n\n| source |")
            && sent.contains(" | 1.0.0 | 1.2.0 (v1.2.0) |")
            && sent.contains("+z"),
        "{sent}"
    );
    let origin = job.path("origin.git");
    let changed = git::run(&origin, ["diff", "--name-only", "main", "bitops-compose/update"]);
    assert_eq!(
        changed,
        "dev/bitops.lock.yaml\nprod/bitops.config.yaml\nprod/bitops.lock.yaml"
    );

    // While the pull request is open, the next run overwrites the branch and edits the pull request.
    git::run(&job.path("app/app"), ["checkout", "--quiet", "main"]);
    fs::write(job.path("_temp/open"), "7\n").unwrap();
    job.runner.workflow(&workflow).expect_code(0);
    let calls = read(&job.path("_temp/gh"));
    assert!(
        calls
            .lines()
            .last()
            .unwrap()
            .starts_with("pr edit 7 --body-file "),
        "{calls}"
    );
    assert_eq!(
        git::run(&origin, ["rev-list", "--count", "main..bitops-compose/update"]),
        "1"
    );

    // Nothing new: no pull request.
    let dev = job.path("app/app");
    git::run(&dev, ["merge", "--quiet", "--ff-only", "bitops-compose/update"]);
    fs::remove_file(job.path("_temp/gh")).unwrap();
    job.runner.workflow(&workflow).expect_code(0);
    assert!(!job.path("_temp/gh").exists());

    // A wrong environment or command ends the workflow.
    for (name, value) in [
        ("inputs.environments", "--help"),
        ("inputs.command", "update; touch hacked"),
    ] {
        job.runner
            .context("inputs.environments", "dev")
            .context(name, value);
        job.runner.workflow(&workflow).expect_code(2);
    }
    assert!(!dev.join("hacked").exists());
}
