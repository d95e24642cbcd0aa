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

/// A container engine. Both take Docker's arguments; where they differ, a method here says in what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Docker: a daemon, and runc.
    Docker,
    /// podman: no daemon, crun, and builds by buildah. It keeps its own images.
    Podman,
}

impl Engine {
    /// Docker, else podman; none where neither answers.
    pub fn find() -> Option<Self> {
        [Self::Docker, Self::Podman].into_iter().find(|engine| {
            let mut command = engine.command();
            command
                .arg("info")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }

    /// The engine's program. podman's is the project's `scripts/podman`, which helps where podman finds less than it expects.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/podman"),
        }
    }

    /// The engine's program, to be given arguments.
    pub fn command(&self) -> Command {
        Command::new(self.program())
    }

    /// `rm` of a container that may still run. Docker kills it at once, podman stops it and waits.
    const fn remove_at_once(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["rm", "--force", "--volumes"],
            Self::Podman => &["rm", "--force", "--volumes", "--time=0"],
        }
    }

    /// What `build` is given besides. podman commits after each line of a `Dockerfile`, to build on that next time, which nothing
    /// here does; and its own image format, the OCI's, has no place for `ONBUILD` lines.
    fn build_options(self, dockerfile: &str) -> &'static [&'static str] {
        match self {
            Self::Docker => &[],
            Self::Podman if dockerfile.contains("ONBUILD") => &["--layers=false", "--format=docker"],
            Self::Podman => &["--layers=false"],
        }
    }

    /// Whether a `--tmpfs` has the mode 1777 and a copy of what the image has there. Docker's is empty, with the mode of the
    /// directory that it hides.
    pub const fn makes_each_tmpfs_sticky(self) -> bool {
        matches!(self, Self::Podman)
    }

    /// Whether `cp` out of a container follows a link that its path ends in.
    pub const fn copies_what_a_link_leads_to(self) -> bool {
        matches!(self, Self::Podman)
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

    /// Builds a directory without any network, by the `Dockerfile` that stands in it or elsewhere, under a name of its own.
    ///
    /// # Panics
    /// Where the build fails; the message holds its output.
    pub fn image(&self, directory: &Path, dockerfile: &Path) -> Image {
        let image = Image {
            engine: *self,
            name: unique_name(),
        };
        let mut arguments = [
            "build",
            "--network=none",
            "--label",
            LABEL,
            "--tag",
            &image.name,
            "--file",
        ]
        .map(OsStr::new)
        .to_vec();
        arguments.extend([dockerfile.as_os_str(), directory.as_os_str()]);
        let text = std::fs::read_to_string(dockerfile)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", dockerfile.display()));
        arguments.extend(self.build_options(&text).iter().map(OsStr::new));
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
    /// What it runs in.
    pub fn engine(&self) -> Engine {
        self.engine
    }

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
            .args(self.engine.remove_at_once())
            .arg(&self.name)
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
