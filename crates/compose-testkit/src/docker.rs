//! The container engine, where there is one.
//!
//! Whatever is made here carries the label `compose-testkit` and is removed when its handle is dropped; images that were
//! named by the caller stay, to be built from next time. After a killed test run,
//! `docker rm -f $(docker ps -aq --filter label=compose-testkit)`.
//!
//! Containers reach a [`GitServer`](crate::GitServer) of this machine with `--network=host`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::Spawned;
use crate::redact::Redactor;
use crate::run::Run;

/// How long one call of the engine may take; a build may pull and compile.
const LIMIT: Duration = Duration::from_secs(600);

const LABEL: &str = "compose-testkit";

/// An engine that answers.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    program: &'static str,
}

impl Engine {
    /// Docker, else Podman; none where neither answers.
    pub fn find() -> Option<Self> {
        ["docker", "podman"]
            .into_iter()
            .map(|program| Self { program })
            .find(|engine| {
                let mut command = engine.command();
                command
                    .arg("info")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            })
    }

    /// The engine behind a program that takes Docker's arguments; whether it answers is for the caller to know.
    pub const fn of(program: &'static str) -> Self {
        Self { program }
    }

    /// The engine's program, to be given arguments.
    pub fn command(&self) -> Command {
        Command::new(self.program)
    }

    /// Calls the engine with any arguments, and waits.
    ///
    /// # Panics
    /// Where it takes longer than ten minutes.
    pub fn call<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.args(args).stdin(Stdio::null());
        Spawned::start(command, Redactor::new(None)).wait(LIMIT)
    }

    /// As [`Engine::call`]; returns the standard output without the newline at its end.
    ///
    /// # Panics
    /// Where the engine fails.
    #[track_caller]
    pub fn expect<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.call(args)
            .expect_code(0)
            .stdout
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Runs a container to its end (`run --rm`) with arguments from the options on: `["--user=1000", "image", "arg"]`.
    ///
    /// # Panics
    /// Where it takes longer than ten minutes; the container is removed then.
    pub fn run<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let container = Container {
            engine: *self,
            name: unique_name(),
        };
        let mut all = container.arguments(&["run", "--rm"]);
        all.extend(args.into_iter().map(|argument| argument.as_ref().to_owned()));
        self.call(all)
    }

    /// Starts a container in the background (`run --detach`), with arguments as in [`Engine::run`].
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start<I, S>(&self, args: I) -> Container
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.make(&["run", "--detach"], args)
    }

    /// Makes a container and does not start it (`create`), to copy into it first.
    ///
    /// # Panics
    /// Where it is not made.
    pub fn create<I, S>(&self, args: I) -> Container
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.make(&["create"], args)
    }

    fn make<I, S>(&self, verb: &[&str], args: I) -> Container
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let container = Container {
            engine: *self,
            name: unique_name(),
        };
        let mut all = container.arguments(verb);
        all.extend(args.into_iter().map(|argument| argument.as_ref().to_owned()));
        self.expect(all);
        container
    }

    /// Makes an empty named volume.
    ///
    /// # Panics
    /// Where the engine refuses.
    pub fn volume(&self) -> Volume {
        let volume = Volume {
            engine: *self,
            name: unique_name(),
        };
        self.expect(["volume", "create", "--label", LABEL, &volume.name]);
        volume
    }

    /// Whether there is an image of the name.
    pub fn has_image(&self, name: &str) -> bool {
        self.call(["image", "inspect", "--format", "{{.Id}}", name])
            .success()
    }

    /// Builds the `Dockerfile` of a directory.
    ///
    /// # Panics
    /// Where the build fails; the message holds its output.
    pub fn build(&self, directory: &Path, tag: &str) {
        self.call([
            OsStr::new("build"),
            OsStr::new("--label"),
            OsStr::new(LABEL),
            OsStr::new("--tag"),
            OsStr::new(tag),
            directory.as_os_str(),
        ])
        .expect_code(0);
    }

    /// Builds a directory, by the `Dockerfile` that stands in it or elsewhere, under a name of its own.
    ///
    /// # Panics
    /// Where the build fails; the message holds its output.
    pub fn image(&self, directory: &Path, dockerfile: &Path) -> Image {
        let image = Image {
            engine: *self,
            name: unique_name(),
        };
        let mut arguments = ["build", "--label", LABEL, "--tag", &image.name, "--file"]
            .map(OsStr::new)
            .to_vec();
        arguments.extend([dockerfile.as_os_str(), directory.as_os_str()]);
        self.call(arguments).expect_code(0);
        image
    }

    /// Gives an image another name: `FROM` takes no id everywhere.
    ///
    /// # Panics
    /// Where there is no such image.
    pub fn tag(&self, image: &str) -> Image {
        let tagged = Image {
            engine: *self,
            name: unique_name(),
        };
        self.expect(["tag", image, &tagged.name]);
        tagged
    }

    /// Builds an image of a `Dockerfile`'s text and of files by the names that it copies them by. With `FROM scratch`
    /// and a static binary that is an image with nothing else in it.
    ///
    /// # Panics
    /// Where a file cannot be read, or the build fails.
    pub fn build_from(&self, tag: &str, dockerfile: &str, files: &[(&str, &Path)]) {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary directory: {error}"));
        std::fs::write(directory.path().join("Dockerfile"), dockerfile)
            .unwrap_or_else(|error| panic!("cannot write a Dockerfile: {error}"));
        for (name, from) in files {
            std::fs::copy(from, directory.path().join(name))
                .unwrap_or_else(|error| panic!("cannot copy {}: {error}", from.display()));
        }
        self.build(directory.path(), tag);
    }
}

