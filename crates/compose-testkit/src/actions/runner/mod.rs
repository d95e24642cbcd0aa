//! A runner for one job.

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

/// A runner for one job.
///
/// ```text
/// <work>                stands for /home/runner/work, or /__w in a job container
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

/// The results of the steps of a job or an action.
#[derive(Debug, Default)]
pub struct Done {
    /// The runs of its steps in order, including those of actions.
    pub runs: Vec<Run>,
    /// The outputs of an action, or of a job's last step with any.
    pub outputs: BTreeMap<String, String>,
    /// The text that the steps wrote for the run's page.
    pub summary: String,
}

impl Done {
    /// Returns the exit code of the last step that ran; no step follows a failed one.
    ///
    /// # Panics
    ///
    /// If no step ran.
    pub fn code(&self) -> Option<i32> {
        self.last().code
    }

    /// Returns the last step that ran.
    ///
    /// # Panics
    ///
    /// If no step ran.
    pub fn last(&self) -> &Run {
        self.runs.last().expect("a step ran")
    }

    /// Asserts the exit code of the last step.
    ///
    /// # Panics
    ///
    /// If it differs.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}", self.last());
        self
    }
}

impl Runner {
    /// Creates a runner with this workspace, which must be below `work`. Steps on this machine find
    /// `bash` and all other programs in `PATH`.
    ///
    /// # Panics
    ///
    /// If its directories cannot be created.
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
        let display = |path: &Path| path.display().to_string();
        let temp = display(&work.join("_temp"));
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
            ("GITHUB_WORKSPACE", &display(workspace)),
            ("RUNNER_OS", "Linux"),
            ("RUNNER_TEMP", &temp),
        ] {
            runner.variable(name, value);
        }
        for (name, value) in [
            ("github.workspace", &*display(workspace)),
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

    /// Sets the value of a name in expressions.
    pub fn context(&mut self, name: &str, value: &str) -> &mut Self {
        self.contexts.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets an environment variable of the job.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets further options for each step that is a container, such as a test's network and
    /// volumes.
    pub fn container_options(&mut self, options: &[&str]) -> &mut Self {
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self
    }

    /// Runs the action of a directory for `uses: NAME@…`. Actions that are not provided do nothing;
    /// see [`Runner::used`].
    pub fn provide(&mut self, name: &str, directory: &Path) -> &mut Self {
        self.actions.insert(name.to_owned(), directory.to_owned());
        self
    }

    /// Adds a directory at the front of the `PATH` of steps on this machine.
    pub fn prepend_path(&mut self, directory: &Path) -> &mut Self {
        self.path.push(directory.display().to_string());
        self
    }

    /// Returns the actions that steps used, with their inputs.
    pub fn used(&self) -> &[(String, BTreeMap<String, String>)] {
        &self.used
    }

    /// Returns the runner's temporary directory.
    pub fn temp(&self) -> PathBuf {
        self.work.join("_temp")
    }

    /// Starts the job's container, in which the following steps run.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn job_container(&mut self, image: &str) -> &mut Self {
        let engine = self.engine.expect("there is a container engine");
        let mut arguments = vec![
            format!("--volume={}:/__w", self.work.display()),
            format!("--volume={}/_temp/_github_home:/github/home", self.work.display()),
            format!(
                "--volume={}/_temp/_github_workflow:/github/workflow",
                self.work.display()
            ),
            format!(
                "--workdir={}",
                self.map_into_job(&self.workspace.display().to_string())
            ),
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

    /// Maps host paths in a text to paths in the job's container.
    fn map_into_job(&self, text: &str) -> String {
        text.replace(&self.work.display().to_string(), "/__w")
    }

    /// Runs the only job of a workflow, with its container and steps.
    ///
    /// # Panics
    ///
    /// If it has several jobs, or a step of an unknown type.
    pub fn workflow(&mut self, text: &str) -> Done {
        let workflow: Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        // Sets the defaults of a reusable workflow's inputs.
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
        assert_eq!(jobs.len(), 1, "the workflow has one job");
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

    /// Runs the composite action in a directory.
    ///
    /// # Panics
    ///
    /// If it is not a composite action, or gets an unknown input.
    pub fn action(&mut self, directory: &Path, with: &[(&str, &str)]) -> Done {
        let owned = with
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.composite(directory, &owned.collect())
    }
}
