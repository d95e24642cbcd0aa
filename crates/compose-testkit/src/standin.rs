//! The stand-in for the BitOps pipeline, and what it tells of how it was started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

/// The directory that stands where BitOps has `/opt/bitops`: to run in, and to `COPY` into an image.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline")
}

/// The shell words for `BITOPS_COMPOSE_PIPELINE`: the interpreter, the script, `deploy`.
///
/// # Panics
/// Where there is no python3 with PyYAML.
pub fn command() -> String {
    let script = directory().join("scripts/main.py");
    format!("'{}' '{}' deploy", python(), script.display())
}

/// A python3 that has PyYAML, by the path of the interpreter itself: what is in `PATH` may be a wrapper that needs an
/// environment of its own.
///
/// # Panics
/// Where there is none.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let candidates = ["python3", "/usr/bin/python3"];
        let executable = |candidate: &str| {
            let output = Command::new(candidate)
                .args(["-c", "import yaml, sys; print(sys.executable)"])
                .output()
                .ok()?;
            output
                .status
                .success()
                .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        candidates
            .into_iter()
            .find_map(executable)
            .expect("python3 with PyYAML is needed (Debian: python3-yaml; elsewhere: pip install pyyaml)")
    })
}

/// What the stand-in was given, as it wrote it under `STANDIN_DUMP` before it did anything else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dump {
    /// The script and its arguments.
    pub argv: Vec<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The process id.
    pub pid: i32,
    /// The operations repo as a reader sees it who follows symlinks, by path relative to its root.
    pub ops_repo: BTreeMap<String, Seen>,
}

/// One path of the operations repo, seen through any symlinks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// What is there.
    pub kind: Kind,
    /// The permission bits, as four octal digits; none for a dangling symlink.
    pub mode: Option<String>,
    /// The content of a file.
    pub text: Option<String>,
    /// The target, where the path itself is a symlink.
    pub link: Option<String>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symlink to nothing.
    Dangling,
    /// A device, a fifo, a socket.
    Special,
}

impl Dump {
    /// Reads a dump; none where the file is not there.
    ///
    /// # Panics
    /// Where the file is none of the stand-in's.
    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read(path).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The content of a file of the operations repo.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.ops_repo.get(path)?.text.as_deref()
    }

    /// The files of the operations repo, sorted.
    pub fn files(&self) -> Vec<&str> {
        let files = self.ops_repo.iter().filter(|(_, seen)| seen.kind == Kind::File);
        files.map(|(path, _)| path.as_str()).collect()
    }
}
