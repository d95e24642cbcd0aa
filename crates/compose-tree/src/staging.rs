//! A composition being written beside the mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    io::Write as _,
    os::{
        fd::OwnedFd,
        unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use compose_model::{FileMode, TreePath};
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::{
    Error, Mount,
    mount::{COMPOSITION, TREE},
};

/// A new directory that takes a composition's files. Dropped before [`Staging::finish`] it is removed.
#[derive(Debug)]
pub struct Staging {
    dir: tempfile::TempDir,
    lock: OwnedFd,
    /// Real directories (`None`: the tree's root), each with the names that were written into it.
    written: BTreeMap<Option<TreePath>, BTreeSet<OsString>>,
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
            written: BTreeMap::from([(None, BTreeSet::new())]),
        })
    }

    /// Writes one composed file. Paths are relative to the operations repo's root.
    pub fn write(&mut self, path: &TreePath, mode: FileMode, bytes: &[u8]) -> Result<(), Error> {
        self.directory(path.parent().as_ref(), path.file_name())?;
        let target = self.tree().join(path.as_str());
        let write = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode.bits())
                .open(&target)?;
            file.write_all(bytes)?;
            // The umask may have taken bits away.
            file.set_permissions(fs::Permissions::from_mode(mode.bits()))
        };
        write().map_err(Error::io("write", &target))
    }

    /// Leaves something of the user's out of the composed tree. Paths are relative to the operations repo's root.
    pub fn leave_out(&mut self, path: &TreePath) -> Result<(), Error> {
        self.directory(path.parent().as_ref(), path.file_name())
    }

    /// Makes `dir` a real directory, from the top, and notes that it holds `name`.
    fn directory(&mut self, dir: Option<&TreePath>, name: &str) -> Result<(), Error> {
        if let Some(dir) = dir
            && !self.written.contains_key(&Some(dir.clone()))
        {
            self.directory(dir.parent().as_ref(), dir.file_name())?;
            let path = self.tree().join(dir.as_str());
            fs::create_dir(&path).map_err(Error::io("create", &path))?;
        }
        self.written.entry(dir.cloned()).or_default().insert(name.into());
        Ok(())
    }

    /// Links everything of the user's that stands beside composed files, and opens the directory to readers.
    ///
    /// `manifest` is written beside the tree, where the pipeline does not copy it.
    pub fn finish(self, mount: &Mount, manifest: &[u8]) -> Result<Staged, Error> {
        for (dir, names) in &self.written {
            let (from, to) = match dir {
                None => (mount.root().to_owned(), self.tree()),
                Some(dir) => (mount.root().join(dir.as_str()), self.tree().join(dir.as_str())),
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

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
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
        staging
            .write(&path("dev/terraform/extra.tf"), FileMode::Regular, b"extra")
            .unwrap();
        staging
            .write(&path("dev/new/run.sh"), FileMode::Executable, b"#!")
            .unwrap();
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
        staging
            .write(&path("dev/values.yaml"), FileMode::Regular, b"merged")
            .unwrap();
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
        staging.write(&path("dev/y"), FileMode::Regular, b"").unwrap();
        staging.leave_out(&path(".cache/compose")).unwrap();
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
        staging.write(&path("dev/y"), FileMode::Regular, b"").unwrap();
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
        staging.write(&path("dev/y"), FileMode::Regular, b"").unwrap();
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
