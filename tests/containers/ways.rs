//! Every way to run the image that docs/where-it-runs.md has: the files of docs/examples/ci as their ecosystems run them, or by
//! the `docker run` that each comes to.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use compose_testkit::Run;
use compose_testkit::actions::Runner;
use compose_testkit::docker::Engine;
use serde_yaml::Value;

use crate::world::{DEPLOYMENT, World, in_each_engine, world};

in_each_engine![
    run_with_a_mount,
    gitlab_image,
    gitlab_image_without_its_entrypoint,
    kubernetes_job,
    kubernetes_cronjob,
];

/// The image's name in the examples.
const PUBLISHED: &str = "ghcr.io/bitovi/bitops-compose:0.1.0";

/// The project's own root.
pub(crate) fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Returns an example with the name of the image under test.
fn example(world: &World, name: &str) -> String {
    let path = project().join("docs/examples/ci").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        text.contains(PUBLISHED) || text.contains("bitovi/bitops-compose@"),
        "{name} names the image"
    );
    text.replace(PUBLISHED, &world.image)
}

fn yaml(world: &World, name: &str) -> Value {
    serde_yaml::from_str(&example(world, name)).unwrap()
}

/// What a test adds to each container: the network of the catalogs' server, and where the stand-in tells what it saw.
pub(crate) fn options(world: &World) -> [String; 3] {
    [
        "--network=host".to_owned(),
        format!("--volume={}:/out", world.out().display()),
        "--env=STANDIN_DUMP=/out/pipeline.json".to_owned(),
    ]
}

