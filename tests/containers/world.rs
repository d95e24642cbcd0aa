//! A checkout to be mounted, catalogs behind a server, and an engine with the image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use compose_testkit::docker::{Container, Engine, Image};
use compose_testkit::{Catalog, Fingerprint, GitServer, Run, standin};

/// Where the pipeline looks.
pub(crate) const DEPLOYMENT: &str = "/opt/bitops_deployment";

/// The files, server and images of one test, which are removed when this value is dropped.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) image: String,
    pub(crate) server: GitServer,
    root: tempfile::TempDir,
    /// Values that must live as long as the world.
    kept: Vec<Image>,
}

/// The image with the stand-in pipeline, and a checkout whose `dev` names the catalog `c`: its tags `1.0.0` and `2.0.0`
/// hold `terraform/theirs.txt` with the text `one` and `two`.
pub(crate) fn world(engine: Engine) -> World {
    let mut catalog = Catalog::new("c");
    catalog
        .file("eks/terraform/bitops.config.yaml", "terraform: {}\n")
        .file("eks/terraform/theirs.txt", "one")
        .tag("1.0.0")
        .file("eks/terraform/theirs.txt", "two")
        .tag("2.0.0");
    let world = World::new(engine, &image(engine), &mut [catalog], GitServer::start);
    world
        .file("README.md", "of the operations repo")
        .file("_scripts/run.sh", "true\n")
        .file("dev/terraform/mine.txt", "mine")
        .version("1.0.0");
    world
}

/// Names the image under test in podman's own store.
const PODMAN_IMAGE: &str = "BITOPS_COMPOSE_TEST_PODMAN";

/// Returns the name of the image under test in this engine.
pub(crate) fn image(engine: Engine) -> String {
    required(match engine {
        Engine::Docker => "BITOPS_COMPOSE_TEST_IMAGE",
        Engine::Podman => PODMAN_IMAGE,
    })
}

/// Returns whether podman has the image. `scripts/test` puts it there if podman can run containers.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn podman_has_the_image() -> bool {
    let has = std::env::var_os(PODMAN_IMAGE).is_some();
    if !has {
        eprintln!("skipped: {PODMAN_IMAGE} names no image, so podman may not run here");
    }
    has
}

/// Makes two tests of each row, a function that takes the engine: `docker::ROW`, and `podman::ROW` where podman runs.
macro_rules! in_each_engine {
    ($($row:ident),+ $(,)?) => {
        mod docker {
            $(#[test]
            fn $row() {
                super::$row(compose_testkit::docker::Engine::Docker);
            })+
        }
        mod podman {
            $(#[test]
            fn $row() {
                if crate::world::podman_has_the_image() {
                    super::$row(compose_testkit::docker::Engine::Podman);
                }
            })+
        }
    };
}
pub(crate) use in_each_engine;

/// Returns a variable that `scripts/test` sets.
pub(crate) fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} names no image: run scripts/test, or see docs/testing.md"))
}

