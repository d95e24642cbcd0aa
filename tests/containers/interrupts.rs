//! A deploy that is asked to end: the tools let go of their locks and save, and nothing else is started. docs/interrupts.md has
//! what comes of it with BitOps and terraform themselves, beside the bare image.

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use compose_testkit::docker::{Container, Engine, Image};
use compose_testkit::{Catalog, GitServer, figures, standin};

use crate::real_bitops;
use crate::world::{World, image, in_each_engine, wait_until};

in_each_engine![
    while_terraform_applies,
    between_two_deployments,
    a_tool_with_much_to_say_ends_as_well,
    the_bare_pipeline_leaves_the_lock,
];

/// The way in which a deploy is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `docker stop`, which is SIGTERM.
    Stop,
    /// `docker kill --signal INT`: what a cancelled job sends first.
    Interrupt,
    /// Ctrl-C at the terminal of `docker run -it`.
    Terminal,
}

/// The step at which the deploy is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Hook,
    Terraform,
    /// The last hook of a deployment sends the signal and ends.
    Between,
    Ansible,
    Helm,
}

/// The pipeline in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipeline {
    StandIn,
    BitOps,
}

/// Whether the image has bitops-compose, or an operations repo that is already merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Composed,
    Bare,
}

/// The result.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: i32,
    /// `None` if the tool has neither a lock nor a state.
    tool: Option<Tool>,
    another_started: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Tool {
    locked: bool,
    saved: bool,
}

impl Way {
    const ALL: [Self; 3] = [Self::Stop, Self::Interrupt, Self::Terminal];

    fn code(self) -> i32 {
        match self {
            Self::Stop => 143,
            Self::Interrupt | Self::Terminal => 130,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stop => "`docker stop`",
            Self::Interrupt => "`docker kill --signal INT`",
            Self::Terminal => "Ctrl-C with `-it`",
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hook => "a hook runs",
            Self::Terraform => "terraform applies",
            Self::Between => "between two deployments",
            Self::Ansible => "ansible runs",
            Self::Helm => "helm runs",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code)?;
        if let Some(tool) = &self.tool {
            let lock = if tool.locked {
                "**lock left**"
            } else {
                "lock released"
            };
            let state = if tool.saved { "saved" } else { "**nothing saved**" };
            write!(formatter, ", {lock}, {state}")?;
        }
        if self.another_started {
            write!(formatter, ", **the next deployment ran**")?;
        }
        Ok(())
    }
}

impl Moment {
    const ALL: [Self; 5] = [
        Self::Terraform,
        Self::Hook,
        Self::Between,
        Self::Ansible,
        Self::Helm,
    ];

    /// The deployments, the active one first. Each has the name of its plugin.
    fn deployments(self) -> [&'static str; 2] {
        match self {
            Self::Hook | Self::Terraform | Self::Between => ["terraform", "ansible"],
            Self::Ansible => ["ansible", "terraform"],
            Self::Helm => ["helm", "ansible"],
        }
    }

    /// The process that holds the lock.
    fn tool(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Terraform | Self::Between => "terraform",
            Self::Ansible => "ansible",
            Self::Helm => "helm",
        }
    }

    /// Between two deployments the signal comes from inside the container, so there is no terminal.
    fn ways(self) -> &'static [Way] {
        if self == Self::Between {
            &Way::ALL[..2]
        } else {
            &Way::ALL
        }
    }
}

/// A deploy at the moment, in a container that has not been started.
struct Deploy {
    world: World,
    moment: Moment,
    pipeline: Pipeline,
    /// Accepts helm's request for a chart, and never answers.
    chart_server: TcpListener,
}