/// Creates a `docker` that adds these options to each `run` of the real one and records its arguments in `docker.log`.
pub(crate) fn docker_with_options(world: &World, directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|path| path.join("docker"))
        .find(|path| path.is_file())
        .expect("there is docker");
    let options = options(world).map(|option| format!("'{option}'")).join(" ");
    let real = real.display();
    let log = directory.join("docker.log");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >>'{log}'\nif [ \"$1\" = run ]; then shift; exec {real} run {options} \"$@\"; fi\n\
         exec {real} \"$@\"\n",
        log = log.display()
    );
    let path = directory.join("docker");
    fs::write(&path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The checkout with its operations repo in `operations/`, as BitOps' own actions have it.
pub(crate) fn in_operations(world: &World) {
    let (checkout, aside) = (world.checkout(), world.checkout().with_file_name("aside"));
    fs::rename(&checkout, &aside).unwrap();
    fs::create_dir(&checkout).unwrap();
    fs::rename(aside, checkout.join("operations")).unwrap();
}

/// Returns a runner whose workspace is the checkout.
pub(crate) fn runner(world: &World) -> Runner {
    let checkout = world.checkout();
    let work = checkout.parent().unwrap();
    let mut runner = Runner::new(work, &checkout);
    let bin = work.join("_bin");
    docker_with_options(world, &bin);
    runner.prepend_path(&bin);
    let options = options(world);
    runner.container_options(&options.each_ref().map(String::as_str));
    runner
}

fn run_with_a_mount(engine: Engine) {
    let world = world(engine);
    world.assert_ran(world.run(&[&world.bind("", "")]), Some("one"));
}

#[test]
fn github_docker_run_in_a_step() {
    let world = world(Engine::Docker);
    in_operations(&world);
    let done = runner(&world).workflow(&example(&world, "github-docker-run.yml"));
    world.assert_ran(done.last().clone(), Some("one"));
    assert!(
        done.summary.contains("### bitops-compose: <code>dev</code>"),
        "{}",
        done.summary
    );
    assert_eq!(done.outputs["changed"], "true");

    // The annotation names the file in the checkout, which the container sees under another path.
    let config = world.checkout().join("operations/dev/bitops.config.yaml");
    fs::write(config, "default-environments:\n- {repo: x, enviroment: y}\n").unwrap();
    let done = runner(&world)
        .workflow(&example(&world, "github-docker-run.yml"))
        .expect_code(65);
    let place = "::error file=operations/dev/bitops.config.yaml,line=2,";
    assert!(done.last().stderr.contains(place), "{}", done.last());
    assert!(
        done.summary.contains("### bitops-compose: failed"),
        "{}",
        done.summary
    );
}

#[test]
fn github_docker_step() {
    let world = world(Engine::Docker);
    let done = runner(&world).workflow(&example(&world, "github-docker-step.yml"));
    let seen = world.assert_ran(done.last().clone(), Some("one"));
    assert_eq!(seen.cwd.to_str(), Some("/opt/bitops"));
    assert!(
        done.summary.contains("### bitops-compose: <code>dev</code>"),
        "{}",
        done.summary
    );
    assert_eq!(done.outputs["composed-files"], "2");

    // An application with its operations repo in a directory.
    in_operations(&world);
    let workflow = example(&world, "github-docker-step.yml");
    let done = runner(&world).workflow(&workflow);
    world.assert_ran(done.last().clone(), Some("one"));
    let config = world.checkout().join("operations/dev/bitops.config.yaml");
    fs::write(config, "default-environments:\n- {repo: x, enviroment: y}\n").unwrap();
    let done = runner(&world).workflow(&workflow).expect_code(65);
    let place = "::error file=operations/dev/bitops.config.yaml,line=2,";
    assert!(done.last().stderr.contains(place), "{}", done.last());
}

#[test]
fn github_job_container() {
    let world = world(Engine::Docker);
    let done = runner(&world).workflow(&example(&world, "github-job-container.yml"));
    assert_eq!(done.runs.len(), 2, "{}", done.last());
    assert!(
        done.runs[0].stdout.starts_with("dev: 1 source"),
        "{}",
        done.runs[0]
    );
    world.assert_ran(done.last().clone(), Some("one"));
    // The plan and the deployment.
    assert_eq!(
        done.summary
            .matches("### bitops-compose: <code>dev</code>")
            .count(),
        2
    );
}

#[test]
fn github_action() {
    let world = world(Engine::Docker);
    in_operations(&world);
    let mut runner = runner(&world);
    runner.provide("bitovi/bitops-compose", &project());
    let workflow = example(&world, "github-action.yml");
    assert!(workflow.contains("locked: true"));
    let workflow = workflow.replace("locked: true", &format!("image: {}", world.image));
    let done = runner.workflow(&workflow).expect_code(0);
    assert_eq!(done.last().stdout, "2 files were composed\n");
    world.assert_ran(done.runs[0].clone(), Some("one"));
}

/// How GitLab's docker executor runs a job: a shell as the container's command, the script on its stdin.
fn gitlab(world: &World, job: &str) -> Run {
    let file = yaml(world, "gitlab-ci.yml");
    let job = &file[job];
    let checkout = "/builds/org/app";
    let mut arguments = options(world).to_vec();
    arguments.push("--interactive".to_owned());
    arguments.push(format!("--volume={}:{checkout}", world.checkout().display()));
    for (name, value) in [
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_DIR", checkout),
    ] {
        arguments.push(format!("--env={name}={value}"));
    }
    for (name, value) in file["variables"].as_mapping().unwrap() {
        arguments.push(format!(
            "--env={}={}",
            name.as_str().unwrap(),
            value.as_str().unwrap()
        ));
    }
    let image = match &job["image"] {
        Value::String(image) => image,
        image => {
            assert_eq!(image["entrypoint"][0], "");
            arguments.push("--entrypoint=".to_owned());
            image["name"].as_str().unwrap()
        }
    };
    // The runner looks for a bash, then for a sh.
    let shell = "for shell in /usr/local/bin/bash /usr/bin/bash /bin/bash /bin/sh; do [ -x $shell ] && exec $shell; done; exit 1";
    arguments.extend([image, "sh", "-c", shell].map(str::to_owned));
    let lines: Vec<&str> = job["script"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let script = format!("set -eo pipefail\ncd {checkout}\n{}\n", lines.join("\n"));
    let mut command = world.engine.command();
    command.args(["run", "--rm"]).args(arguments);
    with_input(command, &script)
}

/// Runs a command with a standard input, which `Engine` does not give.
fn with_input(mut command: Command, input: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    fs::File::create(&path)
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    command.stdin(Stdio::from(fs::File::open(path).unwrap()));
    compose_testkit::process::wait(command)
}

fn gitlab_image(engine: Engine) {
    let world = world(engine);
    let run = gitlab(&world, "plan").expect_code(0);
    assert!(run.stdout.starts_with("dev: 1 source"), "{run}");
    world.assert_ran(gitlab(&world, "deploy"), Some("one"));
    in_operations(&world);
    world.assert_ran(gitlab(&world, "deploy"), Some("one"));
}

fn gitlab_image_without_its_entrypoint(engine: Engine) {
    let world = world(engine);
    world.assert_ran(gitlab(&world, "deploy without the entrypoint"), Some("one"));
}

#[test]
fn circleci() {
    let world = world(Engine::Docker);
    let file = yaml(&world, "circleci.yml");
    let job = &file["jobs"]["deploy"];
    let docker = &job["docker"][0];
    let mut arguments = options(&world).to_vec();
    // The agent takes the entrypoint's place, and runs each step in a shell.
    arguments.push("--entrypoint=tail".to_owned());
    for (name, value) in [
        ("CI", "true"),
        ("CIRCLECI", "true"),
        ("CIRCLE_WORKING_DIRECTORY", "~/project"),
    ] {
        arguments.push(format!("--env={name}={value}"));
    }
    for (name, value) in docker["environment"].as_mapping().unwrap() {
        arguments.push(format!(
            "--env={}={}",
            name.as_str().unwrap(),
            value.as_str().unwrap()
        ));
    }
    arguments.extend([docker["image"].as_str().unwrap(), "-f", "/dev/null"].map(str::to_owned));
    let container = world.engine.start(arguments);
    // `checkout`
    let from = format!("{}/.", world.checkout().display());
    world
        .engine
        .expect(["exec", container.name(), "mkdir", "-p", "/root/project"]);
    world
        .engine
        .expect(["cp", &from, &format!("{}:/root/project", container.name())]);
    let steps = job["steps"].as_sequence().unwrap();
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    let run = |script: &str| {
        world.engine.call([
            "exec",
            "--workdir=/root/project",
            container.name(),
            "bash",
            "-eo",
            "pipefail",
            "-c",
            script,
        ])
    };
    assert_eq!(scripts.len(), 2);
    assert!(run(scripts[0]).expect_code(0).stdout.starts_with("dev: 1 source"));
    world.assert_ran(run(scripts[1]), Some("one"));
}

#[test]
fn jenkins() {
    let world = world(Engine::Docker);
    let file = example(&world, "Jenkinsfile");
    let scripts: Vec<&str> = file
        .lines()
        .filter_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''))
        .collect();
    assert_eq!(scripts.len(), 2, "{file}");
    assert!(file.contains("args '--entrypoint='"));
    // The docker agent: the workspace under its own path, the agent's user, `cat` to keep it there.
    let workspace = world.checkout().display().to_string();
    let mut arguments = options(&world).to_vec();
    arguments.extend([
        "--tty".to_owned(),
        "--user=1000:1000".to_owned(),
        "--entrypoint=".to_owned(),
        format!("--workdir={workspace}"),
        format!("--volume={workspace}:{workspace}:rw,z"),
        format!("--env=WORKSPACE={workspace}"),
        "--env=JENKINS_URL=http://jenkins.test/".to_owned(),
        "--env=BITOPS_ENVIRONMENT=dev".to_owned(),
        world.image.clone(),
        "cat".to_owned(),
    ]);
    let container = world.engine.start(arguments);
    let plan = world
        .engine
        .call(["exec", container.name(), "sh", "-xe", "-c", scripts[0]])
        .expect_code(0);
    assert!(plan.stdout.starts_with("dev: 1 source"), "{plan}");

    let bin = world.checkout().with_file_name("_bin");
    docker_with_options(&world, &bin);
    let mut command = Command::new("sh");
    command
        .args(["-xe", "-c", scripts[1]])
        .env(
            "PATH",
            format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
        )
        .env("WORKSPACE", &workspace)
        .env("BITOPS_ENVIRONMENT", "dev");
    world.assert_ran(compose_testkit::process::wait(command), Some("one"));
}

