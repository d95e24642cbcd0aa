//! A composition being written beside the mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use compose_model::TreePath;
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::{
    Error, Mount,
    mount::{COMPOSITION, TREE},
    write::{self, NewFile, Put},
};

/// A new directory that takes a composition's files. Dropped before [`Staging::finish`] it is removed.
#[derive(Debug)]
pub struct Staging {
    dir: tempfile::TempDir,
    lock: OwnedFd,
    /// Real directories (the tree's root is ""), each with the names that were written into it.
    written: BTreeMap<String, BTreeSet<OsString>>,
}

impl Staging {
    /// Makes the directory, readable by this user alone until it is finished.
    pub fn begin(mount: &Mount) -> Result<Self, Error> {
        let home = mount.home();
        fs::create_dir_all(home).map_err(Error::io("create", home))?;
        let aside = home.join(COMPOSITION);
        let dir = tempfile::Builder::new()
            .prefix(COMPOSITION)
            .tempdir_in(home)
            .map_err(Error::io("create", aside))?;
        let lock = rustix::fs::open(
            dir.path(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(|fd| rustix::fs::flock(&fd, FlockOperation::NonBlockingLockShared).map(|()| fd))
        .map_err(|error| Error::io("lock", dir.path())(error.into()))?;
        let tree = dir.path().join(TREE);
        fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
        Ok(Self {
            dir,
            lock,
            written: BTreeMap::from([(String::new(), BTreeSet::new())]),
        })
    }

    /// Writes composed files. Paths are relative to the operations repo's root, and each comes once. `content` is asked for each
    /// file by its index, from several threads, and hands the bytes to what it is given.
    pub fn write<E: From<Error> + Send>(
        &mut self,
        files: &[NewFile<'_>],
        content: impl Fn(usize, &mut Put<'_>) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let mut dirs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, (path, _)) in files.iter().enumerate() {
            dirs.entry(above(path)).or_default().push(at);
        }
        let root = self.open()?;
        for (dir, inside) in &dirs {
            self.directory(&root, dir)?
                .extend(inside.iter().map(|at| OsString::from(files[*at].0.file_name())));
        }
        let dirs: Vec<(&str, Vec<usize>)> = dirs.into_iter().collect();
        write::write(&self.tree(), files, &dirs, content)
    }

    /// Leaves something of the user's out of the composed tree. Paths are relative to the operations repo's root.
    pub fn leave_out(&mut self, path: &TreePath) -> Result<(), Error> {
        let root = self.open()?;
        self.directory(&root, above(path))?
            .insert(path.file_name().into());
        Ok(())
    }

    fn open(&self) -> Result<OwnedFd, Error> {
        let tree = self.tree();
        write::open(rustix::fs::CWD, &tree).map_err(Error::io("open", tree))
    }

    /// Makes `dir` a real directory, from the top (which is ""), and gives the names that it holds.
    fn directory(&mut self, root: &OwnedFd, dir: &str) -> Result<&mut BTreeSet<OsString>, Error> {
        if !self.written.contains_key(dir) {
            let (above, name) = dir.rsplit_once('/').unwrap_or(("", dir));
            self.directory(root, above)?.insert(name.into());
            write::make_dir(root, dir).map_err(Error::io("create", self.tree().join(dir)))?;
        }
        Ok(self.written.entry(dir.to_owned()).or_default())
    }

    /// Links everything of the user's that stands beside composed files, and opens the directory to readers.
    ///
    /// `manifest` is written beside the tree, where the pipeline does not copy it.
    pub fn finish(self, mount: &Mount, manifest: &[u8]) -> Result<Staged, Error> {
        for (dir, names) in &self.written {
            // Joining "" would add a slash.
            let (from, to) = match dir.as_str() {
                "" => (mount.root().to_owned(), self.tree()),
                dir => (mount.root().join(dir), self.tree().join(dir)),
            };
            link_siblings(&from, &to, names)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).map_err(Error::io("open", &to))?;
        }
        let path = self.dir.path().join("manifest.json");
        fs::write(&path, manifest).map_err(Error::io("write", &path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(Error::io("open", &path))?;
        let dir = self.dir.path();
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(Error::io("open", dir))?;
        Ok(Staged {
            dir: self.dir,
            lock: self.lock,
        })
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }
}

/// The directory that a path is in; "" for the tree itself.
fn above(path: &TreePath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(above, _)| above)
}

/// Links each entry of the user's directory `from` into `to`, but for the names that were composed.
fn link_siblings(from: &Path, to: &Path, composed: &BTreeSet<OsString>) -> Result<(), Error> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("list", from)(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("list", from))?.file_name();
        if !composed.contains(&name) {
            let link = to.join(&name);
            symlink(from.join(&name), &link).map_err(Error::io("link", &link))?;
        }
    }
    Ok(())
}

/// A whole composition that the pipeline does not see yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    dir: tempfile::TempDir,
    lock: OwnedFd,
}

impl Staged {
    /// The composed operations repo.
    pub fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }

    /// The manifest file.
    pub fn manifest(&self) -> PathBuf {
        self.dir.path().join("manifest.json")
    }

    /// Switches the pipeline over. The caller execs next; until [`Active::keep`], dropping switches back.
    pub fn activate(self, mount: &Mount) -> Result<Active<'_>, Error> {
        mount.switch_to(&self.tree())?;
        Ok(Active {
            staged: Some(self),
            mount,
        })
    }
}

/// The composition that the pipeline sees.
#[derive(Debug)]
pub struct Active<'a> {
    staged: Option<Staged>,
    mount: &'a Mount,
}