impl Deploy {
    fn new(engine: Engine, image: &str, side: Side, pipeline: Pipeline, moment: Moment) -> Self {
        let chart_server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut catalog = Catalog::new("c");
        let chart = format!(
            "apiVersion: v2\nname: chart\nversion: 1.0.0\ndependencies:\n- {{name: other, version: 1.0.0, repository: 'http://{}'}}\n",
            chart_server.local_addr().unwrap()
        );
        let source = [
            ("terraform/main.tf", include_str!("interrupts/main.tf")),
            ("ansible/playbook.yaml", include_str!("interrupts/playbook.yaml")),
            ("ansible/inventory.ini", "localhost ansible_connection=local\n"),
            ("ansible/held.sh", include_str!("interrupts/held.sh")),
            ("helm/chart/Chart.yaml", &chart),
        ];
        for (path, text) in source {
            catalog.file(&format!("eks/{path}"), text);
        }
        catalog.tag("1.0.0");
        let world = World::new(engine, image, &mut [catalog], GitServer::start);
        if side == Side::Bare {
            for (path, text) in source {
                world.file(&format!("dev/{path}"), text);
            }
        }
        let [first, second] = moment.deployments();
        let config = format!(
            "default-environments:\n- {{repo: {}, environment: eks, version: 1.0.0}}\n\
             bitops: {{deployments: {{{first}: {{plugin: {first}}}, {second}: {{plugin: {second}}}}}}}\n",
            world.server.url("c")
        );
        world
            .file("dev/bitops.config.yaml", &config)
            .file("dev/terraform/bitops.config.yaml", "terraform: {cli: {stack-action: apply}}\n")
            .file(
                "dev/ansible/bitops.config.yaml",
                "ansible: {cli: {main-playbook: playbook.yaml, inventory: inventory.ini}}\n",
            )
            .file(
                "dev/helm/chart/bitops.config.yaml",
                "helm: {cli: {namespace: n}, options: {release-name: chart, k8s: {fetch: {cluster-name: c}}}}\n",
            )
            .file(&format!("dev/{second}/bitops.before-deploy.d/next.sh"), "touch /out/state/next\n");
        if first != "helm" {
            let after = "touch /out/state/after\nif [ -e /out/state/signal ]; then kill -$(cat /out/state/signal) 1; fi\n";
            world.file(&format!("dev/{first}/bitops.after-deploy.d/after.sh"), after);
        }
        if moment == Moment::Hook {
            let script = format!("NAME=hook\n{}", include_str!("interrupts/held.sh"));
            world.file(&format!("dev/{first}/bitops.before-deploy.d/held.sh"), &script);
        }
        fs::create_dir(world.out().join("state")).unwrap();
        let deploy = Self {
            world,
            moment,
            pipeline,
            chart_server,
        };
        if moment != Moment::Between {
            fs::write(deploy.state(&format!("{}.hold", moment.tool())), "").unwrap();
        }
        deploy
    }

    fn state(&self, name: &str) -> PathBuf {
        self.world.out().join("state").join(name)
    }

    /// The tool's lock.
    fn lock(&self) -> PathBuf {
        let terraform = self.pipeline == Pipeline::BitOps && self.moment.tool() == "terraform";
        // As terraform names it, for a state in `terraform.state`.
        self.state(&if terraform {
            ".terraform.state.lock.info".to_owned()
        } else {
            format!("{}.lock", self.moment.tool())
        })
    }