impl World {
    /// Creates an empty checkout, and starts a server with these catalogs.
    pub(crate) fn new(
        engine: Engine,
        image: &str,
        catalogs: &mut [Catalog],
        serve: impl FnOnce(&Path) -> GitServer,
    ) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, mode) in [
            ("checkout", 0o755),
            ("catalogs", 0o755),
            // Every user may write there, because containers run as various users.
            ("out", 0o777),
        ] {
            let directory = root.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
        }
        for catalog in catalogs {
            catalog.build(&root.path().join("catalogs"));
        }
        Self {
            engine,
            image: image.to_owned(),
            server: serve(&root.path().join("catalogs")),
            root,
            kept: Vec::new(),
        }
    }

    /// Removes an image with this world.
    pub(crate) fn keep(&mut self, image: Image) {
        self.kept.push(image);
    }

    /// Returns the image under test without bitops-compose, as users have it who do not use this program.
    pub(crate) fn bare(&self) -> Image {
        let lines = "RUN rm -rf /opt/bitops_deployment /opt/bitops-compose /usr/local/bin/bitops-compose\n\
                     ENTRYPOINT [\"python3\", \"/opt/bitops/scripts/main.py\", \"deploy\"]";
        self.derive(lines, &self.out())
    }

    /// Returns the path of the user's operations repo.
    pub(crate) fn checkout(&self) -> PathBuf {
        self.root.path().join("checkout")
    }

    /// Returns a directory that containers see as `/out`.
    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    /// Returns the directory of the catalogs.
    pub(crate) fn catalogs(&self) -> PathBuf {
        self.root.path().join("catalogs")
    }

    /// Writes a file of the checkout.
    pub(crate) fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.checkout().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes a config that composes `dev` from one source.
    pub(crate) fn source(&self, repo: &str) -> &Self {
        let config = format!("default-environments:\n- {{repo: {repo}, environment: eks, version: 1.0.0}}\n");
        self.file("dev/bitops.config.yaml", &config)
    }

    /// Writes a config that composes `dev` from this version of the catalog `c`.
    pub(crate) fn version(&self, version: &str) -> &Self {
        let config = format!(
            "default-environments:\n- {{repo: {}, environment: eks, version: {version}}}\n",
            self.server.url("c")
        );
        self.file("dev/bitops.config.yaml", &config)
    }

    /// Returns the `--volume` of the checkout, or of a path in it, at its place. `mode` is `:ro` or empty.
    pub(crate) fn bind(&self, path: &str, mode: &str) -> String {
        let below = |root: &str| format!("{root}/{path}").trim_end_matches('/').to_owned();
        format!(
            "--volume={}:{}{mode}",
            below(&self.checkout().display().to_string()),
            below(DEPLOYMENT)
        )
    }

    /// Builds an image on top of the one under test; `COPY` copies from `directory`.
    pub(crate) fn derive(&self, lines: &str, directory: &Path) -> Image {
        let base = self.engine.tag(&self.image);
        self.build(&format!("FROM {}\n{lines}\n", base.name()), directory)
    }

    /// Builds an image of a `Dockerfile`'s text; `COPY` copies from `directory`.
    pub(crate) fn build(&self, dockerfile: &str, directory: &Path) -> Image {
        let path = self.root.path().join("Dockerfile");
        fs::write(&path, dockerfile).unwrap();
        self.engine.image(directory, &path)
    }

    /// Creates a directory of this name beside the checkout, and returns its path.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        let path = self.root.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Returns the arguments of `docker run`: the common options, the given ones, the image, and its arguments.
    pub(crate) fn arguments(&self, options: &[&str], arguments: &[&str]) -> Vec<String> {
        self.arguments_of(&self.image, options, arguments)
    }

    /// Returns [`World::arguments`] for another image.
    pub(crate) fn arguments_of(&self, image: &str, options: &[&str], arguments: &[&str]) -> Vec<String> {
        let general = [
            "--network=host".to_owned(),
            format!("--volume={}:/out", self.out().display()),
            "--env=STANDIN_DUMP=/out/pipeline.json".to_owned(),
            "--env=BITOPS_ENVIRONMENT=dev".to_owned(),
        ];
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        [
            general.to_vec(),
            owned(options),
            vec![image.to_owned()],
            owned(arguments),
        ]
        .concat()
    }

    /// Runs a container to its end.
    pub(crate) fn run(&self, options: &[&str]) -> Run {
        self.engine.run(self.arguments(options, &[]))
    }

    /// Creates a container.
    pub(crate) fn create(&self, options: &[&str]) -> Container {
        self.engine.create(self.arguments(options, &[]))
    }

    /// Returns what the last run's pipeline received; `None` if none was started since the last call.
    pub(crate) fn pipeline(&self) -> Option<standin::Dump> {
        let path = self.out().join("pipeline.json");
        let dump = standin::Dump::read(&path)?;
        fs::remove_file(path).unwrap();
        Some(dump)
    }

    /// The run went well, and its pipeline saw the whole composition with the catalog's file of this text; or,
    /// without one, the checkout alone.
    #[track_caller]
    pub(crate) fn assert_ran(&self, run: Run, theirs: Option<&str>) -> standin::Dump {
        let run = run.expect_code(0);
        let seen = self
            .pipeline()
            .unwrap_or_else(|| panic!("the pipeline did not run\n{run}"));
        assert_eq!(seen.text("dev/terraform/mine.txt"), Some("mine"), "{run}");
        assert_eq!(seen.text("dev/terraform/theirs.txt"), theirs, "{run}");
        seen
    }

    /// Returns the state of the checkout.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.checkout())
    }
}

/// Polls a condition until it is true.
///
/// # Panics
/// If it is not true within a minute.
#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}
