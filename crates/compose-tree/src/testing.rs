//! An operations repo in an image's layout, for this crate's tests.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use compose_model::{FileMode, TreePath};

use crate::{
    Attempt, Error, Links, Located, Mount, NewFile, Places, Staged, Staging, Switched, image, locate,
};

pub(crate) struct Fixture {
    pub(crate) root: tempfile::TempDir,
    pub(crate) mount: Mount,
}

/// Creates an image with these files in the user's repo; the text of each is its own path.
pub(crate) fn fixture(files: &[&str]) -> Fixture {
    let root = tempfile::tempdir().unwrap();
    image::install(root.path()).unwrap();
    let home = fs::canonicalize(root.path().join("opt/bitops-compose")).unwrap();
    for file in files {
        let path = home.join("mount").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let mount = repo(&root.path().join("opt/bitops_deployment"), &home, None, &[]);
    Fixture { root, mount }
}

/// Returns the operations repo, which must exist.
#[track_caller]
pub(crate) fn repo(ops_repo: &Path, home: &Path, environment: Option<&str>, candidates: &[PathBuf]) -> Mount {
    match located(ops_repo, home, environment, candidates).unwrap() {
        Located::Repo(mount) => mount,
        Located::Nothing(nothing) => panic!("no operations repo: {nothing:?}"),
    }
}

pub(crate) fn located(
    ops_repo: &Path,
    home: &Path,
    environment: Option<&str>,
    candidates: &[PathBuf],
) -> Result<Located, Error> {
    locate(&Places {
        ops_repo,
        home,
        environment: environment.map(std::ffi::OsStr::new),
        candidates,
    })
}

pub(crate) fn begin(mount: &Mount) -> Staging {
    Staging::begin(mount, &TreePath::new("dev").unwrap()).unwrap()
}

/// Stages files, each given by its path, mode and bytes.
pub(crate) fn written(staging: Staging, files: &[(&str, FileMode, &[u8])]) -> Staged {
    use std::io::Write as _;

    let paths: Vec<TreePath> = files
        .iter()
        .map(|(path, ..)| TreePath::new(path).unwrap())
        .collect();
    let new: Vec<NewFile<'_>> = paths
        .iter()
        .zip(files)
        .map(|(path, (_, mode, _))| (path, *mode))
        .collect();
    let links = Links::of(staging.users(), &[]);
    let staged: Result<Staged, Error> = staging.write(
        &new,
        links,
        |index, put| put(files[index].2),
        |out| out.write_all(b"{}"),
    );
    staged.unwrap()
}

/// Switches to a composition. No other run may hold the lock.
#[track_caller]
pub(crate) fn switch(mount: &Mount, staged: Staged) -> Switched {
    match mount.try_lock().unwrap() {
        Attempt::Locked(lock) => staged.switch(mount, lock).unwrap(),
        Attempt::Busy(busy) => panic!("{busy:?}"),
    }
}

impl Fixture {
    /// Returns the pipeline's path.
    pub(crate) fn ops_repo(&self) -> PathBuf {
        self.root.path().join("opt/bitops_deployment")
    }

    pub(crate) fn users(&self) -> PathBuf {
        self.mount.root().to_owned()
    }

    /// Switches in a composition of these files, each with the text `composed`.
    pub(crate) fn switched(&self, files: &[&str]) -> Switched {
        let files: Vec<(&str, FileMode, &[u8])> = files
            .iter()
            .map(|path| (*path, FileMode::Regular, b"composed".as_slice()))
            .collect();
        switch(&self.mount, written(begin(&self.mount), &files))
    }

    /// Waits until the file system's clock advances.
    pub(crate) fn tick(&self) {
        let probe = self.root.path().join("probe");
        let now = || {
            fs::write(&probe, "").unwrap();
            let meta = fs::metadata(&probe).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let before = now();
        while now() == before {
            std::thread::yield_now();
        }
    }

    /// Asserts that the home holds only the layout and the path in `kept`.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self, kept: Option<&Path>) {
        let entries = fs::read_dir(self.mount.home())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut left: Vec<PathBuf> = entries.filter(|path| Some(path.as_path()) != kept).collect();
        left.sort();
        assert_eq!(left, ["active", "mount"].map(|name| self.mount.home().join(name)));
        assert_eq!(
            fs::read_link(self.mount.home().join("active")).unwrap(),
            Path::new("mount")
        );
    }
}
