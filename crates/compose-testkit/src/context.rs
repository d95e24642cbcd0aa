//! A hermetic environment for the program under test.

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

/// A temporary directory with a home, an operations repo and everything else that the program reads
/// or writes, and an environment that contains only `PATH` and the variables for these places.
///
/// ```text
/// <root>/home                              HOME
/// <root>/tmp                               TMPDIR
/// <root>/cache                             BITOPS_COMPOSE_CACHE
/// <root>/opt/bitops_deployment             BITOPS_COMPOSE_OPS_REPO, a link to bitops-compose/active
/// <root>/opt/bitops-compose                BITOPS_COMPOSE_HOME
/// <root>/opt/bitops-compose/active         a link to mount
/// <root>/opt/bitops-compose/mount          the user's operations repo
/// <root>/pipeline.json                     what the pipeline received, once it has run
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
    /// Creates a fresh context for the program at `program`, usually
    /// `env!("CARGO_BIN_EXE_bitops-compose")`.
    ///
    /// The pipeline is this crate's stand-in; the working directory is the root.
    ///
    /// # Panics
    ///
    /// If the directories cannot be created, or there is no python3 with PyYAML.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let root = tempfile::Builder::new()
            .prefix("compose-context-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a temporary directory: {error}"));
        // Resolved, so that paths which the program resolved are recognized in its output.
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

    /// Returns the temporary directory.
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the user's operations repo.
    pub fn ops_repo(&self) -> PathBuf {
        self.home().join("mount")
    }

    /// Returns the value of `BITOPS_COMPOSE_HOME`.
    pub fn home(&self) -> PathBuf {
        self.root().join("opt/bitops-compose")
    }

    /// Returns the value of `BITOPS_COMPOSE_OPS_REPO`: the path at which the pipeline looks.
    pub fn deployment(&self) -> PathBuf {
        self.root().join("opt/bitops_deployment")
    }

    /// Returns the value of `BITOPS_COMPOSE_CACHE`.
    pub fn cache(&self) -> PathBuf {
        self.root().join("cache")
    }

    /// Writes a file of the operations repo, creating its directories.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.ops_repo().join(path);
        make_directory(path.parent().expect("the path is below the operations repo"));
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self
    }

    /// Writes an executable file, like [`Context::file`].
    pub fn executable(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        self.file(path, content);
        let path = self.ops_repo().join(path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .unwrap_or_else(|error| panic!("cannot chmod {}: {error}", path.display()));
        self
    }

    /// Creates a symlink in the operations repo, with its directories.
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

    /// Removes a variable from the program's environment.
    pub fn unset(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// Returns the value of a variable of the program's environment.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Sets the working directory, by an absolute path or one relative to the root.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directory = self.root().join(directory);
        self
    }

    /// Starts the program through another one (`unshare`, `setpriv`, a shell), to which it is
    /// appended with its arguments. No words: starts it directly again.
    pub fn wrap<S: Into<OsString>>(&mut self, words: impl IntoIterator<Item = S>) -> &mut Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a shell to the end of the wrapper; in its script, `"$@"` runs the program with its
    /// arguments.
    pub fn within(&mut self, script: &str) -> &mut Self {
        self.wrapper.extend(["sh", "-c", script, "sh"].map(Into::into));
        self
    }

    /// Runs a script in a shell before the program, such as `ulimit -n 16`; see [`Context::wrap`].
    pub fn after(&mut self, script: &str) -> &mut Self {
        self.wrap(["sh", "-c", &format!("{script}\nexec \"$@\""), "sh"])
    }

    /// Sets the time after which a run is killed and the test fails. 60 seconds by default.
    pub fn time_limit(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
        self
    }

    /// Replaces all matches of a regular expression by `placeholder` in snapshots.
    ///
    /// # Panics
    ///
    /// If the expression is invalid.
    pub fn filter(&mut self, expression: &str, placeholder: &str) -> &mut Self {
        self.redactor.filter(expression, placeholder);
        self
    }

    /// Returns the command that [`Context::run`] runs, for tests with another standard input or
    /// output.
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
    ///
    /// If it cannot be started or exceeds the time limit; the message contains its output.
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
    ///
    /// If it cannot be started.
    pub fn spawn<I, S>(&self, args: I) -> Spawned
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Spawned::start(self.command(args), self.redactor.clone())
    }

    /// Returns what the stand-in pipeline received, or `None` if it was not started.
    ///
    /// # Panics
    ///
    /// If its file cannot be read.
    pub fn pipeline(&self) -> Option<standin::Dump> {
        standin::Dump::read(&self.root().join("pipeline.json"))
    }

    /// Returns the state of the user's operations repo, for a comparison after a run.
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