/// How a kubelet runs a pod's container: its variables, and its volumes, the first of which another container filled.
fn kubernetes(world: &World, pod: &Value) {
    let container = &pod["containers"][0];
    let filled = &pod["initContainers"][0]["volumeMounts"][0]["name"];
    let mut arguments = options(world).to_vec();
    for variable in container["env"].as_sequence().unwrap() {
        let text = |key: &str| variable[key].as_str().unwrap();
        arguments.push(format!("--env={}={}", text("name"), text("value")));
    }
    let mut volumes = Vec::new();
    for mount in container["volumeMounts"].as_sequence().unwrap() {
        let volume = world.engine.volume();
        let path = mount["mountPath"].as_str().unwrap();
        arguments.push(format!("--volume={}:{path}", volume.name()));
        if &mount["name"] == filled {
            assert_eq!(path, DEPLOYMENT);
            let helper = world
                .engine
                .create([&*format!("--volume={}:/operations", volume.name()), &world.image]);
            let from = format!("{}/.", world.checkout().display());
            world
                .engine
                .expect(["cp", &from, &format!("{}:/operations", helper.name())]);
        }
        volumes.push(volume);
    }
    arguments.push(container["image"].as_str().unwrap().to_owned());
    world.assert_ran(world.engine.run(&arguments), Some("one"));
    // The volume stays, and the pod is started again.
    world.assert_ran(world.engine.run(&arguments), Some("one"));
}

