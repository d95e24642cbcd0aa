//! A composition being written beside the mount.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, BufWriter},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use compose_model::TreePath;
use rustix::fs::Mode;

use crate::{
    Error, Mount,
    record::{COMPOSITION, Record, TREE},
    switch,
    write::{self, NewFile, Put},
};

/// The manifest's name beside the tree.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Attempts to make a directory that another run takes for a killed one's.
const ATTEMPTS: u32 = 10;
/// It is some megabytes where a composition is large.
const MANIFEST_BUFFER: usize = 64 << 10;

/// A new directory that takes a composition's files. Dropped before [`Staging::write`] has ended it is removed.
#[derive(Debug)]
pub struct Staging {
    dir: tempfile::TempDir,
    held: OwnedFd,
    record: Record,
    /// Real directories; the tree's root is "".
    made: BTreeMap<String, Made>,
}

/// A real directory of the composed tree.
#[derive(Debug)]
enum Made {
    /// The user has none there: it holds what is composed, and nothing else.
    New,
    /// Beside these names everything of the user's is linked.
    Over(BTreeSet<OsString>),
}

impl Made {
    fn hide(&mut self, name: &str) {
        if let Made::Over(names) = self {
            names.insert(name.into());
        }
    }
}

impl Staging {
    /// Makes the directory, readable by this user alone until it is finished.
    pub fn begin(mount: &Mount, environment: &TreePath) -> Result<Self, Error> {
        let home = mount.home();
        fs::create_dir_all(home).map_err(Error::io("create", home))?;
        let (dir, held) = new_held(home)?;
        let tree = dir.path().join(TREE);
        fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
        Ok(Self {
            dir,
            held,
            record: Record {
                environment: environment.as_str().to_owned(),
                root: mount.root().to_owned(),
                back: mount.back().to_owned(),
            },
            made: BTreeMap::from([(String::new(), Made::Over(BTreeSet::new()))]),
        })
    }

    /// Leaves something of the user's out of the composed tree. Paths are relative to the operations repo's root.
    pub fn leave_out(&mut self, path: &TreePath) -> Result<(), Error> {
        let root = self.open()?;
        self.directory(&root, above(path))?.hide(path.file_name());
        Ok(())
    }

