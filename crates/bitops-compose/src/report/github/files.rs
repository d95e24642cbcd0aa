//! The environment files of a step. That one cannot be written is no reason to fail a deployment.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::PathBuf,
};

use compose_model::env;

/// More than this, and GitHub shows none of a step's summary.
const MOST_SUMMARY: u64 = 1024 * 1024;

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Appends Markdown to the run's page.
pub(super) fn summary(markdown: impl FnOnce() -> String) {
    let Some(path) = set(env::GITHUB_STEP_SUMMARY).map(PathBuf::from) else {
        return;
    };
    let markdown = markdown();
    let written = path
        .metadata()
        .map_or(0, |file| file.len())
        .saturating_add(markdown.len() as u64);
    if written > MOST_SUMMARY {
        tracing::warn!(path = %path.display(), "the step summary is full");
        return;
    }
    if let Err(error) = append(&path, &markdown) {
        tracing::warn!(%error, path = %path.display(), "the step summary cannot be written");
    }
}

/// Does anybody want outputs?
pub(super) fn wants_outputs() -> bool {
    set(env::GITHUB_OUTPUT).is_some()
}

/// Adds outputs of the step.
pub(super) fn outputs(values: &[(&str, &str)]) {
    let Some(path) = set(env::GITHUB_OUTPUT).map(PathBuf::from) else {
        return;
    };
    let written = delimiter().and_then(|delimiter| append(&path, &entries(values, &delimiter)));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "the step's outputs cannot be written");
    }
}

/// The lines of several outputs. The delimiter is random, so that no value can end early and
/// add outputs of its own.
fn entries(values: &[(&str, &str)], delimiter: &str) -> String {
    let mut out = String::new();
    for (name, value) in values {
        let _ = writeln!(out, "{name}<<{delimiter}\n{value}\n{delimiter}");
    }
    out
}

fn delimiter() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("ghadelimiter_{:032x}", u128::from_ne_bytes(bytes)))
}

fn append(path: &std::path::Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Writes the manifest where later steps find it, in the runner's temporary directory; none where there is no such
/// directory, as in a container that it is not mounted into.
pub(super) fn keep_manifest(environment: &str, text: &str) -> Option<PathBuf> {
    let temp = set(env::RUNNER_TEMP)
        .map(PathBuf::from)
        .filter(|path| path.is_dir())?;
    // Flat: in a directory that the runner's user owns it can remove another user's files, but none of deeper ones.
    let directory = temp.join("bitops-compose");
    let path = directory.join(format!("{}.manifest.json", environment.replace('/', "-")));
    let written = std::fs::create_dir_all(&directory).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        file.write_all(text.as_bytes())?;
        // As readable as the umask would make it: a later step may run as another user.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(everybody)?;
        file.persist(&path).map_err(io::Error::from)
    });
    match written {
        Ok(_) => Some(path),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the manifest cannot be kept for later steps");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_before_its_delimiter() {
        let (one, other) = (delimiter().unwrap(), delimiter().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), other.len());
        assert_eq!(
            entries(&[("a", "x\nEOF\nb=c"), ("d", "")], "E"),
            "a<<E\nx\nEOF\nb=c\nE\nd<<E\n\nE\n"
        );
    }
}