/// A container; removed, running or not, when this is dropped.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    name: String,
}

impl Container {
    /// Its name, for [`Engine::call`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The verb, the name and the label: what the caller's arguments follow.
    fn arguments(&self, verb: &[&str]) -> Vec<OsString> {
        let own = ["--name", &self.name, "--label", LABEL];
        verb.iter()
            .chain(&own)
            .map(|argument| OsString::from(*argument))
            .collect()
    }

    /// Starts a created container and waits for its end; the output is the container's.
    pub fn start_and_wait(&self) -> Run {
        self.engine.call(["start", "--attach", &self.name])
    }

    /// What it has said so far.
    pub fn logs(&self) -> Run {
        self.engine.call(["logs", &self.name])
    }

    /// Asks it to end (SIGTERM), and kills it after `seconds`.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn stop(&self, seconds: u32) {
        self.engine
            .expect(["stop", "--time", &seconds.to_string(), &self.name]);
    }

    /// Waits for its end, and returns the exit code.
    ///
    /// # Panics
    /// Where the engine does not know it any more.
    pub fn wait(&self) -> i32 {
        let code = self.engine.expect(["wait", &self.name]);
        code.parse()
            .unwrap_or_else(|_| panic!("{code:?} is no exit code"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails where it is gone already, as after `run --rm`.
        let _ = self
            .engine
            .command()
            .args(["rm", "--force", "--volumes", &self.name])
            .output();
    }
}

/// A name of an image; removed when this is dropped, and with its last name the image.
#[derive(Debug)]
pub struct Image {
    engine: Engine,
    name: String,
}

impl Image {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Fails where a container that outlives it still has it.
        let _ = self
            .engine
            .command()
            .args(["image", "rm", "--force", &self.name])
            .output();
    }
}

/// A named volume; removed when this is dropped.
#[derive(Debug)]
pub struct Volume {
    engine: Engine,
    name: String,
}

impl Volume {
    /// Its name, for `--volume` and `--mount`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Fails where a container that outlives it still has it.
        let _ = self
            .engine
            .command()
            .args(["volume", "rm", "--force", &self.name])
            .output();
    }
}

/// A name that nobody else on this machine has.
fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!(
        "compose-testkit-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}
