//! A description of the machine that ran the benchmark, without identifying it.

use std::path::Path;
use std::process::Command;

use compose_testkit::git;
use serde::Serialize;

/// The properties of the machine that matter for the figures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    /// The type of the file system.
    pub(crate) files: String,
    pub(crate) git: String,
    /// The program's version and commit, with a remark if they do not match the sources.
    pub(crate) program: String,
    /// The load average of the minute before the start.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn describe(program: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map(|(_, value)| value.trim().to_owned())
        };
        let kib = field(&read("/proc/meminfo"), "MemTotal");
        let kib = kib.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        let release = read("/proc/sys/kernel/osrelease");
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gib: kib.unwrap_or(0).div_ceil(1024 * 1024),
            // The text after the number identifies who built the kernel.
            kernel: format!("Linux {}", release.split('-').next().unwrap_or_default().trim()),
            files: file_system(&std::env::temp_dir()),
            git: git::run(Path::new("/"), ["--version"]),
            program: program_and_commit(program),
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// Returns the program's version. A remark says if the figures cannot be reproduced from the
/// commit.
fn program_and_commit(program: &Path) -> String {
    let version = first_line(Command::new(program).arg("--version"));
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !sources.join(".git").exists() {
        return version;
    }
    let commit = git::run(&sources, ["rev-parse", "--short=12", "HEAD"]);
    let changed = git::run(
        &sources,
        [
            "status",
            "--porcelain",
            "--",
            "crates",
            "Cargo.toml",
            "Cargo.lock",
        ],
    );
    if !version.contains(commit.trim()) {
        format!("{version}, **not the commit that is checked out**")
    } else if changed.trim().is_empty() {
        version
    } else {
        format!("{version}, **with changes that are not committed**")
    }
}

/// Returns the type of the file system of a directory, and whether it is in memory.
fn file_system(directory: &Path) -> String {
    let mut stat = Command::new("stat");
    stat.args(["--file-system", "--format", "%T"]).arg(directory);
    match first_line(&mut stat).as_str() {
        memory @ ("tmpfs" | "ramfs") => format!("{memory} (memory)"),
        disk => format!("{disk} (a disk)"),
    }
}

fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or_default().to_owned()
}
