//! A runner with one job.

mod machines;
mod steps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use self::steps::map;
use super::expression::{Contexts, interpolate};
use crate::docker::{Container, Engine};
use crate::run::Run;

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
}
