//! Other projects' checkers, where they are installed: `scripts/ci-tools` brings them.

use std::path::PathBuf;
use std::process::Command;

/// Returns the program of that name from the directory in `BITOPS_COMPOSE_TEST_CI_TOOLS` or from `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let own = std::env::var_os("BITOPS_COMPOSE_TEST_CI_TOOLS")
        .map(|directory| PathBuf::from(directory).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = own
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no {name} (scripts/ci-tools installs it)");
    }
    found
}

/// Runs a checker, which must succeed.
#[track_caller]
pub(crate) fn expect(command: &mut Command) {
    let output = command.output().unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
}
