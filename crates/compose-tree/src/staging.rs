//! Writes a composition beside the mount.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    io::{self, BufWriter},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use compose_model::{FileMode, TreePath};
use rustix::fs::{AtFlags, FileType, Mode};

use crate::{
    Action, Error, Mount,
    held::{HeldDir, OwnDir},
    layout::{self, Layout, LayoutOptions, RealDir, UsersDir},
    links::Links,
    names::{MANIFEST, TREE},
    old,
    record::{Record, StagedKind},
    write::{self, DirFiles, NewFile, Put},
};

/// The buffer's size in bytes; the manifest of a large composition takes some megabytes.
const MANIFEST_BUFFER: usize = 64 << 10;
/// The mode of a directory that the user does not have.
const NEW_DIR: u32 = 0o755;

/// A new composition that files are written to. It is removed if it is dropped before
/// [`Staging::write`] has returned.
#[derive(Debug)]
pub struct Staging {
    own: HeldDir,
    record: Record,
    wanted: LayoutOptions,
}

/// Creates a composition's directory outside of a home in which another user replaces what is created.
fn begin_elsewhere(mount: &Mount, temporary: &Path, why: &Error) -> Result<HeldDir, Error> {
    tracing::warn!(path = %temporary.display(), "the composition is made in another directory: {why}");
    // What killed runs left there, as in a home.
    old::remove_unheld_elsewhere(temporary, mount.link.as_ref(), mount.root());
    HeldDir::new(temporary)
}

/// A real directory, and the user's directory at the same path.
struct PlannedDir<'l> {
    path: &'l Path,
    laid_out: &'l RealDir,
    users: Option<UsersDir>,
}

impl PlannedDir<'_> {
    /// Returns the names in the directory, each with what is staged there.
    fn names<'p>(&'p self, files: &'p [(&str, u32)]) -> impl Iterator<Item = (&'p OsStr, StagedKind)> {
        let composed = self
            .laid_out
            .files
            .iter()
            .map(|index| (OsStr::new(files[*index].0), StagedKind::File));
        let dirs = self
            .laid_out
            .dirs
            .iter()
            .map(|name| (name.as_os_str(), StagedKind::Directory));
        composed
            .chain(dirs)
            .chain(self.siblings(files).map(|name| (name, StagedKind::Users)))
    }

    /// Returns the user's names beside the composed ones.
    fn siblings<'p>(&'p self, files: &'p [(&str, u32)]) -> impl Iterator<Item = &'p OsStr> {
        let listed = self
            .users
            .as_ref()
            .map(|users| (users, self.laid_out.taken(files)));
        listed.into_iter().flat_map(|(users, taken)| {
            let names = users.names.iter().map(OsString::as_os_str);
            names.filter(move |name| !taken.contains(name))
        })
    }

    fn mode(&self) -> u32 {
        // In the composition the directory belongs to this user, who must be able to read it.
        self.users.as_ref().map_or(NEW_DIR, |users| users.mode | 0o500)
    }
}

impl Staging {
    /// Creates the directory, readable only for this user until it is complete.
    pub fn begin(mount: &Mount, environment: &TreePath) -> Result<Self, Error> {
        let home = mount.home();
        fs::create_dir_all(home).map_err(Error::io(Action::Create, home))?;
        let own = match HeldDir::new(home) {
            Err(error @ Error::Foreign { .. }) => begin_elsewhere(mount, &std::env::temp_dir(), &error)?,
            own => own?,
        };
        Self::begin_in(own, mount, environment)
    }

    fn begin_in(own: HeldDir, mount: &Mount, environment: &TreePath) -> Result<Self, Error> {
        let tree = own.place().join(TREE);
        fs::create_dir(&tree).map_err(Error::io(Action::Create, own.path().join(TREE)))?;
        Ok(Self {
            own,
            record: Record {
                environment: environment.as_str().to_owned(),
                root: mount.root().to_owned(),
                back: mount.back().to_owned(),
            },
            wanted: LayoutOptions::default(),
        })
    }

    /// Leaves a path of the user's out of the composed tree. Paths are relative to the operations
    /// repo's root.
    pub fn leave_out(&mut self, path: &TreePath) {
        self.wanted.left_out.push(path.as_str().into());
    }

    /// Makes a directory of the user's a real one, so that `..` in it leads into the composed tree.
    pub fn make_real(&mut self, path: &TreePath) {
        self.wanted.real.push(path.as_str().into());
    }

