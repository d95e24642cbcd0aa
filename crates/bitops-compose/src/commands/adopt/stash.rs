//! Files that are taken away, and can be put back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use compose_model::{Diagnostic, Failure, TreePath};
use tempfile::TempDir;

/// A directory of the operations repo that holds the files that were taken away, until it is
/// dropped. A file is renamed, so that it is in one of the two places at each moment.
pub(super) struct Stash {
    root: PathBuf,
    dir: TempDir,
    taken: Vec<(TreePath, PathBuf)>,
}

impl Stash {
    /// Creates an empty stash in the operations repo, which is on the disk of its files.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(".bitops-adopt.")
            .tempdir_in(root)?;
        Ok(Self {
            root: root.to_owned(),
            dir,
            taken: Vec::new(),
        })
    }

    /// Takes files away: all of them, or none if one cannot be taken.
    pub(super) fn take<'a>(mut self, paths: impl IntoIterator<Item = &'a TreePath>) -> Result<Self, Failure> {
        for (path, number) in paths.into_iter().zip(0_usize..) {
            let to = self.dir.path().join(number.to_string());
            if let Err(error) = fs::rename(self.root.join(path.as_str()), &to) {
                let failure = Diagnostic::because_of(format!("{path} cannot be moved"), error);
                return Err(self.put_back_after(failure.into()));
            }
            self.taken.push((path.clone(), to));
        }
        Ok(self)
    }

    /// Puts everything back after a failure. Returns the failure, with that of putting back if there is
    /// one.
    pub(super) fn put_back_after(self, failure: Failure) -> Failure {
        let mut problems = failure.into_diagnostics();
        problems.extend(self.put_back().err());
        problems.into()
    }

    /// Puts everything back. If that fails, the stash stays, and the error says where it is.
    fn put_back(self) -> Result<(), Diagnostic> {
        let mut failed = None;
        for (path, from) in self.taken {
            if let Err(error) = fs::rename(from, self.root.join(path.as_str())) {
                failed.get_or_insert((path, error));
            }
        }
        let Some((path, error)) = failed else {
            return Ok(());
        };
        let kept = self.dir.keep();
        let message = format!("{path} cannot be put back");
        Err(Diagnostic::because_of(message, error).hint(format!(
            "the file is in {}; `git checkout` brings it back as well",
            kept.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(files: &[&str]) -> (TempDir, Vec<TreePath>) {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        for file in files {
            fs::write(root.path().join(file), file).unwrap();
        }
        let paths = files.iter().map(|file| TreePath::new(file).unwrap()).collect();
        (root, paths)
    }

    fn entries(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_cannot_be_taken_leaves_all_others_where_they_were() {
        let (root, mut paths) = repo(&["dev/a", "dev/b"]);
        paths.push(TreePath::new("dev/missing").unwrap());
        let error = Stash::new(root.path()).unwrap().take(&paths).err().unwrap();
        assert_eq!(error.diagnostics()[0].message, "dev/missing cannot be moved");
        assert_eq!(entries(root.path()), ["dev"]);
        assert_eq!(fs::read_to_string(root.path().join("dev/a")).unwrap(), "dev/a");
        assert_eq!(entries(&root.path().join("dev")), ["a", "b"]);
    }

    #[test]
    fn a_file_that_cannot_be_put_back_is_kept_and_named() {
        let (root, paths) = repo(&["dev/a", "dev/b"]);
        let stash = Stash::new(root.path()).unwrap().take(&paths).unwrap();
        assert!(entries(&root.path().join("dev")).is_empty());
        fs::create_dir_all(root.path().join("dev/a/in the way")).unwrap();
        let error = stash.put_back().unwrap_err();
        assert_eq!(error.message, "dev/a cannot be put back");
        let kept = &entries(root.path())[0];
        assert!(error.hints[0].contains(kept.as_str()), "{error:?}");
        assert_eq!(
            fs::read_to_string(root.path().join(kept).join("0")).unwrap(),
            "dev/a"
        );
        assert_eq!(fs::read_to_string(root.path().join("dev/b")).unwrap(), "dev/b");
    }
}
