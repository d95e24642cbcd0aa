//! The outcome of a sweep, and its messages.

use std::path::{Path, PathBuf};

use compose_model::{text, without_temporary_path};

use crate::Error;

/// The most paths of each kind in a message.
const MAX_LISTED_PATHS: usize = 10;
/// The most characters of a path in a message.
const MAX_SHOWN_PATH: usize = 300;

/// The outcome of a sweep. Paths are relative to the operations repo's root.
#[derive(Debug, Default)]
pub struct Sweep {
    /// New or edited files, which are now in the user's repo.
    pub moved: Vec<PathBuf>,
    /// Composed files that were changed. The changes are lost with the composition.
    pub changed: Vec<PathBuf>,
    /// Files that were removed from the composition. The user's own are still there.
    pub removed: Vec<PathBuf>,
    /// Files that could not be moved.
    pub failed: Vec<Unmoved>,
}

/// A file that was written into the composition and could not be moved to the user's repo.
#[derive(Debug)]
pub struct Unmoved {
    /// The file's path, relative to the operations repo's root.
    pub path: PathBuf,
    /// The reason.
    pub error: Error,
    /// Where the file is kept once the pipeline has ended; `None` if it no longer exists.
    pub kept: Option<PathBuf>,
}

impl Sweep {
    /// Returns whether nothing was written at all.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.changed.is_empty() && self.removed.is_empty() && self.failed.is_empty()
    }

    /// Returns the messages for the user, one sentence each, escaped for printing. The second part
    /// is the hint.
    pub fn notes(&self) -> Vec<(String, Option<String>)> {
        let mut notes = Vec::new();
        if !self.moved.is_empty() {
            let moved = list_paths(&self.moved);
            notes.push((
                format!("written into the composition before it was copied, and moved to the operations repo: {moved}"),
                None,
            ));
        }
        if !self.changed.is_empty() {
            notes.push((
                format!(
                    "composed files were changed, and the changes are lost with the composition: {}",
                    list_paths(&self.changed)
                ),
                Some("change them below $BITOPS_TEMPDIR, or put your own files into the environment".into()),
            ));
        }
        if !self.removed.is_empty() {
            notes.push((
                format!(
                    "removed from the composition, but not from the operations repo: {}",
                    list_paths(&self.removed)
                ),
                Some("remove them below $BITOPS_TEMPDIR, or from the operations repo itself".into()),
            ));
        }
        for Unmoved { path, error, kept } in self.failed.iter().take(MAX_LISTED_PATHS) {
            let reason = reason(error, path);
            let hint = match kept {
                Some(kept) => format!("it is kept as {}", printable(kept)),
                None => {
                    "it is lost: allow this user to write to the operations repo, and run again".to_owned()
                }
            };
            notes.push((
                format!(
                    "{} was written into the composition and cannot be moved to the operations repo: {}",
                    printable(path),
                    text::escape(&reason, 2 * MAX_SHOWN_PATH)
                ),
                Some(hint),
            ));
        }
        if let Some(more @ 1..) = self.failed.len().checked_sub(MAX_LISTED_PATHS) {
            notes.push((format!("and {more} more could not be moved"), None));
        }
        notes
    }
}

/// Returns the reason for which a path cannot be moved. The error's own path is left out if it is that
/// path.
fn reason(error: &Error, path: &Path) -> String {
    match error {
        Error::Io { path: at, source, .. } if at.ends_with(path) => without_temporary_path(source),
        Error::Io { source, .. } => format!("{error}: {}", without_temporary_path(source)),
        _ => {
            let cause = std::error::Error::source(error);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            format!("{error}{cause}")
        }
    }
}

fn list_paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(MAX_LISTED_PATHS)
        .map(|path| printable(path))
        .collect();
    match paths.len().saturating_sub(MAX_LISTED_PATHS) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Escapes a path, which may hold any bytes that a program wrote.
fn printable(path: &Path) -> String {
    text::escape(&path.to_string_lossy(), MAX_SHOWN_PATH)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::Action;

    #[test]
    fn the_reason_names_neither_the_path_again_nor_a_temporary_file() {
        let root = tempfile::tempdir().unwrap();
        let missing = root.path().join("missing");
        let builder = tempfile::Builder::new().tempdir_in(&missing);
        let error = Error::io(crate::Action::Write, missing.join("dev/a"))(builder.unwrap_err());
        let system = "No such file or directory (os error 2)";
        assert_eq!(reason(&error, Path::new("dev/a")), system);
        let elsewhere = format!("cannot write {}/dev/a: {system}", missing.display());
        assert_eq!(reason(&error, Path::new("dev")), elsewhere);
    }

    #[test]
    fn the_message_about_an_unmoved_file_says_what_to_do() {
        let failed = |kept: Option<PathBuf>| {
            let error = Error::io(Action::Move, "/mount/a")(io::ErrorKind::StorageFull.into());
            let sweep = Sweep {
                failed: vec![Unmoved {
                    path: "a".into(),
                    error,
                    kept,
                }],
                ..Sweep::default()
            };
            sweep.notes().remove(0).1.unwrap()
        };
        assert_eq!(
            failed(Some("/home/kept.1/a".into())),
            "it is kept as /home/kept.1/a"
        );
        assert!(failed(None).starts_with("it is lost: allow this user to write"));
    }
}
