//! The stand-in behaves like BitOps, as far as can be seen from outside.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Output, Stdio};

use compose_testkit::{Catalog, Signal, example, git, standin};

struct OpsRepo(tempfile::TempDir);

impl OpsRepo {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(standin::python());
        command
            .arg(standin::directory().join("scripts/main.py"))
            .args(args)
            .current_dir(standin::directory())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("STANDIN_OPS_REPO", self.0.path())
            .env("BITOPS_ENVIRONMENT", "dev");
        command
    }

    fn deploy(&self) -> Output {
        self.command(&["deploy"]).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the output's lines about stages, without the lists of files.
fn stages(output: &Output) -> Vec<String> {
    stdout(output)
        .lines()
        .filter(|line| !line.starts_with("  "))
        .map(str::to_owned)
        .collect()
}

/// Creates an operations repo from the environments of an example, copied over each other.
fn example_repo(name: &str, environments: &[(&str, &str)]) -> OpsRepo {
    let ops_repo = OpsRepo::new();
    let root = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::new("composed");
    for (repo, environment) in environments {
        catalog.directory(
            "dev",
            &example::directory().join("catalogs").join(repo).join(environment),
        );
    }
    catalog
        .file("dev/bitops.config.yaml", example::config(name, example::ADDRESS))
        .tag("1.0.0");
    let repo = catalog.build(root.path());
    git::run(
        ops_repo.0.path(),
        ["clone", "--quiet", repo.path().to_str().unwrap(), "."],
    );
    ops_repo
}

#[test]
fn the_six_source_example_runs() {
    let output = example_repo(
        "six-sources",
        &[
            ("kubernetes", "eks"),
            ("observability", "promStack"),
            ("observability", "grafanaStack"),
            ("k8s-ingress", "nginx"),
            ("k8s-service-mesh", "istio"),
            ("stackstorm", "ha-k8s"),
        ],
    )
    .deploy();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let values = |chart: &str| {
        format!("helm upgrade --install {chart} dev/helm/{chart} -f dev/helm/{chart}/values.yaml")
    };
    assert_eq!(
        stages(&output),
        [
            "DEPLOYMENT terraform (terraform)".to_owned(),
            "HOOK bitops.before-deploy.d/10-announce.sh".to_owned(),
            "eks: about to deploy from terraform".to_owned(),
            "terraform apply in dev/terraform".to_owned(),
            "HOOK bitops.after-deploy.d/10-summary.sh".to_owned(),
            "eks: the cluster is ready for its charts".to_owned(),
            "DEPLOYMENT helm (helm)".to_owned(),
            values("grafana"),
            values("ingress-nginx"),
            "HOOK helm/istio/bitops.before-deploy.d/10-label-namespaces.sh".to_owned(),
            "istio: sidecars will be injected into the namespace default".to_owned(),
            values("istio"),
            values("prometheus"),
            values("stackstorm"),
            "SKIP ansible: no such directory in dev".to_owned(),
            "BitOps has finished!".to_owned(),
        ]
    );
}

#[test]
fn terraform_comes_before_ansible() {
    let output = example_repo("ha-vm-aws", &[("stackstorm", "ha-vm-aws")]).deploy();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stages = stages(&output).join("\n");
    let terraform = stages.find("terraform apply in dev/terraform").unwrap();
    let ansible = stages
        .find("ansible-playbook --main-playbook=playbook.yaml --inventory=inventory.ini")
        .unwrap();
    assert!(terraform < ansible, "{stages}");
}

#[test]
fn the_exit_code_is_that_of_the_first_failing_stage() {
    let ops_repo = OpsRepo::new();
    ops_repo
        .file("dev/terraform/bitops.config.yaml", "terraform: {}")
        .file("dev/terraform/bitops.before-deploy.d/1.sh", "echo fine")
        .file("dev/terraform/bitops.before-deploy.d/2.sh", "exit 7")
        .file("dev/ansible/bitops.config.yaml", "ansible: {}");
    let output = ops_repo.deploy();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let stdout = stdout(&output);
    assert!(
        stdout.contains("fine\n") && !stdout.contains("ansible"),
        "{stdout}"
    );
}

#[test]
fn a_dangling_symlink_aborts_the_run() {
    let ops_repo = OpsRepo::new();
    ops_repo.file("dev/terraform/bitops.config.yaml", "terraform: {}");
    std::os::unix::fs::symlink("nowhere", ops_repo.0.path().join("dev/link")).unwrap();
    let output = ops_repo.deploy();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!stdout(&output).contains("DEPLOYMENT"));
}

#[test]
fn the_environments_config_orders_the_deployments() {
    let ops_repo = OpsRepo::new();
    ops_repo
        .file(
            "dev/bitops.config.yaml",
            "bitops: {deployments: {second: {plugin: ansible}, first: {plugin: terraform}}}",
        )
        .file(
            "dev/first/bitops.config.yaml",
            "terraform: {cli: {stack-action: plan}}",
        )
        .file("dev/second/bitops.config.yaml", "ansible: {}")
        .file("dev/terraform/bitops.config.yaml", "terraform: {}");
    let output = ops_repo.deploy();
    let deployments: Vec<String> = stages(&output)
        .into_iter()
        .filter(|line| line.starts_with("DEPLOYMENT"))
        .collect();
    assert_eq!(
        deployments,
        ["DEPLOYMENT second (ansible)", "DEPLOYMENT first (terraform)"]
    );
}

