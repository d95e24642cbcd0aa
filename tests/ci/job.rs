//! A job of a runner with the project's own actions, and stand-ins for the programs that they call.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use compose_testkit::actions::Runner;

use super::project;

/// A runner's directories, with the project's files where a runner puts an action's.
pub(crate) struct Job {
    root: tempfile::TempDir,
    pub(crate) runner: Runner,
}

pub(crate) fn job() -> Job {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().canonicalize().unwrap();
    let workspace = path.join("app/app");
    fs::create_dir_all(&workspace).unwrap();
    let own = path.join("_actions/bitops-compose");
    for file in [
        "action.yml",
        "setup/action.yml",
        "scripts/action-run",
        "scripts/action-setup",
    ] {
        fs::create_dir_all(own.join(file).parent().unwrap()).unwrap();
        fs::copy(project().join(file), own.join(file)).unwrap();
    }
    let mut runner = Runner::new(&path, &workspace);
    runner
        .context("github.action_repository", "Bitovi/bitops-compose")
        .provide("bitovi/bitops-compose", &own)
        .provide("bitovi/bitops-compose/setup", &own.join("setup"));
    Job { root, runner }
}

impl Job {
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(below)
    }

    pub(crate) fn own(&self) -> PathBuf {
        self.path("_actions/bitops-compose")
    }

    /// Adds a program to the runner's `PATH`.
    pub(crate) fn program(&mut self, name: &str, script: &str) -> &mut Self {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        executable(&bin.join(name), script);
        self.runner.prepend_path(&bin);
        self
    }

    /// Adds a `docker` that only records its arguments and environment.
    pub(crate) fn docker(&mut self) -> &mut Self {
        let out = self.path("docker");
        self.program(
            "docker",
            &format!(
                "#!/bin/bash\nprintf '%s\\n' \"$@\" >{out}.arguments\nenv >{out}.environment\n",
                out = out.display()
            ),
        )
    }

    pub(crate) fn docker_arguments(&self) -> Vec<String> {
        read(&self.path("docker.arguments"))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Creates the release of a version in the place of GitHub's.
    pub(crate) fn release(&mut self, version: &str) -> PathBuf {
        let releases = self.path("github");
        let release = releases
            .join("Bitovi/bitops-compose/releases/download")
            .join(version);
        fs::create_dir_all(&release).unwrap();
        let arch = std::env::consts::ARCH;
        let asset = format!("bitops-compose-{version}-{arch}-linux");
        fs::copy(env!("CARGO_BIN_EXE_bitops-compose"), release.join(&asset)).unwrap();
        let sums = std::process::Command::new("sha256sum")
            .arg(&asset)
            .current_dir(&release)
            .output()
            .unwrap();
        fs::write(release.join("SHA256SUMS"), sums.stdout).unwrap();
        self.runner
            .variable("GITHUB_SERVER_URL", &format!("file://{}", releases.display()));
        release.join(asset)
    }
}

pub(crate) fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
