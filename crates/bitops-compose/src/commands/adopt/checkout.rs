//! The git work tree that an environment is in, which undoes what `adopt` does.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use compose_git::blob_id;
use compose_model::{Diagnostic, ExitCode, FileMode, OutlineEntry, OutlineKind, TreePath, text::escape};

use crate::shown_path::shown_path;

/// A directory of a work tree.
pub(super) struct Checkout {
    root: PathBuf,
    /// `None` means all of it.
    dir: Option<TreePath>,
}

impl Checkout {
    /// Opens a directory as it is.
    pub(super) fn of(root: &Path, dir: &TreePath) -> Self {
        Self {
            root: root.to_owned(),
            dir: Some(dir.clone()),
        }
    }

    /// Opens all of an operations repo.
    pub(super) fn whole(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            dir: None,
        }
    }

    /// Returns the paths of the committed files, without their ids.
    pub(super) fn names(&self) -> Result<Vec<OutlineEntry>, Diagnostic> {
        let (kind, id) = (OutlineKind::File(FileMode::Regular), blob_id(b""));
        let named = |path| OutlineEntry { path, kind, id };
        let names = self.git(&["ls-files", "-z"])?;
        Ok(names
            .split('\0')
            .filter_map(|name| TreePath::new(name).ok().map(named))
            .collect())
    }

    /// Opens a directory, in which nothing may differ from the last commit.
    pub(super) fn clean(root: &Path, dir: &TreePath) -> Result<Self, Diagnostic> {
        let checkout = Self::of(root, dir);
        let status = checkout.git(&["status", "--porcelain", "--untracked-files=all"])?;
        if status.is_empty() {
            return Ok(checkout);
        }
        let first: Vec<String> = status
            .lines()
            .take(3)
            .map(|line| escape(line.trim(), 120))
            .collect();
        Err(Diagnostic::new(
            ExitCode::Config,
            format!("{dir} has changes that are not committed: {}", first.join(", ")),
        )
        .hint("commit them first, so that `git checkout` can undo what is removed"))
    }

    /// Returns the committed files, relative to the directory.
    pub(super) fn files(&self) -> Result<Vec<OutlineEntry>, Diagnostic> {
        let mut found = Vec::new();
        for name in self.git(&["ls-files", "-z"])?.split('\0') {
            let Some(path) = TreePath::new(name).ok().and_then(|path| match &self.dir {
                Some(dir) => path.strip_prefix(dir),
                None => Some(path),
            }) else {
                continue;
            };
            let on_disk = self.root.join(name);
            let unread = |error| {
                Diagnostic::because_of(format!("cannot read {}", shown_path(&on_disk).display()), error)
            };
            let meta = fs::symlink_metadata(&on_disk).map_err(unread)?;
            let (kind, id) = if meta.is_symlink() {
                let target = fs::read_link(&on_disk).map_err(unread)?;
                (OutlineKind::Link, blob_id(target.as_os_str().as_bytes()))
            } else if meta.is_file() {
                let mode = match meta.permissions().mode() & 0o100 {
                    0 => FileMode::Regular,
                    _ => FileMode::Executable,
                };
                (
                    OutlineKind::File(mode),
                    blob_id(&fs::read(&on_disk).map_err(unread)?),
                )
            } else {
                continue;
            };
            found.push(OutlineEntry { path, kind, id });
        }
        Ok(found)
    }

    /// Returns what `git diff --stat` says.
    pub(super) fn diff_stat(&self) -> Result<String, Diagnostic> {
        self.git(&["--no-pager", "diff", "--no-color", "--no-ext-diff", "--stat=80"])
    }

    fn git(&self, args: &[&str]) -> Result<String, Diagnostic> {
        let mut git = Command::new("git");
        for (name, _) in std::env::vars_os() {
            if name.as_bytes().starts_with(b"GIT_") && !name.as_bytes().starts_with(b"GIT_CONFIG") {
                git.env_remove(name);
            }
        }
        let failed = |why: &str| {
            let root = shown_path(&self.root);
            Diagnostic::new(
                ExitCode::Config,
                format!(
                    "{} is not in a git work tree that can be used: {why}",
                    root.display()
                ),
            )
            .hint("`adopt` removes files, and git is what brings them back: run it in a checkout")
        };
        let output = git
            .arg("-C")
            .arg(&self.root)
            .args(args)
            .args(["--", self.dir.as_ref().map_or(".", TreePath::as_str)])
            .output()
            .map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failed(&escape(said.trim(), 300)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