fn kubernetes_job(engine: Engine) {
    let world = world(engine);
    kubernetes(
        &world,
        &yaml(&world, "kubernetes-job.yaml")["spec"]["template"]["spec"],
    );
}

fn kubernetes_cronjob(engine: Engine) {
    let world = world(engine);
    // The example requires a lock.
    let run = world
        .engine
        .run(world.arguments(&[&world.bind("", ""), "--entrypoint=bitops-compose"], &["lock"]));
    run.expect_code(0);
    let job = yaml(&world, "kubernetes-cronjob.yaml");
    kubernetes(&world, &job["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
}

#[test]
fn compose() {
    let world = world(Engine::Docker);
    let image = world.engine.tag(&world.image);
    let file = project().join("docs/examples/ci/compose.yaml");
    let service = &yaml(&world, "compose.yaml")["services"]["deploy"];
    assert_eq!(service["volumes"][0], format!(".:{DEPLOYMENT}"));
    // An installed docker-compose runs the file as well.
    if Command::new("docker-compose")
        .arg("version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let more = world.checkout().with_file_name("more.yaml");
        let out = world.out();
        fs::write(
            &more,
            format!(
                "services:\n  deploy:\n    network_mode: host\n    volumes: ['{}:/out']\n    environment: {{STANDIN_DUMP: /out/pipeline.json}}\n",
                out.display()
            ),
        )
        .unwrap();
        let compose = |arguments: &[&str]| {
            let mut command = Command::new("docker-compose");
            command
                .arg("--project-name")
                .arg(image.name())
                .arg("--project-directory")
                .arg(world.checkout())
                .arg("--file")
                .arg(&file)
                .arg("--file")
                .arg(&more)
                .args(arguments)
                .env("BITOPS_COMPOSE_IMAGE", image.name());
            compose_testkit::process::wait(command)
        };
        let run = compose(&["run", "--rm", "-T", "deploy"]);
        compose(&["down", "--volumes"]);
        world.assert_ran(run, Some("one"));
        return;
    }
    let cache = world.engine.volume();
    let cache = format!("--volume={}:/var/cache/bitops-compose", cache.name());
    world.assert_ran(world.run(&[&world.bind("", ""), &cache]), Some("one"));
}
