//! Runs one step: on this machine, in the job's container, or as a container of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::super::files::StepFiles;
use super::{Done, Runner};
use crate::docker::Container;
use crate::git;
use crate::process::Spawned;
use crate::redact::Redactor;
use crate::run::Run;

/// The time limit of a step.
const LIMIT: Duration = Duration::from_secs(300);

impl Runner {
    fn step_files(&mut self) -> StepFiles {
        self.steps += 1;
        StepFiles::new(&self.temp().join("_runner_file_commands"), self.steps)
    }

    pub(super) fn script(
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
        // Without a named shell, the runner does not set pipefail (and a container without bash
        // would use sh).
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
        let path_inside = |path: &Path| self.map_into_job(&path.display().to_string());
        command.args(["exec", "-i", "--workdir", &path_inside(directory)]);
        for (name, value) in environment {
            // Values of `env:` that stand for host paths (`github.workspace`, `runner.temp`) are
            // not mapped, as in the real runner.
            let value = if name.starts_with("HOST_") {
                value.clone()
            } else {
                self.map_into_job(value)
            };
            command.arg("-e").arg(format!("{name}={value}"));
        }
        command
            .arg(container.name())
            .arg("bash")
            .args(flags)
            .arg(path_inside(script));
        command
    }

    /// Runs a step with `uses: docker://IMAGE`.
    pub(super) fn container_step(
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
            .extend(files.content("GITHUB_PATH").lines().map(str::to_owned));
        Done {
            runs: vec![run],
            outputs: files.pairs("GITHUB_OUTPUT"),
            summary: files.content("GITHUB_STEP_SUMMARY"),
        }
    }
}