    /// Writes composed files, links everything of the user's that stands beside them, and opens the directory to readers.
    ///
    /// Paths are relative to the operations repo's root, and each comes once. `content` is asked for each file by its index, from
    /// several threads, and hands the bytes to what it is given. `manifest` is written meanwhile, beside the tree, where the
    /// pipeline does not copy it.
    pub fn write<E: From<Error> + Send>(
        mut self,
        files: &[NewFile<'_>],
        content: impl Fn(usize, &mut Put<'_>) -> Result<(), E> + Sync,
        manifest: impl FnOnce(&mut BufWriter<File>) -> io::Result<()> + Send,
    ) -> Result<Staged, E> {
        let root = self.open()?;
        let dirs = self.directories(&root, files)?;
        let tree = self.tree();
        let beside = || {
            for (dir, made) in &self.made {
                self.finish_directory(&root, dir, made)?;
            }
            self.write_manifest(manifest)
        };
        write::write((&root, &tree), files, &dirs, content, || Ok(beside()?))?;
        let dir = self.dir.path();
        self.record
            .write(dir, std::iter::empty())
            .map_err(Error::io("write", dir))?;
        fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(Error::io("open", dir))?;
        Ok(Staged {
            dir: self.dir,
            held: self.held,
        })
    }

    fn open(&self) -> Result<OwnedFd, Error> {
        let tree = self.tree();
        write::open(rustix::fs::CWD, &tree).map_err(Error::io("open", tree))
    }

    /// Makes the directories of all files, and gives each with the indexes of its files.
    fn directories<'f>(
        &mut self,
        root: &OwnedFd,
        files: &[NewFile<'f>],
    ) -> Result<Vec<(&'f str, Vec<usize>)>, Error> {
        let mut dirs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut first = 0;
        // A composition's files are sorted, so that those of a directory mostly stand together.
        for together in files.chunk_by(|(one, _), (next, _)| above(one) == above(next)) {
            let next = first + together.len();
            dirs.entry(above(together[0].0)).or_default().extend(first..next);
            first = next;
        }
        for (dir, inside) in &dirs {
            let made = self.directory(root, dir)?;
            inside.iter().for_each(|at| made.hide(files[*at].0.file_name()));
        }
        Ok(dirs.into_iter().collect())
    }

    /// Makes `dir` a real directory, from the top (which is "").
    fn directory(&mut self, root: &OwnedFd, dir: &str) -> Result<&mut Made, Error> {
        if !self.made.contains_key(dir) {
            let (above, name) = dir.rsplit_once('/').unwrap_or(("", dir));
            let above = self.directory(root, above)?;
            above.hide(name);
            let is_new = matches!(above, Made::New);
            write::make_dir(root, dir).map_err(Error::io("create", self.tree().join(dir)))?;
            let made = if is_new || is_nothing(&self.record.root.join(dir)) {
                Made::New
            } else {
                Made::Over(BTreeSet::new())
            };
            self.made.insert(dir.to_owned(), made);
        }
        Ok(self.made.entry(dir.to_owned()).or_insert(Made::New))
    }

    /// Links what the user has in a directory besides, and lets others read it.
    fn finish_directory(&self, root: &OwnedFd, dir: &str, made: &Made) -> Result<(), Error> {
        let tree = self.tree();
        let opened = write::open_below(root, dir).map_err(Error::io("open", tree.join(dir)))?;
        let to = opened.as_ref().unwrap_or(root);
        if let Made::Over(names) = made {
            // Joining "" would add a slash.
            let from = match dir {
                "" => self.record.root.clone(),
                dir => self.record.root.join(dir),
            };
            link_siblings(&from, to, &tree.join(dir), names)?;
        }
        rustix::fs::fchmod(to, Mode::from(0o755))
            .map_err(|error| Error::io("open", tree.join(dir))(error.into()))
    }

    fn write_manifest(
        &self,
        manifest: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let path = self.dir.path().join(MANIFEST);
        let write = || {
            let mut out = BufWriter::with_capacity(MANIFEST_BUFFER, File::create(&path)?);
            manifest(&mut out)?;
            out.into_inner()?.set_permissions(Permissions::from_mode(0o644))
        };
        write().map_err(Error::io("write", &path))
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }
}

/// The directory that a path is in; "" for the tree itself.
fn above(path: &TreePath) -> &str {
    path.as_str().rsplit_once('/').map_or("", |(above, _)| above)
}

/// Is there nothing at all? What is no directory is told when it is listed.
fn is_nothing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Links each entry of the user's directory `from` into the open directory `to`, which is `place`, but for the names that were
/// composed.
fn link_siblings(
    from: &Path,
    to: &OwnedFd,
    place: &Path,
    composed: &BTreeSet<OsString>,
) -> Result<(), Error> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("list", from)(error)),
    };
    for entry in entries {
        let name = entry.map_err(Error::io("list", from))?.file_name();
        if !composed.contains(&name) {
            rustix::fs::symlinkat(from.join(&name), to, &name)
                .map_err(|error| Error::io("link", place.join(&name))(error.into()))?;
        }
    }
    Ok(())
}

/// A new composition's directory, held. A run that removes old ones may find it before it is held.
fn new_held(home: &Path) -> Result<(tempfile::TempDir, OwnedFd), Error> {
    let mut left = ATTEMPTS;
    loop {
        let dir = tempfile::Builder::new()
            .prefix(COMPOSITION)
            .tempdir_in(home)
            .map_err(Error::io("create", home.join(COMPOSITION)))?;
        let held = switch::hold(dir.path()).and_then(|held| {
            // Held, but removed before.
            fs::metadata(dir.path()).map(|_| held)
        });
        left -= 1;
        match held {
            Ok(held) => return Ok((dir, held)),
            Err(error) if left == 0 => return Err(Error::io("lock", dir.path())(error)),
            Err(_) => {}
        }
    }
}

/// A whole composition that the pipeline does not see yet. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    dir: tempfile::TempDir,
    held: OwnedFd,
}

