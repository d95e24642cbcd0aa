//! Steps, run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_yaml::Value;

use super::expression::{Contexts, holds, interpolate};
use super::files::StepFiles;
use crate::docker::{Container, Engine};
use crate::git;
use crate::process::Spawned;
use crate::redact::Redactor;
use crate::run::Run;

/// How long one step may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A runner with one job.
///
/// ```text
/// <work>                what the real one has in /home/runner/work, and a job container in /__w
/// <work>/_temp          RUNNER_TEMP
/// <workspace>           GITHUB_WORKSPACE, below <work>
/// ```
#[derive(Debug)]
pub struct Runner {
    engine: Option<Engine>,
    work: PathBuf,
    workspace: PathBuf,
    contexts: Contexts,
    environment: BTreeMap<String, String>,
    path: Vec<String>,
    options: Vec<String>,
    actions: BTreeMap<String, PathBuf>,
    job: Option<Container>,
    steps: usize,
    used: Vec<(String, BTreeMap<String, String>)>,
}

/// What came of the steps of a job or of an action.
#[derive(Debug, Default)]
pub struct Done {
    /// The runs of its steps, in order; those of an action among them.
    pub runs: Vec<Run>,
    /// An action's outputs; of a job, those of its last step that has any.
    pub outputs: BTreeMap<String, String>,
    /// What its steps wrote for the run's page.
    pub summary: String,
}

impl Done {
    /// The exit code of the last step that ran: no step follows one that failed.
    ///
    /// # Panics
    /// Where no step ran.
    pub fn code(&self) -> Option<i32> {
        self.last().code
    }

    /// The last step that ran.
    ///
    /// # Panics
    /// Where none did.
    pub fn last(&self) -> &Run {
        self.runs.last().expect("a step ran")
    }

    /// Checks the exit code of the last step.
    ///
    /// # Panics
    /// Where it is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}", self.last());
        self
    }
}

