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

/// An available engine.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    program: &'static str,
}

impl Engine {
    /// Returns Docker, or else Podman, if one of them works.
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

    /// Returns the engine with this program, which accepts Docker's arguments. It is not checked
    /// whether it works.
    pub const fn of(program: &'static str) -> Self {
        Self { program }
    }

    /// Returns a command of the engine without arguments.
    pub fn command(&self) -> Command {
        Command::new(self.program)
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

    /// Builds a directory by a `Dockerfile` in it or elsewhere, under a unique name.
    ///
    /// # Panics
    ///
    /// If the build fails; the message contains its output.
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
        let _ = self
            .engine
            .command()
            .args(["rm", "--force", "--volumes", &self.name])
            .output();
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
        let _ = self
            .engine
            .command()
            .args(["image", "rm", "--force", &self.name])
            .output();
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
        let _ = self
            .engine
            .command()
            .args(["volume", "rm", "--force", &self.name])
            .output();
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