    /// Runs it up to the moment, asks it to end, and returns what is left.
    fn interrupt(&self, way: Way, init: bool) -> Outcome {
        let mut options = vec![
            self.world.bind("", ""),
            "--env=STANDIN_STATE=/out/state".to_owned(),
            "--env=PYTHONUNBUFFERED=1".to_owned(),
            "--env=BITOPS_KUBECONFIG_BASE64=e30K".to_owned(),
        ];
        if init {
            options.push("--init".to_owned());
        }
        if way == Way::Terminal {
            options.push("-it".to_owned());
        }
        if self.moment == Moment::Between {
            let signal = if way == Way::Stop { "TERM" } else { "INT" };
            fs::write(self.state("signal"), signal).unwrap();
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let container = self.world.create(&options);
        let mut terminal = Terminal::start(&container);
        let mut sent = Instant::now();
        let mut released = None;
        if self.moment != Moment::Between {
            self.wait_for_the_tool(&container);
            sent = Instant::now();
            released = Some(when_gone(self.lock(), sent));
            match way {
                Way::Stop => container.stop(3),
                Way::Interrupt => drop(
                    self.world
                        .engine
                        .expect(["kill", "--signal=INT", container.name()]),
                ),
                Way::Terminal => terminal.control_c(),
            }
        }
        wait_until(|| self.has_ended(&container));
        let outcome = Outcome {
            code: container.wait(),
            tool: (self.pipeline == Pipeline::StandIn || self.moment != Moment::Helm).then(|| Tool {
                locked: self.lock().exists(),
                saved: self.saved(),
            }),
            another_started: self.state("next").exists()
                || (self.moment != Moment::Between && self.state("after").exists()),
        };
        let ended = sent.elapsed();
        let run = format!("{way}{}, {}", if init { ", `--init`" } else { "" }, self.moment);
        figures::record(
            0,
            format!("{run}: signal to the container's end"),
            format!("{} ms", ended.as_millis()),
        );
        // A lock that the container has left is never released.
        let released = released.filter(|_| outcome.tool.as_ref().is_some_and(|tool| !tool.locked));
        if let Some(released) = released {
            figures::record(
                0,
                format!("{run}: signal to the lock's release"),
                format!("{} ms", released.join().unwrap().as_millis()),
            );
        }
        self.assert_home_is_clean(&container, &outcome);
        outcome
    }

    fn wait_for_the_tool(&self, container: &Container) {
        let at_work = match (self.pipeline, self.moment) {
            (Pipeline::BitOps, Moment::Helm) => {
                self.chart_server.set_nonblocking(true).unwrap();
                let asked = Cell::new(false);
                wait_until(|| {
                    if let Ok((connection, _)) = self.chart_server.accept() {
                        // Kept open, and never answered.
                        std::mem::forget(connection);
                        asked.set(true);
                    }
                    asked.get() || self.has_ended(container)
                });
                assert!(asked.get(), "{}", container.logs());
                return;
            }
            (Pipeline::BitOps, Moment::Terraform) => self.state("held"),
            _ => self.lock(),
        };
        wait_until(|| at_work.exists() || self.has_ended(container));
        assert!(at_work.exists(), "{}", container.logs());
    }

    fn has_ended(&self, container: &Container) -> bool {
        let status = ["inspect", "--format={{.State.Status}}", container.name()];
        self.world.engine.expect(status) == "exited"
    }

    /// Returns whether the tool has saved its state. Terraform's state has the resource at which it was.
    fn saved(&self) -> bool {
        let path = self.state(&format!("{}.state", self.moment.tool()));
        let text = fs::read_to_string(path).unwrap_or_default();
        ["applied", "interrupted", "\"held\""]
            .iter()
            .any(|word| text.contains(word))
    }

    /// Asserts that the home shows the user's own files after a composing run was ended by a signal.
    fn assert_home_is_clean(&self, container: &Container, outcome: &Outcome) {
        // The whole directory is copied, because podman copies the target of a single link.
        let copy = self.world.out().join("home");
        let from = format!("{}:/opt/bitops-compose/.", container.name());
        if !self
            .world
            .engine
            .call(["cp", &from, copy.to_str().unwrap()])
            .success()
        {
            return;
        }
        let active = fs::read_link(copy.join("active"));
        assert_eq!(active.unwrap(), Path::new("mount"), "{outcome}");
        let changes = self.world.engine.expect(["diff", container.name()]);
        assert!(
            !changes.contains("/opt/bitops-compose/composition"),
            "{outcome}\n{changes}"
        );
    }
}

/// Returns how long after `since` a file is gone, to the millisecond.
fn when_gone(file: PathBuf, since: Instant) -> JoinHandle<Duration> {
    thread::spawn(move || {
        while file.exists() {
            thread::sleep(Duration::from_millis(1));
        }
        since.elapsed()
    })
}

/// A terminal with the container's output, where it has one; its keyboard is a pipe.
struct Terminal(Child);

impl Terminal {
    /// Starts a created container.
    fn start(container: &Container) -> Self {
        let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let child = Command::new(standin::python())
            .args([
                "-c",
                script,
                container.engine().program(),
                "start",
                "--attach",
                "--interactive",
                container.name(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn control_c(&mut self) {
        let keyboard = self.0.stdin.as_mut().unwrap();
        keyboard
            .write_all(b"\x03")
            .and_then(|()| keyboard.flush())
            .unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended with the container, or the test has failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asserts what the image does for each way to ask for the end.
fn expected(deploy: &Deploy, way: Way) -> Outcome {
    Outcome {
        code: way.code(),
        tool: (deploy.pipeline == Pipeline::StandIn || deploy.moment != Moment::Helm).then_some(Tool {
            locked: false,
            saved: true,
        }),
        another_started: false,
    }
}

#[track_caller]
fn assert_ends_orderly(engine: Engine, moment: Moment) {
    let image = image(engine);
    for way in moment.ways() {
        for init in [false, true] {
            let deploy = Deploy::new(engine, &image, Side::Composed, Pipeline::StandIn, moment);
            let outcome = deploy.interrupt(*way, init);
            assert_eq!(outcome, expected(&deploy, *way), "{way}, --init: {init}");
        }
    }
}

/// In Docker only: the tool makes no difference to the engine, and `while_terraform_applies` runs in both.
#[test]
fn while_a_hook_runs() {
    assert_ends_orderly(Engine::Docker, Moment::Hook);
}

fn while_terraform_applies(engine: Engine) {
    assert_ends_orderly(engine, Moment::Terraform);
}

fn between_two_deployments(engine: Engine) {
    assert_ends_orderly(engine, Moment::Between);
}

/// In Docker only, as with a hook.
#[test]
fn while_ansible_runs() {
    assert_ends_orderly(Engine::Docker, Moment::Ansible);
}

/// In Docker only, as with a hook.
#[test]
fn while_helm_runs() {
    assert_ends_orderly(Engine::Docker, Moment::Helm);
}

fn a_tool_with_much_to_say_ends_as_well(engine: Engine) {
    let image = image(engine);
    for way in Way::ALL {
        let deploy = Deploy::new(
            engine,
            &image,
            Side::Composed,
            Pipeline::StandIn,
            Moment::Terraform,
        );
        fs::write(deploy.state("terraform.loud"), "").unwrap();
        assert_eq!(deploy.interrupt(way, false), expected(&deploy, way), "{way}");
    }
}

fn the_bare_pipeline_leaves_the_lock(engine: Engine) {
    let bare = bare(engine, &image(engine));
    for way in Way::ALL {
        let deploy = Deploy::new(
            engine,
            bare.name(),
            Side::Bare,
            Pipeline::StandIn,
            Moment::Terraform,
        );
        let left = Tool {
            locked: true,
            saved: false,
        };
        assert_eq!(deploy.interrupt(way, false).tool, Some(left), "{way}");
    }
}

#[test]
fn terraform_ansible_and_helm_in_bitops_itself() {
    let Some(image) = real_bitops::image() else {
        return;
    };
    let engine = Engine::Docker;
    let bare = bare(engine, image.name());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interrupts.md");
    let page = fs::read_to_string(page).unwrap();
    let mut wrong = String::new();
    let helm = real_bitops::has_plugin("helm");
    for moment in Moment::ALL
        .into_iter()
        .filter(|moment| helm || *moment != Moment::Helm)
    {
        for way in moment.ways() {
            for init in [false, true] {
                let composed = Deploy::new(engine, image.name(), Side::Composed, Pipeline::BitOps, moment);
                let outcome = composed.interrupt(*way, init);
                let asked = if init {
                    format!("{way}, `--init`")
                } else {
                    way.to_string()
                };
                let (start, end) = (format!("| {moment} | {asked} | "), format!(" | {outcome} |"));
                let listed = page
                    .lines()
                    .any(|line| line.starts_with(&start) && line.ends_with(&end));
                if outcome != expected(&composed, *way) || !listed {
                    wrong += &format!("{start}…{end}\n");
                }
                // What bare BitOps leaves is a race. The document shows one run of it, and nothing is asserted.
                let left = Deploy::new(engine, bare.name(), Side::Bare, Pipeline::BitOps, moment)
                    .interrupt(*way, init);
                figures::record(0, format!("{start}{left}{end}"), "");
            }
        }
    }
    assert!(wrong.is_empty(), "not as docs/interrupts.md has it:\n{wrong}");
}

/// An image without bitops-compose.
fn bare(engine: Engine, image: &str) -> Image {
    World::new(engine, image, &mut [], GitServer::start).bare()
}
