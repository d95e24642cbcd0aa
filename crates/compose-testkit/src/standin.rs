//! The stand-in for the BitOps pipeline, and its report of how it was started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

/// Returns the directory that takes the place of `/opt/bitops`, as a working directory or to `COPY`
/// into an image.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline")
}

/// Returns the shell words for `BITOPS_COMPOSE_PIPELINE`: the interpreter, the script, `deploy`.
///
/// # Panics
///
/// If there is no python3 with PyYAML.
pub fn command() -> String {
    let script = directory().join("scripts/main.py");
    format!("'{}' '{}' deploy", python(), script.display())
}

/// Returns a python3 with PyYAML, by the path of the interpreter itself: the one in `PATH` may be a
/// wrapper that needs its own environment.
///
/// # Panics
///
/// If there is none.
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

/// What the stand-in received, as it wrote it to `STANDIN_DUMP` before doing anything else.
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
    /// The operations repo as seen by following symlinks, by path relative to its root.
    pub ops_repo: BTreeMap<String, DumpedPath>,
}

/// One path of the operations repo, with symlinks followed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DumpedPath {
    /// The type of the path's target.
    pub kind: DumpedKind,
    /// The permission bits as four octal digits; `None` for a dangling symlink.
    pub mode: Option<String>,
    /// The content, if it is a file.
    pub text: Option<String>,
    /// The symlink's target, if the path itself is a symlink.
    pub link: Option<String>,
}

/// The type of a path's target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DumpedKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A dangling symlink.
    Dangling,
    /// A device, fifo or socket.
    Special,
}

impl Dump {
    /// Reads a dump. Returns `None` if the file does not exist.
    ///
    /// # Panics
    ///
    /// If the file is not a dump of the stand-in.
    pub fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read(path).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Returns the content of a file of the operations repo.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.ops_repo.get(path)?.text.as_deref()
    }

    /// Returns the files of the operations repo, sorted.
    pub fn files(&self) -> Vec<&str> {
        let files = self
            .ops_repo
            .iter()
            .filter(|(_, seen)| seen.kind == DumpedKind::File);
        files.map(|(path, _)| path.as_str()).collect()
    }
}
