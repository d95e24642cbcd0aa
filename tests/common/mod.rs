//! What the tests of the program share: a context with the binary, catalogs behind a server.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::PathBuf;

use compose_testkit::{Catalog, Context, GitServer, Repo, example, git};

/// The program in a world of its own, with the `dev` environment and a server for catalogs.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) server: GitServer,
    pub(crate) repos: Vec<Repo>,
    catalogs: tempfile::TempDir,
}

/// A world whose server holds these catalogs.
pub(crate) fn world(catalogs: &mut [Catalog]) -> World {
    let root = tempfile::tempdir().unwrap();
    let repos = catalogs
        .iter_mut()
        .map(|catalog| catalog.build(root.path()))
        .collect();
    let server = GitServer::start(root.path());
    let mut context = Context::new(env!("CARGO_BIN_EXE_bitops-compose"));
    context.set("BITOPS_ENVIRONMENT", "dev");
    World {
        context,
        server,
        repos,
        catalogs: root,
    }
}

/// A world with the catalogs of the six-source example, and an environment that names them.
pub(crate) fn six_sources() -> World {
    let world = world(&mut example::catalogs());
    world.context.file(
        "dev/bitops.config.yaml",
        example::config("six-sources", &world.server.address()),
    );
    world
}

impl World {
    /// One more catalog behind the same server, which may name the others by its address.
    pub(crate) fn with(mut self, catalog: Catalog) -> Self {
        self.publish(catalog);
        self
    }

    /// Puts a catalog onto the server, in the place of any other of its name.
    pub(crate) fn publish(&mut self, mut catalog: Catalog) -> &Repo {
        let repo = catalog.build(self.catalogs.path());
        self.repos.retain(|known| known.name() != repo.name());
        self.repos.push(repo);
        &self.repos[self.repos.len() - 1]
    }

    /// A catalog's repo.
    pub(crate) fn repo(&self, name: &str) -> &Repo {
        self.repos.iter().find(|found| found.name() == name).unwrap()
    }

    /// A config that names these sources: one entry a line, `{repo}` is the server's address.
    pub(crate) fn config(&self, entries: &[&str]) -> String {
        let entry = |entry: &&str| format!("- {}\n", entry.replace("{repo}", &self.server.address()));
        let entries: String = entries.iter().map(entry).collect();
        format!("default-environments:\n{entries}")
    }

    /// Where a catalog stands on this machine's disk.
    pub(crate) fn path(&self, repo: &str) -> PathBuf {
        self.repo(repo).path().to_owned()
    }

    /// Writes the environment's config: see [`World::config`].
    pub(crate) fn sources(&self, entries: &[&str]) {
        self.context.file("dev/bitops.config.yaml", self.config(entries));
    }

    pub(crate) fn commit(&self) {
        let root = self.context.ops_repo();
        if !root.join(".git").exists() {
            git::run(&root, ["init", "--quiet", "."]);
        }
        git::run(&root, ["add", "--all", "."]);
        git::run(
            &root,
            [
                "-c",
                "user.name=me",
                "-c",
                "user.email=me@example.com",
                "commit",
                "--quiet",
                "-m",
                "copied",
            ],
        );
    }

    /// Nothing but the layout may be in the program's home.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.context.home())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["active", "mount"]);
        assert_eq!(
            std::fs::read_link(self.context.home().join("active")).unwrap(),
            PathBuf::from("mount")
        );
    }
}

/// A catalog with one environment of one file, tagged `1.0.0`; a terraform directory is one that the pipeline runs.
pub(crate) fn catalog(name: &str, environment: &str, file: &str, content: &str) -> Catalog {
    let mut catalog = Catalog::new(name);
    catalog.file(&format!("{environment}/{file}"), content);
    if file.starts_with("terraform/") {
        catalog.file(&format!("{environment}/{TERRAFORM_CONFIG}"), "terraform: {}\n");
    }
    catalog.tag("1.0.0");
    catalog
}

/// Without it the pipeline refuses the deployment.
pub(crate) const TERRAFORM_CONFIG: &str = "terraform/bitops.config.yaml";

/// Says why a test does nothing here.
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