impl Staged {
    /// The composed operations repo.
    pub fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }

    /// The manifest file.
    pub fn manifest(&self) -> PathBuf {
        self.dir.path().join(MANIFEST)
    }

    /// The composition's directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The directory, which is not removed any more, and the hold on it.
    pub(crate) fn keep(self) -> (PathBuf, OwnedFd) {
        (self.dir.keep(), self.held)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use compose_model::FileMode;

    use super::*;
    use crate::{Attempt, Located, Places, Settled, image, locate};

    struct Fixture {
        root: tempfile::TempDir,
        mount: Mount,
    }

    fn fixture(files: &[&str]) -> Fixture {
        let root = tempfile::tempdir().unwrap();
        image::install(root.path()).unwrap();
        let home = root.path().join("opt/bitops-compose");
        for file in files {
            let path = home.join("mount").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        let places = Places {
            ops_repo: &root.path().join("opt/bitops_deployment"),
            home: &home,
            environment: None,
            candidates: &[],
        };
        let Located::Repo(mount) = locate(&places).unwrap() else {
            panic!("no operations repo")
        };
        Fixture { root, mount }
    }

    fn begin(mount: &Mount) -> Staging {
        Staging::begin(mount, &TreePath::new("dev").unwrap()).unwrap()
    }

    /// Writes files, each with its path, mode and bytes.
    fn written(staging: Staging, files: &[(&str, FileMode, &[u8])]) -> Staged {
        let paths: Vec<TreePath> = files
            .iter()
            .map(|(path, ..)| TreePath::new(path).unwrap())
            .collect();
        let new: Vec<NewFile<'_>> = paths
            .iter()
            .zip(files)
            .map(|(path, (_, mode, _))| (path, *mode))
            .collect();
        let staged: Result<Staged, Error> =
            staging.write(&new, |at, put| put(files[at].2), |out| out.write_all(b"{}"));
        staged.unwrap()
    }

    #[test]
    fn only_composed_directories_are_real_and_the_rest_is_the_users_own() {
        let f = fixture(&[
            "README",
            "dev/terraform/main.tf",
            "dev/terraform/modules/a/x.tf",
            "dev/helm/a/values.yaml",
        ]);
        let staging = begin(&f.mount);
        let files: [(&str, FileMode, &[u8]); 2] = [
            ("dev/new/run.sh", FileMode::Executable, b"#!"),
            ("dev/terraform/extra.tf", FileMode::Regular, b"extra"),
        ];
        let staged = written(staging, &files);
        assert_eq!(fs::read(staged.manifest()).unwrap(), b"{}");
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
        let staging = begin(&f.mount);
        let staged = written(staging, &[("dev/values.yaml", FileMode::Regular, b"merged")]);
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
        let mut staging = begin(&f.mount);
        staging
            .leave_out(&TreePath::new(".cache/compose").unwrap())
            .unwrap();
        let staged = written(staging, &[("dev/y", FileMode::Regular, b"")]);
        let tree = staged.tree();
        assert!(tree.join("dev/x").exists() && tree.join(".cache/pip/x").exists());
        assert!(!tree.join(".cache/compose").exists());
        assert!(f.mount.root().join(".cache/compose/v1/url").exists());
    }

    #[test]
    fn an_unfinished_composition_leaves_nothing_behind() {
        let f = fixture(&["dev/x"]);
        let staging = begin(&f.mount);
        let y = TreePath::new("dev/y").unwrap();
        let broken = |_: usize, _: &mut Put<'_>| Err(Error::io("read", "y")(io::ErrorKind::NotFound.into()));
        let failed = staging.write(&[(&y, FileMode::Regular)], broken, |_| Ok(()));
        assert!(failed.is_err());
        drop(begin(&f.mount));
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
        let staged = written(begin(&f.mount), &[("dev/y", FileMode::Regular, b"")]);
        let Attempt::Locked(lock) = f.mount.try_lock().unwrap() else {
            panic!("nobody else is there")
        };
        let switched = staged.switch(&f.mount, lock).unwrap();
        assert!(ops.join("dev/y").is_file());
        // A second process neither removes what this one holds nor switches from it.
        f.mount.remove_old();
        assert!(matches!(f.mount.settle().unwrap(), Settled::Busy(_)));
        assert!(ops.join("dev/y").is_file());
        drop(switched);
        assert!(ops.join("dev/x").is_file());
        assert!(!ops.join("dev/y").exists());
    }
}
