//! The environment files of a step. A deployment does not fail because one of them cannot be
//! written.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::PathBuf,
};

use compose_model::env;

/// The maximum size of a step's summary in bytes. GitHub does not show a larger one at all.
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

/// Returns whether the step has a file for outputs.
pub(super) fn wants_outputs() -> bool {
    set(env::GITHUB_OUTPUT).is_some()
}

/// Adds outputs to the step.
pub(super) fn outputs(values: &[(&str, &str)]) {
    let Some(path) = set(env::GITHUB_OUTPUT).map(PathBuf::from) else {
        return;
    };
    let written = delimiter().and_then(|delimiter| append(&path, &entries(values, &delimiter)));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "the step's outputs cannot be written");
    }
}

/// Returns the lines of several outputs. The delimiter is random, so that no value can end early
/// and add further outputs.
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

/// Writes the manifest to the runner's temporary directory, where later steps find it. Returns
/// `None` without such a directory, as in a container that does not mount it.
pub(super) fn keep_manifest(environment: &str, text: &str) -> Option<PathBuf> {
    let temp = set(env::RUNNER_TEMP)
        .map(PathBuf::from)
        .filter(|path| path.is_dir())?;
    // The directory is flat. The runner's user can remove another user's files from a directory
    // that it owns, but not from deeper ones.
    let directory = temp.join("bitops-compose");
    let path = directory.join(format!("{}.manifest.json", environment.replace('/', "-")));
    let written = std::fs::create_dir_all(&directory).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(&directory)?;
        file.write_all(text.as_bytes())?;
        // The file is as readable as with the usual umask, because a later step may run as another
        // user.
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