    /// Writes the composed files, links the user's files and directories beside them, and makes the
    /// directory readable for others.
    ///
    /// The paths in `files` are relative to the operations repo's root and must be unique. `links`
    /// are the user's symlinks. `content` is called from several threads with the index of each
    /// file, and passes the file's bytes to its second argument. `manifest` is written at the same
    /// time, beside the tree, where the pipeline does not copy it.
    pub fn write<E: From<Error> + Send>(
        self,
        files: &[NewFile<'_>],
        links: Links,
        content: impl Fn(usize, &mut Put<'_>) -> Result<(), E> + Sync,
        manifest: impl FnOnce(&mut BufWriter<File>) -> io::Result<()> + Send,
    ) -> Result<Staged, E> {
        let tree = self.tree();
        let place = self.own.place();
        let root = write::open(rustix::fs::CWD, &place.join(TREE)).map_err(Error::io(Action::Open, &tree))?;
        let layout = layout::lay_out(files, &self.wanted, links);
        let planned = self.make_dirs(&root, &layout)?;
        let named = self.with_modes(files, &planned)?;
        let filled: Vec<DirFiles<'_>> = planned
            .iter()
            .map(|planned| (planned.path, planned.laid_out.files.as_slice()))
            .collect();
        let beside = || {
            for planned in &planned {
                self.link_users(&root, planned, &named)?;
            }
            let listed = planned
                .iter()
                .map(|planned| (planned.path, planned.names(&named)));
            self.record
                .write(&place, listed)
                .map_err(Error::io(Action::Write, self.own.path()))?;
            self.write_manifest(&place, manifest)
        };
        write::write((&root, &tree), &named, &filled, content, || Ok(beside()?))?;
        self.open_dirs(&root, &planned)?;
        Ok(Staged { own: self.own })
    }

    /// Creates the real directories and lists the user's directories at the same paths.
    fn make_dirs<'l>(&self, root: &OwnedFd, layout: &'l Layout) -> Result<Vec<PlannedDir<'l>>, Error> {
        let mut made: BTreeMap<&Path, bool> = BTreeMap::new();
        let mut planned = Vec::with_capacity(layout.len());
        for (path, laid_out) in layout {
            let above_is_new = path.parent().is_some_and(|above| made.get(above) == Some(&true));
            // Joining "" would add a slash.
            let users = match path.as_os_str().is_empty() {
                _ if above_is_new => None,
                true => layout::list_users_dir(&self.record.root)?,
                false => layout::list_users_dir(&self.record.root.join(path))?,
            };
            if !path.as_os_str().is_empty() {
                write::make_dir(root, path).map_err(Error::io(Action::Create, self.tree().join(path)))?;
            }
            made.insert(path, users.is_none());
            planned.push(PlannedDir {
                path,
                laid_out,
                users,
            });
        }
        Ok(planned)
    }