impl Active<'_> {
    /// Lets the lock on the composition pass through exec, so that no other run removes it under the pipeline.
    pub fn hold_through_exec(&self) -> Result<(), Error> {
        let Some(staged) = &self.staged else { return Ok(()) };
        rustix::io::fcntl_setfd(&staged.lock, rustix::io::FdFlags::empty())
            .map_err(|error| Error::io("keep", staged.dir.path())(error.into()))
    }
}

impl Drop for Active<'_> {
    /// The pipeline could not be started: everything is as it was before the run.
    fn drop(&mut self) {
        drop(self.staged.take());
        if let Err(error) = self.mount.reset() {
            tracing::warn!(%error, "the operations repo could not be switched back");
        }
    }
}

#[cfg(test)]
mod tests {
    use compose_model::FileMode;

    use super::*;
    use crate::mount;

    struct Fixture {
        root: tempfile::TempDir,
        mount: Mount,
    }

    fn fixture(files: &[&str]) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        mount::install(root.path()).unwrap();
        let home = root.path().join("opt/bitops-compose");
        for file in files {
            let path = home.join("mount").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let mount = Mount::locate(&root.path().join("opt/bitops_deployment"), &home, None)
            .unwrap()
            .unwrap();
        Fixture { root, mount }
    }

    fn put(staging: &mut Staging, path: &str, mode: FileMode, bytes: &[u8]) {
        let path = TreePath::new(path).unwrap();
        let written: Result<(), Error> = staging.write(&[(&path, mode)], |_, put| put(bytes));
        written.unwrap();
    }

    #[test]
    fn only_composed_directories_are_real_and_the_rest_is_the_users_own() {
        let f = fixture(&[
            "README",
            "dev/terraform/main.tf",
            "dev/terraform/modules/a/x.tf",
            "dev/helm/a/values.yaml",
        ]);
        let mut staging = Staging::begin(&f.mount).unwrap();
        put(
            &mut staging,
            "dev/terraform/extra.tf",
            FileMode::Regular,
            b"extra",
        );
        put(&mut staging, "dev/new/run.sh", FileMode::Executable, b"#!");
        let staged = staging.finish(&f.mount, b"{}").unwrap();
        let tree = staged.tree();
        for link in [
            "README",
            "dev/helm",
            "dev/terraform/main.tf",
            "dev/terraform/modules",
        ] {
            assert_eq!(
                fs::read_link(tree.join(link)).unwrap(),
                f.mount.root().join(link),
                "{link}"
            );
        }
        assert_eq!(fs::read(tree.join("dev/terraform/extra.tf")).unwrap(), b"extra");
        let mode = |name: &str| {
            fs::symlink_metadata(tree.join(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o7777
        };
        assert_eq!(
            (
                mode("dev/terraform/extra.tf"),
                mode("dev/new/run.sh"),
                mode("dev")
            ),
            (0o644, 0o755, 0o755)
        );
        assert!(!f.mount.root().join("dev/new").exists());
    }

    #[test]
    fn a_composed_file_hides_the_users() {
        let f = fixture(&["dev/values.yaml"]);
        let mut staging = Staging::begin(&f.mount).unwrap();
        put(&mut staging, "dev/values.yaml", FileMode::Regular, b"merged");
        let staged = staging.finish(&f.mount, b"{}").unwrap();
        assert_eq!(
            fs::read(staged.tree().join("dev/values.yaml")).unwrap(),
            b"merged"
        );
        assert_eq!(
            fs::read(f.mount.root().join("dev/values.yaml")).unwrap(),
            b"dev/values.yaml"
        );
    }

    #[test]
    fn what_is_left_out_is_not_linked_and_what_stands_beside_it_is() {
        let f = fixture(&["dev/x", ".cache/compose/v1/url", ".cache/pip/x"]);
        let mut staging = Staging::begin(&f.mount).unwrap();
        put(&mut staging, "dev/y", FileMode::Regular, b"");
        staging
            .leave_out(&TreePath::new(".cache/compose").unwrap())
            .unwrap();
        let tree = staging.finish(&f.mount, b"{}").unwrap();
        let tree = tree.tree();
        assert!(tree.join("dev/x").exists() && tree.join(".cache/pip/x").exists());
        assert!(!tree.join(".cache/compose").exists());
        assert!(f.mount.root().join(".cache/compose/v1/url").exists());
    }

    #[test]
    fn an_unfinished_composition_leaves_nothing_behind() {
        let f = fixture(&["dev/x"]);
        let mut staging = Staging::begin(&f.mount).unwrap();
        put(&mut staging, "dev/y", FileMode::Regular, b"");
        drop(staging);
        let names: Vec<_> = fs::read_dir(f.mount.home())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn a_pipeline_that_does_not_start_leaves_everything_as_it_was() {
        let f = fixture(&["dev/x"]);
        let ops = f.root.path().join("opt/bitops_deployment");
        let mut staging = Staging::begin(&f.mount).unwrap();
        put(&mut staging, "dev/y", FileMode::Regular, b"");
        let active = staging
            .finish(&f.mount, b"{}")
            .unwrap()
            .activate(&f.mount)
            .unwrap();
        assert!(ops.join("dev/y").is_file());
        // A second process does not remove what this one holds.
        f.mount.remove_old();
        assert!(ops.join("dev/y").is_file());
        drop(active);
        assert!(ops.join("dev/x").is_file());
        assert!(!ops.join("dev/y").exists());
    }
}
