//! A world of its own for the program under test.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fingerprint::Fingerprint;
use crate::git;
use crate::process::Spawned;
use crate::redact::Redactor;
use crate::run::Run;
use crate::standin;

/// A temporary directory with a home, an operations repo and everything else that the program reads or writes, and
/// an environment that holds `PATH` and what names these places.
///
/// ```text
/// <root>/home                              HOME
/// <root>/tmp                               TMPDIR
/// <root>/cache                             BITOPS_COMPOSE_CACHE
/// <root>/opt/bitops_deployment             BITOPS_COMPOSE_OPS_REPO, a link to bitops-compose/active
/// <root>/opt/bitops-compose                BITOPS_COMPOSE_HOME
/// <root>/opt/bitops-compose/active         a link to mount
/// <root>/opt/bitops-compose/mount          the user's operations repo
/// <root>/pipeline.json                     what the pipeline was given, once it has run
/// ```
#[derive(Debug)]
pub struct Context {
    program: PathBuf,
    wrapper: Vec<OsString>,
    /// Removed when the context is dropped.
    _root: tempfile::TempDir,
    variables: BTreeMap<OsString, OsString>,
    path: PathBuf,
    directory: PathBuf,
    limit: Duration,
    redactor: Redactor,
}

impl Context {
    /// A fresh world for the program at `program`, usually `env!("CARGO_BIN_EXE_bitops-compose")`.
    ///
    /// The pipeline is the stand-in of this crate; the working directory is the root.
    ///
    /// # Panics
    /// Where the directories cannot be made, or there is no python3 with PyYAML.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let root = tempfile::Builder::new()
            .prefix("compose-context-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a temporary directory: {error}"));
        // Resolved, so that paths which the program has resolved are recognised in its output.
        let path = root.path().canonicalize().expect("the directory was just made");
        for directory in ["home", "tmp", "cache", "opt/bitops-compose/mount"] {
            make_directory(&path.join(directory));
        }
        link("mount", &path.join("opt/bitops-compose/active"));
        link("bitops-compose/active", &path.join("opt/bitops_deployment"));

        let mut context = Self {
            program: program.as_ref().to_owned(),
            wrapper: Vec::new(),
            redactor: Redactor::new(Some(&path)),
            _root: root,
            variables: BTreeMap::new(),
            directory: path.clone(),
            path: path.clone(),
            limit: Duration::from_secs(60),
        };
        let ops_repo = path.join("opt/bitops_deployment");
        context
            .set("HOME", path.join("home"))
            .set("TMPDIR", path.join("tmp"))
            .set("TZ", "UTC")
            .set("TERM", "dumb")
            .set("NO_COLOR", "1")
            .set("BITOPS_COMPOSE_HOME", path.join("opt/bitops-compose"))
            .set("BITOPS_COMPOSE_OPS_REPO", &ops_repo)
            .set("BITOPS_COMPOSE_CACHE", path.join("cache"))
            .set("BITOPS_COMPOSE_PIPELINE", standin::command())
            .set("BITOPS_COMPOSE_PIPELINE_DIR", standin::directory())
            .set("STANDIN_OPS_REPO", &ops_repo)
            .set("STANDIN_DUMP", path.join("pipeline.json"));
        for (name, value) in git::ISOLATION {
            context.set(name, value);
        }
        if let Some(path) = std::env::var_os("PATH") {
            context.set("PATH", path);
        }
        context
    }

    /// The temporary directory.
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// The user's operations repo.
    pub fn ops_repo(&self) -> PathBuf {
        self.home().join("mount")
    }

    /// What `BITOPS_COMPOSE_HOME` names.
    pub fn home(&self) -> PathBuf {
        self.root().join("opt/bitops-compose")
    }

    /// What `BITOPS_COMPOSE_OPS_REPO` names: the path at which the pipeline looks.
    pub fn deployment(&self) -> PathBuf {
        self.root().join("opt/bitops_deployment")
    }

    /// What `BITOPS_COMPOSE_CACHE` names.
    pub fn cache(&self) -> PathBuf {
        self.root().join("cache")
    }

    /// Writes a file of the operations repo, and the directories above it.
    ///
    /// # Panics
    /// Where it cannot be written.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.ops_repo().join(path);
        make_directory(path.parent().expect("the path is below the operations repo"));
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self
    }

    /// As [`Context::file`], executable.
    pub fn executable(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.file(path, content);
        let path = self.ops_repo().join(path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
        self
    }

    /// Makes a symlink in the operations repo, and the directories above it.
    pub fn symlink(&self, path: &str, target: &str) -> &Self {
        let path = self.ops_repo().join(path);
        make_directory(path.parent().expect("the path is below the operations repo"));
        link(target, &path);
        self
    }

    /// Sets a variable of the program's environment.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.variables
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Takes a variable out of the program's environment.
    pub fn unset(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// The value of a variable of the program's environment.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets the working directory, absolute or relative to the root.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = self.root().join(directory);
        self
    }

    /// Starts the program by way of another one, which gets it and its arguments appended: `ulimit` in a shell, `unshare`,
    /// `setpriv`. No words: directly again.
    pub fn wrap<S: Into<OsString>>(&mut self, words: impl IntoIterator<Item = S>) -> &mut Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Puts a shell with this script, for which the program with its words is `"$@"`, within what it is wrapped in already.
    pub fn within(&mut self, script: &str) -> &mut Self {
        self.wrapper.extend(["sh", "-c", script, "sh"].map(Into::into));
        self
    }

    /// [`Context::wrap`] in a shell that first does this: `ulimit -n 16`.
    pub fn after(&mut self, script: &str) -> &mut Self {
        self.wrap(["sh", "-c", &format!("{script}\nexec \"$@\""), "sh"])
    }

    /// Sets how long a run may take before it is killed and the test fails. 60 seconds by default.
    pub fn time_limit(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
        self
    }

    /// Shows every match of a regular expression as `placeholder` in snapshots.
    ///
    /// # Panics
    /// Where the expression is none.
    pub fn filter(&mut self, expression: &str, placeholder: &str) -> &mut Self {
        self.redactor.filter(expression, placeholder);
        self
    }

    /// The command that [`Context::run`] runs: for a test that needs another standard input or output.
    pub fn command<I, S>(&self, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut words = self.wrapper.iter().map(OsString::as_os_str);
        let first = words.next();
        let mut command = Command::new(first.unwrap_or(self.program.as_os_str()));
        if first.is_some() {
            command.args(words).arg(&self.program);
        }
        command
            .args(args)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// Where it cannot be started or exceeds the time limit; the message holds its output.
    pub fn run<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.spawn(args).wait(self.limit)
    }

    /// Starts the program, for tests of signals.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn spawn<I, S>(&self, args: I) -> Spawned
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Spawned::start(self.command(args), self.redactor.clone())
    }

    /// What the stand-in pipeline was given when it ran; none where it was not started.
    ///
    /// # Panics
    /// Where the file that it wrote cannot be read.
    pub fn pipeline(&self) -> Option<standin::Dump> {
        standin::Dump::read(&self.root().join("pipeline.json"))
    }

    /// The state of the user's operations repo, to be compared with the one after a run.
    pub fn ops_repo_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.ops_repo())
    }
}

fn make_directory(path: &Path) {
    std::fs::create_dir_all(path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
}

fn link(target: &str, path: &Path) {
    std::os::unix::fs::symlink(target, path)
        .unwrap_or_else(|error| panic!("cannot link {}: {error}", path.display()));
}