impl Runner {
    /// A runner with this workspace, which must be below `work`. Steps on this machine find the program `bash` and all else
    /// in `PATH`.
    ///
    /// # Panics
    /// Where its directories cannot be made.
    pub fn new(work: &Path, workspace: &Path) -> Self {
        for directory in [
            "_temp/_github_home",
            "_temp/_github_workflow",
            "_temp/_runner_file_commands",
            "_home",
        ] {
            fs::create_dir_all(work.join(directory))
                .unwrap_or_else(|error| panic!("no {directory}: {error}"));
        }
        let text = |path: &Path| path.display().to_string();
        let temp = text(&work.join("_temp"));
        let mut runner = Self {
            engine: Engine::find(),
            work: work.to_owned(),
            workspace: workspace.to_owned(),
            contexts: Contexts::new(),
            environment: BTreeMap::new(),
            path: Vec::new(),
            options: Vec::new(),
            actions: BTreeMap::new(),
            job: None,
            steps: 0,
            used: Vec::new(),
        };
        for (name, value) in [
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_REPOSITORY", "org/app"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_WORKSPACE", &text(workspace)),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_TEMP", &temp),
        ] {
            runner.variable(name, value);
        }
        for (name, value) in [
            ("github.workspace", &*text(workspace)),
            ("github.token", "token-of-the-workflow"),
            ("github.ref_name", "main"),
            ("github.repository", "org/app"),
            ("runner.temp", &temp),
            ("runner.os", "Linux"),
        ] {
            runner.context(name, value);
        }
        runner
    }

    /// What a name in expressions stands for.
    pub fn context(&mut self, name: &str, value: &str) -> &mut Self {
        self.contexts.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A variable of the whole job.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// More options for each container that a step is: a test's network and volumes.
    pub fn container_options(&mut self, options: &[&str]) -> &mut Self {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    /// Runs a directory's action for `uses: NAME@…`. Actions that nobody provides do nothing: see [`Runner::used`].
    pub fn provide(&mut self, name: &str, directory: &Path) -> &mut Self {
        self.actions.insert(name.to_owned(), directory.to_owned());
        self
    }

    /// Puts a directory in front of the `PATH` of steps on this machine.
    pub fn prepend_path(&mut self, directory: &Path) -> &mut Self {
        self.path.push(directory.display().to_string());
        self
    }

    /// The actions that steps used, with what they were given.
    pub fn used(&self) -> &[(String, BTreeMap<String, String>)] {
        &self.used
    }

    /// The runner's temporary directory.
    pub fn temp(&self) -> PathBuf {
        self.work.join("_temp")
    }

    /// Starts the job's container: the steps that follow run in it.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn job_container(&mut self, image: &str) -> &mut Self {
        let engine = self.engine.expect("there is a container engine");
        let mut arguments = vec![
            format!("--volume={}:/__w", self.work.display()),
            format!("--volume={}/_temp/_github_home:/github/home", self.work.display()),
            format!(
                "--volume={}/_temp/_github_workflow:/github/workflow",
                self.work.display()
            ),
            format!("--workdir={}", self.inside(&self.workspace.display().to_string())),
            "--env=HOME=/github/home".to_owned(),
            "--env=GITHUB_ACTIONS=true".to_owned(),
            "--env=CI=true".to_owned(),
            "--entrypoint=tail".to_owned(),
        ];
        arguments.extend(self.options.iter().cloned());
        arguments.extend([image, "-f", "/dev/null"].map(str::to_owned));
        self.job = Some(engine.start(arguments));
        self
    }

    /// A path in the job's container.
    fn inside(&self, text: &str) -> String {
        text.replace(&self.work.display().to_string(), "/__w")
    }

    /// Runs the only job of a workflow: its container, its steps.
    ///
    /// # Panics
    /// Where it has several, or a step is of an unknown kind.
    pub fn workflow(&mut self, text: &str) -> Done {
        let workflow: Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // What a caller leaves out of a reusable workflow's inputs.
        for (name, input) in workflow["on"]["workflow_call"]["inputs"]
            .as_mapping()
            .into_iter()
            .flatten()
        {
            let name = format!("inputs.{}", name.as_str().expect("a name"));
            let default = input["default"].as_str().unwrap_or_default();
            self.contexts.entry(name).or_insert_with(|| default.to_owned());
        }
        let jobs = workflow["jobs"].as_mapping().expect("a workflow has jobs");
        assert_eq!(jobs.len(), 1, "one job is run");
        let job = jobs.values().next().expect("there is one").clone();
        for level in [&workflow["env"], &job["env"]] {
            for (name, value) in map(level, &self.contexts) {
                self.environment.insert(name, value);
            }
        }
        match &job["container"] {
            Value::Null => {}
            Value::String(image) => {
                self.job_container(&interpolate(image, &self.contexts));
            }
            container => {
                let image = container["image"].as_str().expect("a container has an image");
                self.job_container(&interpolate(image, &self.contexts));
            }
        }
        let steps = job["steps"].as_sequence().expect("a job has steps").clone();
        let contexts = self.contexts.clone();
        self.run_steps(&steps, contexts, None)
    }

    /// Runs the composite action of a directory.
    ///
    /// # Panics
    /// Where it is none, or is given an input that it does not have.
    pub fn action(&mut self, directory: &Path, with: &[(&str, &str)]) -> Done {
        let owned = with
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.composite(directory, &owned.collect())
    }

    fn composite(&mut self, directory: &Path, with: &BTreeMap<String, String>) -> Done {
        let file = directory.join("action.yml");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let action: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(action["runs"]["using"], "composite");
        let mut contexts = self.contexts.clone();
        let declared = action["inputs"].as_mapping().cloned().unwrap_or_default();
        for name in with.keys() {
            assert!(
                declared.contains_key(name.as_str()),
                "{name} is no input of {}",
                file.display()
            );
        }
        for (name, input) in &declared {
            let name = name.as_str().expect("a name");
            let default = interpolate(input["default"].as_str().unwrap_or_default(), &self.contexts);
            let value = with.get(name).cloned().unwrap_or(default);
            contexts.insert(format!("inputs.{name}"), value);
        }
        let steps = action["runs"]["steps"]
            .as_sequence()
            .expect("an action has steps")
            .clone();
        let (mut done, contexts) = self.steps_with_contexts(&steps, contexts, Some(directory));
        let outputs = action["outputs"].as_mapping().cloned().unwrap_or_default();
        done.outputs = outputs
            .iter()
            .map(|(name, output)| {
                let value = output["value"].as_str().expect("an output has a value");
                (
                    name.as_str().expect("a name").to_owned(),
                    interpolate(value, &contexts),
                )
            })
            .collect();
        done
    }

    fn run_steps(&mut self, steps: &[Value], contexts: Contexts, action: Option<&Path>) -> Done {
        self.steps_with_contexts(steps, contexts, action).0
    }

    fn steps_with_contexts(
        &mut self,
        steps: &[Value],
        mut contexts: Contexts,
        action: Option<&Path>,
    ) -> (Done, Contexts) {
        let mut done = Done::default();
        let mut success = true;
        for step in steps {
            let condition = match &step["if"] {
                Value::Null => "success()".to_owned(),
                Value::String(condition) => condition.clone(),
                Value::Bool(value) => value.to_string(),
                other => panic!("{other:?} is no condition"),
            };
            if !holds(&condition, &contexts, success) {
                continue;
            }
            let one = self.step(step, &contexts, action);
            success &= one.runs.iter().all(Run::success);
            if let Some(id) = step["id"].as_str() {
                for (name, value) in &one.outputs {
                    contexts.insert(format!("steps.{id}.outputs.{name}"), value.clone());
                }
            }
            done.runs.extend(one.runs);
            done.summary.push_str(&one.summary);
            if !one.outputs.is_empty() {
                done.outputs = one.outputs;
            }
        }
        (done, contexts)
    }

    fn step(&mut self, step: &Value, contexts: &Contexts, action: Option<&Path>) -> Done {
        let own = map(&step["env"], contexts);
        if let Some(uses) = step["uses"].as_str() {
            let with = map(&step["with"], contexts);
            let name = uses.split('@').next().unwrap_or_default().to_owned();
            self.used.push((name.clone(), with.clone()));
            if let Some(image) = uses.strip_prefix("docker://") {
                return self.container_step(&interpolate(image, contexts), &with, &own);
            }
            let Some(directory) = self.actions.get(&name).cloned() else {
                return Done::default();
            };
            // What a step's env holds, the steps of its action see.
            let before = self.environment.clone();
            self.environment.extend(own);
            let done = self.composite(&directory, &with);
            self.environment = before;
            return done;
        }
        let script = step["run"]
            .as_str()
            .expect("a step uses something or runs something");
        let shell = step["shell"].as_str();
        assert!(
            shell == Some("bash") || (shell.is_none() && action.is_none()),
            "a step of an action names its shell"
        );
        let directory = step["working-directory"]
            .as_str()
            .map(|path| interpolate(path, contexts));
        self.script(&interpolate(script, contexts), shell, directory, own, action)
    }

    fn step_files(&mut self) -> StepFiles {
        self.steps += 1;
        StepFiles::new(&self.temp().join("_runner_file_commands"), self.steps)
    }

    fn script(
        &mut self,
        script: &str,
        shell: Option<&str>,
        directory: Option<String>,
        own: BTreeMap<String, String>,
        action: Option<&Path>,
    ) -> Done {
        let files = self.step_files();
        let path = self.temp().join(format!("script_{}.sh", self.steps));
        fs::write(&path, script).expect("a script can be written");
        let mut environment = self.environment.clone();
        environment.extend(files.variables());
        if let Some(action) = action {
            environment.insert("GITHUB_ACTION_PATH".to_owned(), action.display().to_string());
        }
        environment.extend(own);
        let directory = directory.map_or_else(|| self.workspace.clone(), |path| self.workspace.join(path));
        // Without a shell named the runner leaves out pipefail; a container without bash would get sh.
        let flags: &[&str] = match shell {
            Some(_) => &["--noprofile", "--norc", "-eo", "pipefail"],
            None => &["-e"],
        };
        let command = match &self.job {
            None => self.on_this_machine(&environment, &directory, flags, &path),
            Some(container) => self.in_the_container(container, &environment, &directory, flags, &path),
        };
        let run = Spawned::start(command, Redactor::new(None)).wait(LIMIT);
        self.finish(run, &files)
    }

    fn on_this_machine(
        &self,
        environment: &BTreeMap<String, String>,
        directory: &Path,
        flags: &[&str],
        script: &Path,
    ) -> Command {
        let mut command = Command::new("bash");
        let system = std::env::var("PATH").unwrap_or_default();
        let path: Vec<&str> = self
            .path
            .iter()
            .rev()
            .map(String::as_str)
            .chain([&*system])
            .collect();
        command
            .args(flags)
            .arg(script)
            .env_clear()
            .env("PATH", path.join(":"))
            .env("HOME", self.work.join("_home"))
            .envs(git::ISOLATION)
            .envs(environment)
            .current_dir(directory);
        for name in ["DOCKER_HOST", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    fn in_the_container(
        &self,
        container: &Container,
        environment: &BTreeMap<String, String>,
        directory: &Path,
        flags: &[&str],
        script: &Path,
    ) -> Command {
        let mut command = self.engine.expect("there is a container engine").command();
        let inside = |path: &Path| self.inside(&path.display().to_string());
        command.args(["exec", "-i", "--workdir", &inside(directory)]);
        for (name, value) in environment {
            // `github.workspace` and `runner.temp` in an `env:` stay the host's, as with the real one.
            let value = if name.starts_with("HOST_") {
                value.clone()
            } else {
                self.inside(value)
            };
            command.arg("-e").arg(format!("{name}={value}"));
        }
        command
            .arg(container.name())
            .arg("bash")
            .args(flags)
            .arg(inside(script));
        command
    }

    /// `uses: docker://IMAGE`.
    fn container_step(
        &mut self,
        image: &str,
        with: &BTreeMap<String, String>,
        own: &BTreeMap<String, String>,
    ) -> Done {
        let engine = self.engine.expect("there is a container engine");
        let files = self.step_files();
        let mut environment = self.environment.clone();
        environment.extend(files.variables());
        environment.extend(own.clone());
        for (name, value) in with {
            environment.insert(
                format!("INPUT_{}", name.to_uppercase().replace(' ', "_")),
                value.clone(),
            );
        }
        let temp = self.temp().display().to_string();
        environment.insert("HOME".to_owned(), format!("{temp}/_github_home"));
        let mounts = [
            (format!("{temp}/_github_home"), "/github/home"),
            (format!("{temp}/_github_workflow"), "/github/workflow"),
            (format!("{temp}/_runner_file_commands"), "/github/file_commands"),
            (self.workspace.display().to_string(), "/github/workspace"),
        ];
        let mut arguments = vec!["--workdir=/github/workspace".to_owned()];
        for (name, value) in environment {
            let value = mounts
                .iter()
                .fold(value, |value, (from, to)| value.replace(from, to));
            arguments.push(format!("--env={name}={value}"));
        }
        arguments.extend(mounts.iter().map(|(from, to)| format!("--volume={from}:{to}")));
        arguments.extend(self.options.iter().cloned());
        if let Some(entrypoint) = with.get("entrypoint") {
            arguments.push(format!("--entrypoint={entrypoint}"));
        }
        arguments.push(image.to_owned());
        arguments.extend(
            with.get("args")
                .into_iter()
                .flat_map(|args| args.split_whitespace())
                .map(str::to_owned),
        );
        let run = engine.run(arguments);
        self.finish(run, &files)
    }

    fn finish(&mut self, run: Run, files: &StepFiles) -> Done {
        self.environment.extend(files.pairs("GITHUB_ENV"));
        self.path
            .extend(files.text("GITHUB_PATH").lines().map(str::to_owned));
        Done {
            runs: vec![run],
            outputs: files.pairs("GITHUB_OUTPUT"),
            summary: files.text("GITHUB_STEP_SUMMARY"),
        }
    }
}

/// A mapping of texts with expressions.
fn map(value: &Value, contexts: &Contexts) -> BTreeMap<String, String> {
    let Some(map) = value.as_mapping() else {
        return BTreeMap::new();
    };
    map.iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => interpolate(text, contexts),
                Value::Bool(value) => value.to_string(),
                Value::Number(value) => value.to_string(),
                other => panic!("{other:?} is no text"),
            };
            (name.as_str().expect("a name").to_owned(), value)
        })
        .collect()
}
