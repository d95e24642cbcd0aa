//! The context isolates the program from the machine, and shows its output.

use std::time::Duration;

use compose_testkit::standin::DumpedKind;
use compose_testkit::{Context, Signal, git, standin};

fn shell() -> Context {
    Context::new("/bin/sh")
}

#[test]
fn the_environment_is_isolated_from_the_machine() {
    let context = shell();
    let run = context.run([
        "-c",
        "env | cut -d= -f1 | grep -v -e ^_$ -e ^PWD$ -e ^OLDPWD$ -e ^SHLVL$ | sort",
    ]);
    let names: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        names,
        [
            "BITOPS_COMPOSE_CACHE",
            "BITOPS_COMPOSE_HOME",
            "BITOPS_COMPOSE_OPS_REPO",
            "BITOPS_COMPOSE_PIPELINE",
            "BITOPS_COMPOSE_PIPELINE_DIR",
            "GIT_CONFIG_GLOBAL",
            "GIT_CONFIG_NOSYSTEM",
            "GIT_CONFIG_SYSTEM",
            "GIT_TERMINAL_PROMPT",
            "HOME",
            "LC_ALL",
            "NO_COLOR",
            "PATH",
            "STANDIN_DUMP",
            "STANDIN_OPS_REPO",
            "TERM",
            "TMPDIR",
            "TZ",
        ]
    );
}

#[test]
fn the_layout_equals_the_images() {
    let context = shell();
    context
        .file("dev/a", "text")
        .executable("dev/hook.sh", "true")
        .symlink("dev/link", "a");
    let run = context.run([
        "-c",
        "readlink opt/bitops_deployment opt/bitops-compose/active; cat opt/bitops_deployment/dev/link",
    ]);
    assert_eq!(run.stdout, "bitops-compose/active\nmount\ntext");
    assert_eq!(context.deployment().canonicalize().unwrap(), context.ops_repo());
}

#[test]
fn a_run_is_shown_with_placeholders() {
    let mut context = shell();
    context
        .set("ID", "0123456789abcdef0123456789abcdef01234567")
        .filter("secret-[a-z]+", "[SECRET]");
    let run = context.run([
        "-c",
        "echo $HOME; echo $ID at http://127.0.0.1:4711/x; echo 0123456 secret-abc >&2; exit 3",
    ]);
    assert_eq!(
        run.to_string(),
        "exit code: 3\n----- stdout -----\n[ROOT]/home\n[ID-1] at http://127.0.0.1:[PORT]/x\n\
         ----- stderr -----\n[ID-1] [SECRET]\n"
    );
    assert!(!run.success());
}

#[test]
fn a_signal_ends_a_run_and_is_shown() {
    let context = shell();
    let spawned = context.spawn(["-c", "echo ready; exec sleep 600"]);
    spawned.wait_for_output("ready", Duration::from_secs(20));
    spawned.signal(Signal::TERM);
    let run = spawned.wait(Duration::from_secs(20));
    assert_eq!((run.code, run.signal), (None, Some(15)));
    assert_eq!(
        run.to_string(),
        "signal: 15\n----- stdout -----\nready\n----- stderr -----\n"
    );
}

#[test]
#[should_panic(expected = "still runs after")]
fn a_run_over_the_time_limit_fails_the_test() {
    shell()
        .time_limit(Duration::from_millis(50))
        .run(["-c", "exec sleep 600"]);
}

#[test]
fn background_processes_do_not_delay_the_end_of_a_run() {
    let run = shell().run(["-c", "sleep 600 & echo done"]);
    assert_eq!(run.stdout, "done\n");
}

#[test]
fn the_stand_in_reports_what_it_received() {
    let mut context = shell();
    context
        .file(
            "dev/terraform/bitops.config.yaml",
            "terraform: {cli: {stack-action: apply}}\n",
        )
        .executable("dev/terraform/bitops.before-deploy.d/a.sh", "echo 'before'\n")
        .symlink("dev/terraform/link.tf", "../shared.tf")
        .file("dev/shared.tf", "# shared\n");
    context.set("BITOPS_ENVIRONMENT", "dev");
    assert_eq!(context.pipeline(), None);
    let before = context.ops_repo_fingerprint();
    let run = context.run([
        "-c",
        "cd \"$BITOPS_COMPOSE_PIPELINE_DIR\" && eval exec $BITOPS_COMPOSE_PIPELINE --more",
    ]);
    assert!(run.success(), "{run}");
    assert!(run.stdout.contains("terraform apply in dev/terraform\n"), "{run}");
    context.ops_repo_fingerprint().assert_same_as(&before);

    let pipeline = context.pipeline().unwrap();
    assert_eq!(pipeline.argv[1..], ["deploy", "--more"]);
    assert_eq!(pipeline.cwd, standin::directory().canonicalize().unwrap());
    assert_eq!(pipeline.env["BITOPS_ENVIRONMENT"], "dev");
    assert_eq!(pipeline.text("dev/terraform/link.tf"), Some("# shared\n"));
    assert_eq!(
        pipeline.ops_repo["dev/terraform/link.tf"].link.as_deref(),
        Some("../shared.tf")
    );
    assert_eq!(
        pipeline.ops_repo["dev/terraform/bitops.before-deploy.d/a.sh"]
            .mode
            .as_deref(),
        Some("0755")
    );
    assert_eq!(pipeline.ops_repo["dev"].kind, DumpedKind::Directory);
    assert_eq!(pipeline.files().len(), 4);
}

#[test]
fn the_kits_git_reads_no_configuration() {
    let root = tempfile::tempdir().unwrap();
    let listed = git::run(root.path(), ["config", "--list", "--show-scope"]);
    assert_eq!(listed, "command\tsafe.directory=*");
}
