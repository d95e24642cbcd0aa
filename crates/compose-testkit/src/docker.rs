//! The container engine, if there is one.
//!
//! Everything created here has the label `compose-testkit` and is removed when its handle is
//! dropped; images that the caller named are kept as a cache for the next build. To clean up after
//! a killed test run: `docker rm -f $(docker ps -aq --filter label=compose-testkit)`.
//!
//! Containers reach a [`GitServer`](crate::GitServer) on this machine with `--network=host`.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::process::Spawned;
use crate::redact::Redactor;
use crate::run::Run;

/// The time limit of one call; a build may pull and compile.
const LIMIT: Duration = Duration::from_secs(600);

const LABEL: &str = "compose-testkit";

/// A container engine. Both accept Docker's arguments; methods here describe the differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Docker: a daemon and runc.
    Docker,
    /// podman: no daemon, crun, and builds by buildah. It has its own image store.
    Podman,
}

impl Engine {
    /// Returns Docker, or else podman, if one of them works.
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

    /// Returns the engine's program. podman's is the project's `scripts/podman`, which makes up for
    /// what podman lacks on some machines.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/podman"),
        }
    }

    /// Returns a command of the engine without arguments.
    pub fn command(&self) -> Command {
        Command::new(self.program())
    }

    /// Returns the arguments that remove a container even if it is running. By default podman, unlike
    /// Docker, stops the container and waits.
    const fn remove_at_once(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["rm", "--force", "--volumes"],
            Self::Podman => &["rm", "--force", "--volumes", "--time=0"],
        }
    }

    /// Returns further arguments for `build`. By default podman commits a layer after each line of a
    /// `Dockerfile` and caches it, which no test needs; and its default image format (OCI) has no
    /// `ONBUILD`.
    fn build_options(self, dockerfile: &str) -> &'static [&'static str] {
        match self {
            Self::Docker => &[],
            Self::Podman if dockerfile.contains("ONBUILD") => &["--layers=false", "--format=docker"],
            Self::Podman => &["--layers=false"],
        }
    }

    /// Returns whether a `--tmpfs` gets the mode 1777 and a copy of the image's content there. Docker's
    /// is empty and has the mode of the directory that it hides.
    pub const fn makes_each_tmpfs_sticky(self) -> bool {
        matches!(self, Self::Podman)
    }

    /// Returns whether `cp` out of a container follows a link at the end of its path.
    pub const fn copies_what_a_link_leads_to(self) -> bool {
        matches!(self, Self::Podman)
    }

    /// Calls the engine with any arguments, and waits.
    ///
    /// # Panics
    ///
    /// If it takes longer than ten minutes.
    pub fn call<I, S>(&self, args: I) -> Run
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.args(args).stdin(Stdio::null());
        Spawned::start(command, Redactor::new(None)).wait(LIMIT)
    }

    /// Calls the engine and ignores whether it succeeds.
    fn try_call<'a>(&self, args: impl IntoIterator<Item = &'a str>) {
        let _ = self.command().args(args).output();
    }

    /// Calls the engine like [`Engine::call`], and returns its standard output without the final
    /// newline.
    ///
    /// # Panics
    ///
    /// If the engine fails.
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

    /// Runs a container to its end (`run --rm`). The arguments are options, image and command:
    /// `["--user=1000", "image", "arg"]`.
    ///
    /// # Panics
    ///
    /// If it takes longer than ten minutes; the container is then removed.
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
    ///
    /// If it does not start.
    pub fn start<I, S>(&self, args: I) -> Container
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.make(&["run", "--detach"], args)
    }

    /// Creates a container without starting it (`create`), so that files can be copied into it
    /// first.
    ///
    /// # Panics
    ///
    /// If the engine fails.
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

    /// Creates an empty named volume.
    ///
    /// # Panics
    ///
    /// If the engine fails.
    pub fn volume(&self) -> Volume {
        let volume = Volume {
            engine: *self,
            name: unique_name(),
        };
        self.expect(["volume", "create", "--label", LABEL, &volume.name]);
        volume
    }

    /// Returns whether there is an image with this name.
    pub fn has_image(&self, name: &str) -> bool {
        self.call(["image", "inspect", "--format", "{{.Id}}", name])
            .success()
    }

    /// Builds the `Dockerfile` in a directory.
    ///
    /// # Panics
    ///
    /// If the build fails; the message contains its output.
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

    /// Builds a directory without any network, by a `Dockerfile` in it or elsewhere, under a unique
    /// name.
    ///
    /// # Panics
    ///
    /// If the build fails; the message contains its output.
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

    /// Gives an image a unique name, because not all engines accept an id in `FROM`.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    pub fn tag(&self, image: &str) -> Image {
        let tagged = Image {
            engine: *self,
            name: unique_name(),
        };
        self.expect(["tag", image, &tagged.name]);
        tagged
    }

    /// Builds an image from the text of a `Dockerfile` and from files, each with the name by which
    /// it is copied. With `FROM scratch` and a static binary, the image contains nothing else.
    ///
    /// # Panics
    ///
    /// If a file cannot be read, or the build fails.
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

/// A container, which is removed when this value is dropped, even while it is running.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    name: String,
}

impl Container {
    /// Returns the engine that the container runs in.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Returns the container's name, for [`Engine::call`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the verb, the name and the label, which precede the caller's arguments.
    fn arguments(&self, verb: &[&str]) -> Vec<OsString> {
        let own = ["--name", &self.name, "--label", LABEL];
        verb.iter()
            .chain(&own)
            .map(|argument| OsString::from(*argument))
            .collect()
    }

    /// Starts a created container and waits for its end. The result contains the container's
    /// output.
    pub fn start_and_wait(&self) -> Run {
        self.engine.call(["start", "--attach", &self.name])
    }

    /// Returns the container's output so far.
    pub fn logs(&self) -> Run {
        self.engine.call(["logs", &self.name])
    }

    /// Stops the container by SIGTERM, and by SIGKILL after `seconds`.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn stop(&self, seconds: u32) {
        self.engine
            .expect(["stop", "--time", &seconds.to_string(), &self.name]);
    }

    /// Waits for the container's end and returns its exit code.
    ///
    /// # Panics
    ///
    /// If the engine no longer knows the container.
    pub fn wait(&self) -> i32 {
        let code = self.engine.expect(["wait", &self.name]);
        code.parse()
            .unwrap_or_else(|_| panic!("{code:?} is not an exit code"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // This fails if the container is already gone, as after `run --rm`.
        let remove = self.engine.remove_at_once();
        self.engine
            .try_call(remove.iter().copied().chain([self.name.as_str()]));
    }
}

/// The name of an image. It is removed when this value is dropped; the image goes with its last
/// name.
#[derive(Debug)]
pub struct Image {
    engine: Engine,
    name: String,
}

impl Image {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // This fails if a container that outlives the value still uses the image.
        self.engine.try_call(["image", "rm", "--force", &self.name]);
    }
}

/// A named volume, which is removed when this value is dropped.
#[derive(Debug)]
pub struct Volume {
    engine: Engine,
    name: String,
}

impl Volume {
    /// Returns the volume's name, for `--volume` and `--mount`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // This fails if a container that outlives the value still uses the volume.
        self.engine.try_call(["volume", "rm", "--force", &self.name]);
    }
}

/// Returns a name that is unique on this machine.
fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!(
        "compose-testkit-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}