    /// Returns the name and the mode of each file. A file that the user has as well gets the mode
    /// of the user's.
    fn with_modes<'f>(
        &self,
        files: &[NewFile<'f>],
        planned: &[PlannedDir<'_>],
    ) -> Result<Vec<(&'f str, u32)>, Error> {
        let mut named: Vec<(&str, u32)> = files
            .iter()
            .map(|(path, mode)| (path.file_name(), mode.bits()))
            .collect();
        for planned in planned {
            let Some(users) = planned
                .users
                .as_ref()
                .filter(|_| !planned.laid_out.files.is_empty())
            else {
                continue;
            };
            let dir = self.record.root.join(planned.path);
            let theirs: std::collections::HashSet<&OsStr> =
                users.names.iter().map(OsString::as_os_str).collect();
            for index in &planned.laid_out.files {
                let (name, mode) = &mut named[*index];
                if theirs.contains(OsStr::new(name)) {
                    *mode = local_mode(&dir.join(*name), files[*index].1)?;
                }
            }
        }
        Ok(named)
    }

    /// Links the user's other files and directories, and sets the directory's mode, keeping it
    /// writable for now.
    fn link_users(
        &self,
        root: &OwnedFd,
        planned: &PlannedDir<'_>,
        files: &[(&str, u32)],
    ) -> Result<(), Error> {
        let place = self.tree().join(planned.path);
        let opened = write::open_below(root, planned.path).map_err(Error::io(Action::Open, &place))?;
        let to = opened.as_ref().unwrap_or(root);
        let from = self.record.root.join(planned.path);
        for name in planned.siblings(files) {
            let users = from.join(name);
            let target = planned
                .laid_out
                .links
                .get(name)
                .map_or(users.as_path(), PathBuf::as_path);
            rustix::fs::symlinkat(target, to, name)
                .map_err(|error| Error::io(Action::Link, place.join(name))(error.into()))?;
        }
        set_mode(to, planned.mode() | 0o700).map_err(Error::io(Action::Open, place))
    }

    /// Sets the modes of directories that must not be writable, and makes the composition readable
    /// for others.
    fn open_dirs(&self, root: &OwnedFd, planned: &[PlannedDir<'_>]) -> Result<(), Error> {
        // From the bottom up, because directories below one of these may become unreachable.
        for planned in planned
            .iter()
            .rev()
            .filter(|planned| planned.mode() & 0o700 != 0o700)
        {
            let place = self.tree().join(planned.path);
            let opened = write::open_below(root, planned.path).map_err(Error::io(Action::Open, &place))?;
            set_mode(opened.as_ref().unwrap_or(root), planned.mode())
                .map_err(Error::io(Action::Open, place))?;
        }
        fs::set_permissions(self.own.place(), Permissions::from_mode(0o755))
            .map_err(Error::io(Action::Open, self.own.path()))
    }

    fn write_manifest(
        &self,
        place: &Path,
        manifest: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), Error> {
        let write = || {
            let mut out = BufWriter::with_capacity(MANIFEST_BUFFER, File::create(place.join(MANIFEST))?);
            manifest(&mut out)?;
            out.into_inner()?.set_permissions(Permissions::from_mode(0o644))
        };
        write().map_err(Error::io(Action::Write, self.own.path().join(MANIFEST)))
    }

    fn tree(&self) -> PathBuf {
        self.own.path().join(TREE)
    }

    /// Returns the root of the user's operations repo.
    #[cfg(test)]
    pub(crate) fn users(&self) -> &Path {
        &self.record.root
    }
}

fn set_mode(dir: &OwnedFd, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(dir, Mode::from(mode))?)
}

/// Returns the mode of a composed file that replaces a file of the user's: the latter's mode, made
/// executable if the composed file is.
fn local_mode(users: &Path, composed: FileMode) -> Result<u32, Error> {
    let stat = match rustix::fs::statat(rustix::fs::CWD, users, AtFlags::empty()) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => stat,
        // A dangling link or the like: the composed file's mode applies.
        _ => return Ok(composed.bits()),
    };
    // As with directories, the file belongs to this user here and must be readable.
    let mode = (stat.st_mode & 0o777) | 0o400;
    Ok(if composed == FileMode::Executable && mode & 0o111 == 0 {
        mode | ((mode & 0o444) >> 2)
    } else {
        mode
    })
}

/// A complete composition that the pipeline does not see yet. Dropping this value removes it.
#[derive(Debug)]
pub struct Staged {
    own: HeldDir,
}

impl Staged {
    /// Returns the path of the composed operations repo.
    pub fn tree(&self) -> PathBuf {
        self.own.path().join(TREE)
    }

    /// Returns the path of the manifest file.
    pub fn manifest(&self) -> PathBuf {
        self.own.path().join(MANIFEST)
    }

    /// Returns the composition's directory.
    pub(crate) fn dir(&self) -> Option<&OwnDir> {
        self.own.dir()
    }