#[test]
fn the_build_config_is_set_by_argument_or_variable() {
    let ops_repo = OpsRepo::new();
    ops_repo
        .file("build.yaml", "bitops: {deployments: {only: {plugin: terraform}}}")
        .file("dev/only/bitops.config.yaml", "terraform: {}");
    let build = ops_repo.0.path().join("build.yaml");
    let build = build.to_str().unwrap();
    let by_argument = ops_repo.command(&["deploy", "-c", build]).output().unwrap();
    let by_variable = ops_repo
        .command(&["deploy"])
        .env("BITOPS_BUILD_CONFIG_YAML", build)
        .output()
        .unwrap();
    for output in [by_argument, by_variable] {
        assert!(
            stdout(&output).contains("DEPLOYMENT only (terraform)"),
            "{output:?}"
        );
    }
}

#[test]
fn missing_and_broken_configs_and_a_missing_environment_end_the_run() {
    let broken = OpsRepo::new();
    broken.file("dev/bitops.config.yaml", "a: [");
    assert_eq!(broken.deploy().status.code(), Some(1));

    let missing = OpsRepo::new();
    missing.file("dev/terraform/main.tf", "");
    assert_eq!(missing.deploy().status.code(), Some(2));

    let nameless = missing
        .command(&["deploy"])
        .env_remove("BITOPS_ENVIRONMENT")
        .output()
        .unwrap();
    assert_eq!(nameless.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nameless.stderr).contains("BITOPS_ENVIRONMENT"));
}

#[test]
fn failures_are_skipped_if_the_config_says_so() {
    let ops_repo = OpsRepo::new();
    ops_repo
        .file("dev/bitops.config.yaml", "bitops: {fail_fast: false}")
        .file("dev/terraform/bitops.config.yaml", "terraform: {}")
        .file("dev/terraform/bitops.before-deploy.d/1.sh", "exit 7")
        .file("dev/ansible/bitops.config.yaml", "ansible: {}");
    let output = ops_repo.deploy();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("DEPLOYMENT ansible"), "{output:?}");
    let output = ops_repo
        .command(&["deploy"])
        .env("BITOPS_FAST_FAIL", "false")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}

#[test]
fn hooks_run_in_the_copy_and_write_to_one_stream() {
    let ops_repo = OpsRepo::new();
    ops_repo
        .file("dev/terraform/bitops.config.yaml", "terraform: {}")
        .file(
            "dev/terraform/bitops.before-deploy.d/1.sh",
            "[ \"$PWD\" = \"$BITOPS_TEMPDIR/dev/terraform\" ] && echo out && echo err >&2\n\
             echo back > \"$STANDIN_OPS_REPO/back\"",
        );
    let output = ops_repo.deploy();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("out\nerr\n"), "{output:?}");
    assert_eq!(
        std::fs::read_to_string(ops_repo.0.path().join("back")).unwrap(),
        "back\n"
    );
}

/// Starts the tool of the terraform plugin. Returns it once it is applying, with the directory of
/// its state.
fn tool_at_work() -> (Child, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("terraform.hold"), "").unwrap();
    let mut child = Command::new(standin::python())
        .arg(standin::directory().join("scripts/tool.py"))
        .arg("terraform")
        .env("STANDIN_STATE", state.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_line(&mut child, "terraform: applying");
    (child, state)
}

/// Reads the output up to a certain line.
fn wait_for_line(child: &mut Child, expected: &str) {
    // Byte by byte: a buffer would take later lines away from the next call.
    let pipe = child.stdout.as_mut().unwrap();
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        assert_eq!(pipe.read(&mut byte).unwrap(), 1, "{expected:?} was not said");
        if byte == *b"\n" {
            if line == expected.as_bytes() {
                return;
            }
            line.clear();
        } else {
            line.push(byte[0]);
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn the_tool_saves_after_one_signal() {
    for number in [Signal::INT, Signal::TERM] {
        let (mut child, state) = tool_at_work();
        signal(&child, number);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        let saved = std::fs::read_to_string(state.path().join("terraform.state")).unwrap();
        assert_eq!(saved, "interrupted");
        assert!(!state.path().join("terraform.lock").exists());
    }
}

#[test]
fn the_tool_leaves_its_lock_after_two_signals_or_without_a_reader() {
    for number in [Signal::INT, Signal::TERM] {
        let (mut child, state) = tool_at_work();
        std::fs::write(state.path().join("terraform.slow"), "").unwrap();
        signal(&child, Signal::INT);
        wait_for_line(&mut child, "terraform: interrupted, stopping");
        signal(&child, number);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(state.path().join("terraform.lock").exists());
        assert!(!state.path().join("terraform.state").exists());
    }
    let (mut child, state) = tool_at_work();
    drop(child.stdout.take());
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().signal(), Some(13));
    assert!(state.path().join("terraform.lock").exists());
}
