//! Figures that tests measure, collected for the documentation by `scripts/hostile`. Figures are
//! only recorded; a test that checks a bound asserts it.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The variable with the path of the file that figures are appended to. If it is unset, nothing is
/// recorded.
pub const FILE: &str = "BITOPS_COMPOSE_TEST_FIGURES";

/// Returns whether figures are collected from an optimized build, which is fast enough for the
/// program's default limits.
pub fn full_size() -> bool {
    std::env::var_os(FILE).is_some() && !cfg!(debug_assertions)
}

/// Records one figure for a row of docs/hostile.md.
///
/// # Panics
///
/// If the file cannot be written.
pub fn record(row: u8, what: impl Display, value: impl Display) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let line = format!("{row}\t{what}\t{value}\n");
    // A single write, so that concurrent tests do not mix their lines.
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .unwrap_or_else(|error| panic!("{}: {error}", Path::new(&file).display()));
}

/// Returns words for [`crate::Context::wrap`] that write the program's peak resident memory to a
/// file, and the file's path. The figure is never below the interpreter's own, about 10 MiB.
///
/// # Panics
///
/// If there is no python3.
pub fn peak_memory(scratch: &Path) -> (Vec<String>, PathBuf) {
    let file = scratch.join("peak-memory");
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.call(sys.argv[2:])\n\
                  open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n\
                  sys.exit(code)";
    let words = [crate::standin::python(), "-c", script].map(str::to_owned);
    (
        words.into_iter().chain([file.display().to_string()]).collect(),
        file,
    )
}

/// Returns the figure that [`peak_memory`] wrote, in MiB.
///
/// # Panics
///
/// If the file is missing or invalid.
pub fn mebibytes(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim().parse::<u64>().expect("ru_maxrss is a number of KiB") >> 10
}