    /// Returns the directory with its lock. The directory is then no longer removed on drop.
    pub(crate) fn keep(self) -> Option<OwnDir> {
        self.own.keep()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::testing::{Fixture, begin, fixture, switch, written};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(f: &Fixture, path: &str, mode: u32) {
        fs::set_permissions(f.users().join(path), Permissions::from_mode(mode)).unwrap();
    }

    const REGULAR: FileMode = FileMode::Regular;

    #[test]
    fn only_composed_directories_are_real_and_the_rest_is_linked() {
        let f = fixture(&[
            "README",
            "dev/terraform/main.tf",
            "dev/terraform/modules/a/x.tf",
            "dev/helm/a/values.yaml",
        ]);
        let files: [(&str, FileMode, &[u8]); 2] = [
            ("dev/new/run.sh", FileMode::Executable, b"#!"),
            ("dev/terraform/extra.tf", REGULAR, b"extra"),
        ];
        let staged = written(begin(&f.mount), &files);
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
                f.users().join(link),
                "{link}"
            );
        }
        assert_eq!(fs::read(tree.join("dev/terraform/extra.tf")).unwrap(), b"extra");
        assert_eq!(
            ["dev/terraform/extra.tf", "dev/new/run.sh", "dev/new"].map(|path| mode(&tree.join(path))),
            [0o644, 0o755, 0o755]
        );
        assert!(!f.users().join("dev/new").exists());
    }

    #[test]
    fn a_composed_file_replaces_the_users_in_the_tree() {
        let f = fixture(&["dev/values.yaml"]);
        let staged = written(begin(&f.mount), &[("dev/values.yaml", REGULAR, b"merged")]);
        assert_eq!(
            fs::read(staged.tree().join("dev/values.yaml")).unwrap(),
            b"merged"
        );
        assert_eq!(
            fs::read(f.users().join("dev/values.yaml")).unwrap(),
            b"dev/values.yaml"
        );
    }

    #[test]
    fn files_and_directories_of_the_user_keep_their_modes() {
        let f = fixture(&[
            "dev/secret.yaml",
            "dev/group.yaml",
            "dev/run.sh",
            "dev/made-executable",
            "dev/tf/x",
        ]);
        for (path, mode) in [
            ("dev/secret.yaml", 0o600),
            ("dev/group.yaml", 0o640),
            ("dev/run.sh", 0o750),
            ("dev/made-executable", 0o640),
            ("dev", 0o2775),
            ("dev/tf", 0o555),
            ("", 0o777),
        ] {
            set_mode(&f, path, mode);
        }
        symlink("secret.yaml", f.users().join("dev/linked.yaml")).unwrap();
        let files: [(&str, FileMode, &[u8]); 7] = [
            ("dev/group.yaml", REGULAR, b""),
            ("dev/linked.yaml", REGULAR, b""),
            ("dev/made-executable", FileMode::Executable, b""),
            ("dev/new.yaml", REGULAR, b""),
            ("dev/run.sh", REGULAR, b""),
            ("dev/secret.yaml", REGULAR, b""),
            ("dev/tf/y", REGULAR, b""),
        ];
        let staged = written(begin(&f.mount), &files);
        let tree = staged.tree();
        for (path, expected) in [
            ("dev/secret.yaml", 0o600),
            ("dev/linked.yaml", 0o600),
            ("dev/group.yaml", 0o640),
            ("dev/run.sh", 0o750),
            ("dev/made-executable", 0o750),
            ("dev/new.yaml", 0o644),
            ("dev/tf/y", 0o644),
            ("dev", 0o2775),
            ("dev/tf", 0o555),
        ] {
            assert_eq!(mode(&tree.join(path)), expected, "{path}");
        }
        assert_eq!(mode(&tree), 0o777);
        assert!(
            fs::symlink_metadata(tree.join("dev/linked.yaml"))
                .unwrap()
                .is_file()
        );
        let home = f.mount.home().to_owned();
        drop(staged);
        assert_eq!(
            fs::read_dir(home).unwrap().count(),
            2,
            "read-only directories are removed as well"
        );
    }

    #[test]
    fn the_users_links_lead_to_composed_files() {
        let f = fixture(&[
            "dev/terraform/mine.tf",
            "prod/deep/x",
            "dev/plain",
            "environments/stage/mine",
        ]);
        for (link, target) in [
            ("dev/terraform-b", "terraform"),
            ("dev/mods", "../modules"),
            ("dev/only-theirs.yaml", "theirs.yaml"),
            ("prod/deep/mods", "../../modules"),
            ("dev/to-plain", "plain"),
            ("stage", "environments/stage"),
        ] {
            symlink(target, f.users().join(link)).unwrap();
        }
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), "outside").unwrap();
        symlink(outside.path(), f.users().join("dev/absolute")).unwrap();
        // A link out of the repo, to its neighbour.
        fs::write(f.mount.home().join("neighbour"), "beside").unwrap();
        symlink("../../neighbour", f.users().join("dev/escaping")).unwrap();
        let files: [(&str, FileMode, &[u8]); 4] = [
            ("dev/terraform/theirs.tf", REGULAR, b"theirs"),
            ("dev/theirs.yaml", REGULAR, b"theirs"),
            ("modules/vpc/a.tf", REGULAR, b"vpc"),
            ("stage/theirs", REGULAR, b"theirs"),
        ];
        let staged = written(begin(&f.mount), &files);
        let tree = staged.tree();
        for (path, text) in [
            ("dev/terraform-b/theirs.tf", "theirs"),
            ("dev/terraform-b/mine.tf", "dev/terraform/mine.tf"),
            ("dev/mods/vpc/a.tf", "vpc"),
            ("dev/only-theirs.yaml", "theirs"),
            ("prod/deep/mods/vpc/a.tf", "vpc"),
            ("prod/deep/x", "prod/deep/x"),
            ("dev/to-plain", "dev/plain"),
            ("dev/absolute/file", "outside"),
            ("dev/escaping", "beside"),
            ("stage/theirs", "theirs"),
            ("environments/stage/theirs", "theirs"),
            ("stage/mine", "environments/stage/mine"),
        ] {
            let found = fs::read_to_string(tree.join(path));
            assert_eq!(
                found.unwrap_or_else(|error| panic!("{path}: {error}")),
                text,
                "{path}"
            );
        }
        for (link, target) in [("dev/mods", "../modules"), ("stage", "environments/stage")] {
            assert_eq!(fs::read_link(tree.join(link)).unwrap(), Path::new(target));
        }
    }

    #[test]
    fn paths_that_are_left_out_are_not_linked_but_their_neighbours_are() {
        let f = fixture(&["dev/x", ".cache/compose/v1/url", ".cache/pip/x"]);
        let mut staging = begin(&f.mount);
        staging.leave_out(&TreePath::new(".cache/compose").unwrap());
        staging.make_real(&TreePath::new(".cache/pip").unwrap());
        let staged = written(staging, &[("dev/y", REGULAR, b"")]);
        let tree = staged.tree();
        assert!(tree.join("dev/x").exists() && tree.join(".cache/pip/x").exists());
        assert!(fs::symlink_metadata(tree.join(".cache/pip")).unwrap().is_dir());
        assert!(!tree.join(".cache/compose").exists());
        assert!(f.users().join(".cache/compose/v1/url").exists());
    }

    #[test]
    fn an_unfinished_composition_leaves_nothing_behind() {
        let f = fixture(&["dev/x"]);
        let y = TreePath::new("dev/y").unwrap();
        let broken =
            |_: usize, _: &mut Put<'_>| Err(Error::io(Action::Read, "y")(io::ErrorKind::NotFound.into()));
        let failed = begin(&f.mount).write(&[(&y, REGULAR)], Links::default(), broken, |_| Ok(()));
        assert!(failed.is_err());
        drop(begin(&f.mount));
        f.assert_nothing_left(None);
    }

    #[test]
    fn a_composition_in_another_directory_works_and_sweeps_what_killed_runs_left_there() {
        let f = fixture(&["dev/x"]);
        let temporary = tempfile::tempdir().unwrap();
        let left = temporary.path().join("composition.0123456789abcdef");
        let other = temporary.path().join("composition.backup");
        let foreign = temporary.path().join("composition.fedcba9876543210");
        fs::create_dir_all(foreign.join("notes")).unwrap();
        fs::create_dir_all(left.join("tree/dev")).unwrap();
        fs::create_dir(&other).unwrap();
        let why = Error::Foreign { path: "home".into() };
        let living = begin_elsewhere(&f.mount, temporary.path(), &why).unwrap();
        assert!(!left.exists() && other.exists() && foreign.exists());

        let own = begin_elsewhere(&f.mount, temporary.path(), &why).unwrap();
        assert!(living.path().exists(), "a living run holds it");
        let dev = TreePath::new("dev").unwrap();
        let staging = Staging::begin_in(own, &f.mount, &dev).unwrap();
        let staged = written(staging, &[("dev/y", FileMode::Regular, b"composed")]);
        let switched = switch(&f.mount, staged);
        assert!(
            fs::canonicalize(f.ops_repo())
                .unwrap()
                .starts_with(fs::canonicalize(temporary.path()).unwrap())
        );
        assert_eq!(fs::read(f.ops_repo().join("dev/y")).unwrap(), b"composed");
        assert_eq!(
            crate::users_path(&f.ops_repo().join("dev")),
            f.users().join("dev")
        );
        drop((switched, living));
        assert!(!f.ops_repo().join("dev/y").exists());
        let rest: Vec<_> = fs::read_dir(temporary.path()).unwrap().flatten().collect();
        assert_eq!(rest.len(), 2, "{rest:?}");
    }
}
