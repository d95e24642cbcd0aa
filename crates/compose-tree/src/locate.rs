//! Finds the user's operations repo behind the pipeline's path.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Action, Error,
    link::{Link, LinkOwner},
    mount::{Mount, Nothing},
    mountinfo::MountPoints,
    names::MOUNT,
    record::{self, Record},
    restart::mounted_on_compositions,
};

/// The places to search for the operations repo.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The pipeline's path.
    pub ops_repo: &'a Path,
    /// The home: the directory of `active`, `mount` and compositions.
    pub home: &'a Path,
    /// The environment's name as the pipeline gets it.
    pub environment: Option<&'a OsStr>,
    /// The directories to use in place of the mount if nothing is mounted: the first of them with
    /// the environment, or else the first that is a directory.
    pub candidates: &'a [PathBuf],
}

/// The result of [`locate`]. Until one of them is settled, the pipeline's path may still show the
/// composition of a killed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// The user's operations repo.
    Repo(Mount),
    /// There is none; the pipeline prints its own message.
    Nothing(Nothing),
}

/// Finds the user's operations repo.
///
/// A path that leads to a composition means the user's own repo below it. Nothing is written,
/// except for the directory that assembles the parts of a mount in a restarted container (see
/// `restart.rs`).
pub fn locate(places: &Places<'_>) -> Result<Located, Error> {
    let ops_repo = absolute(places.ops_repo)?;
    let home = absolute(places.home)?;
    // Two spellings of one home must compare equal.
    let home = fs::canonicalize(&home).unwrap_or(home);
    let points = MountPoints::read();
    let link = Link::find(&ops_repo, &home);
    // This comes first: the visible part may be an empty directory, which the pipeline would
    // deploy.
    if let Ok(points) = &points {
        let other = link.as_ref().filter(|link| link.kind() == LinkOwner::Active);
        let dirs = [Some(home.as_path()), other.map(Link::dir)];
        if let Some(path) = dirs
            .into_iter()
            .flatten()
            .find_map(|dir| points.hidden_below(dir))
        {
            let path = path.to_owned();
            return Err(Error::Hidden { path });
        }
    }
    let search = RepoSearch {
        places,
        home,
        ops_repo,
        points,
    };
    match link {
        None => search.directory(),
        Some(link) if link.kind() == LinkOwner::Own => search.own_link(link),
        Some(link) => search.home_link(link),
    }
}

/// Returns the path in the user's repo if `path` leads into a composition, directly or by links;
/// otherwise returns `path` unchanged.
pub fn users_path(path: &Path) -> PathBuf {
    let Ok(real) = fs::canonicalize(path) else {
        return path.to_owned();
    };
    if record::composition_above(&real).is_none() {
        return path.to_owned();
    }
    // In a restarted container, the user's repo may be mounted on an old composition.
    let mounted = MountPoints::read().is_ok_and(|points| {
        let mut above = real.ancestors();
        above.any(|dir| record::composition_above(dir).is_some() && points.has(dir))
    });
    let users = if mounted { None } else { record::users_path(&real) };
    users.unwrap_or_else(|| path.to_owned())
}

struct RepoSearch<'a> {
    places: &'a Places<'a>,
    home: PathBuf,
    ops_repo: PathBuf,
    points: io::Result<MountPoints>,
}

impl RepoSearch<'_> {
    fn found(&self, root: PathBuf, link: Option<Link>, back: PathBuf) -> Located {
        Located::Repo(self.mount(root, link, back))
    }

    fn mount(&self, root: PathBuf, link: Option<Link>, back: PathBuf) -> Mount {
        Mount {
            home: self.home.clone(),
            root,
            link,
            ops_repo: self.ops_repo.clone(),
            back,
            candidate: None,
        }
    }

    /// Handles a pipeline's path that is not a link.
    fn directory(&self) -> Result<Located, Error> {
        let root = fs::canonicalize(&self.ops_repo).unwrap_or_else(|_| self.ops_repo.clone());
        let root = record::users_path(&root).unwrap_or(root);
        if root.is_dir() {
            Ok(self.found(root, None, PathBuf::new()))
        } else {
            let path = self.ops_repo.clone();
            Err(Error::NotADirectory { path })
        }
    }

    /// Handles a link of the user's own, or a missing path.
    fn own_link(&self, link: Link) -> Result<Located, Error> {
        let Some(target) = link.target() else {
            return Ok(match self.candidate() {
                Some(candidate) => {
                    let root = fs::canonicalize(&candidate).unwrap_or_else(|_| candidate.clone());
                    self.found(root, Some(link), candidate)
                }
                // The home's own mount, which the path does not lead to yet.
                None => match self.examine_mount(&self.home) {
                    MountContent::Repo { root, .. } => self.found(root.clone(), Some(link), root),
                    MountContent::Nothing { .. } => nothing(Some(link), None),
                },
            });
        };
        if let Some(composition) = link.composition() {
            let Some(record) = Record::read_behind(link.path(), &composition) else {
                let path = link.path().to_owned();
                return Err(Error::Lost { path, composition });
            };
            return Ok(if record.root.is_dir() {
                self.found(record.root, Some(link), record.back)
            } else {
                nothing(Some(link), Some(record.back))
            });
        }
        Ok(match fs::canonicalize(link.path()) {
            Ok(root) if root.is_dir() => {
                let root = record::users_path(&root).unwrap_or(root);
                self.found(root, Some(link), target)
            }
            _ => nothing(Some(link), None),
        })
    }

    /// Handles the link `active` of a home.
    fn home_link(&self, link: Link) -> Result<Located, Error> {
        let target = link.target();
        if let Some(composition) = link.composition()
            && let Some(home) = composition.parent()
        {
            let points = self.points.as_ref().map_err(|error| {
                let error = io::Error::new(error.kind(), error.to_string());
                Error::io(Action::Read, "/proc/self/mountinfo")(error)
            })?;
            if let Some(root) = mounted_on_compositions(home, points)? {
                return Ok(self.found(root.clone(), Some(link), root));
            }
        } else if let Some(target) = target.filter(|target| !target.starts_with(MOUNT)) {
            // Another program or user gave the link another target.
            return Ok(match fs::canonicalize(link.path()) {
                Ok(root) if root.is_dir() => self.found(root, Some(link), target),
                _ => nothing(Some(link), None),
            });
        }
        let candidate = self.candidate();
        let names =
            |root: &Path, candidate: &Path| fs::canonicalize(candidate).is_ok_and(|path| path == root);
        Ok(match (self.examine_mount(link.dir()), candidate) {
            // An existing link to another checkout is replaced; an existing directory is not.
            (MountContent::Repo { root, is_link, .. }, Some(candidate))
                if is_link && !names(&root, &candidate) =>
            {
                self.use_candidate(link, candidate)
            }
            (MountContent::Repo { root, back, .. }, _) => self.found(root, Some(link), back),
            (MountContent::Nothing { .. }, Some(candidate)) => self.use_candidate(link, candidate),
            (MountContent::Nothing { empty }, None) => Located::Nothing(Nothing {
                link: Some(link),
                back: Some(MOUNT.into()),
                empty,
            }),
        })
    }

    /// Examines a home's `mount`.
    fn examine_mount(&self, home: &Path) -> MountContent {
        let mounted = home.join(MOUNT);
        let back = PathBuf::from(MOUNT);
        match fs::symlink_metadata(&mounted) {
            Ok(meta) if meta.is_dir() => {
                // If the mount points are unknown, any content counts as mounted.
                let is_mounted = self.points.as_ref().map_or(true, |points| points.has(&mounted));
                match self.examine_dir(&mounted, is_mounted) {
                    DirContent::Nothing => MountContent::Nothing { empty: Some(mounted) },
                    DirContent::Below(name) => MountContent::Repo {
                        root: mounted.join(&name),
                        back: back.join(&name),
                        is_link: false,
                    },
                    DirContent::Repo => MountContent::Repo {
                        root: mounted,
                        back,
                        is_link: false,
                    },
                }
            }
            Ok(meta) if meta.is_symlink() => {
                match fs::canonicalize(&mounted).ok().filter(|root| root.is_dir()) {
                    Some(root) => MountContent::Repo {
                        root,
                        back,
                        is_link: true,
                    },
                    None => MountContent::Nothing { empty: None },
                }
            }
            _ => MountContent::Nothing { empty: None },
        }
    }

    /// Examines a directory that may not be a mount point.
    fn examine_dir(&self, mounted: &Path, is_mounted: bool) -> DirContent {
        if is_mounted {
            return DirContent::Repo;
        }
        // A directory that cannot be listed counts as filled.
        let Ok(mut entries) = fs::read_dir(mounted) else {
            return DirContent::Repo;
        };
        let (first, second) = (entries.next(), entries.next());
        match (first, second) {
            (None, _) => DirContent::Nothing,
            (Some(Ok(alone)), None)
                if !self.has_environment(mounted) && self.has_environment(&alone.path()) =>
            {
                DirContent::Below(alone.file_name())
            }
            _ => DirContent::Repo,
        }
    }

    fn has_environment(&self, dir: &Path) -> bool {
        let environment = self.places.environment.filter(|name| !name.is_empty());
        environment.is_some_and(|name| dir.join(name).is_dir())
    }

    fn candidate(&self) -> Option<PathBuf> {
        let dirs = || self.places.candidates.iter().filter(|path| path.is_dir());
        dirs()
            .find(|dir| self.has_environment(dir))
            .or_else(|| dirs().next())
            .map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone()))
    }

    /// Uses the candidate in place of the mount.
    fn use_candidate(&self, link: Link, candidate: PathBuf) -> Located {
        let root = fs::canonicalize(&candidate).unwrap_or_else(|_| candidate.clone());
        Located::Repo(Mount {
            candidate: Some(candidate),
            ..self.mount(root, Some(link), MOUNT.into())
        })
    }
}

/// The content of a home's `mount`.
enum MountContent {
    /// An operations repo, and the target that `active` gets to show it.
    Repo {
        root: PathBuf,
        back: PathBuf,
        /// Whether `mount` is a link.
        is_link: bool,
    },
    /// No operations repo.
    Nothing {
        /// The path of an empty directory that is not a mount point.
        empty: Option<PathBuf>,
    },
}

/// The content of a directory that is not a mount point.
enum DirContent {
    /// It is empty.
    Nothing,
    /// The operations repo as the only directory, as after `docker cp DIR
    /// C:/opt/bitops_deployment`.
    Below(std::ffi::OsString),
    /// The operations repo itself.
    Repo,
}

fn nothing(link: Option<Link>, back: Option<PathBuf>) -> Located {
    Located::Nothing(Nothing {
        link,
        back,
        empty: None,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::io(Action::Find, path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use compose_model::Cause as _;

    use super::*;
    use crate::{
        Settled, image,
        testing::{located, repo},
    };

    struct Image {
        root: tempfile::TempDir,
        home: PathBuf,
        ops: PathBuf,
    }

    fn installed() -> Image {
        let root = tempfile::tempdir().unwrap();
        image::install(root.path()).unwrap();
        let home = fs::canonicalize(root.path().join("opt/bitops-compose")).unwrap();
        let ops = root.path().join("opt/bitops_deployment");
        Image { root, home, ops }
    }

    impl Image {
        fn dir(&self, path: &str) -> PathBuf {
            let path = fs::canonicalize(self.root.path()).unwrap().join(path);
            fs::create_dir_all(&path).unwrap();
            path
        }

        fn dev(&self) -> Located {
            located(&self.ops, &self.home, Some("dev"), &[]).unwrap()
        }

        fn repo(&self, candidates: &[PathBuf]) -> Mount {
            repo(&self.ops, &self.home, Some("dev"), candidates)
        }

        fn active(&self) -> PathBuf {
            fs::read_link(self.home.join("active")).unwrap()
        }
    }

    #[test]
    fn an_empty_mount_is_removed_so_that_the_pipeline_finds_no_path() {
        let image = installed();
        let Located::Nothing(nothing) = image.dev() else {
            panic!()
        };
        assert_eq!(nothing.settle().unwrap(), Settled::Done);
        assert!(!image.ops.exists());
        // Settling again does no harm, and a mount that appears later is found.
        let Located::Nothing(nothing) = image.dev() else {
            panic!()
        };
        nothing.settle().unwrap();
        image.dir("opt/bitops-compose/mount/dev");
        assert_eq!(image.repo(&[]).root(), image.home.join("mount"));
        assert!(image.ops.join("dev").is_dir());
    }

    #[test]
    fn a_single_directory_with_the_environment_is_the_operations_repo() {
        let image = installed();
        image.dir("opt/bitops-compose/mount/checkout/dev");
        let mount = image.repo(&[]);
        assert_eq!(mount.root(), image.home.join("mount/checkout"));
        mount.settle().unwrap();
        assert_eq!(image.active(), Path::new("mount/checkout"));
        assert!(image.ops.join("dev").is_dir());
        // It is found through the switched link as well.
        assert_eq!(image.repo(&[]).root(), mount.root());
        // It does not count if there are others, or without the environment.
        let other = repo(&image.ops, &image.home, Some("prod"), &[]);
        assert_eq!(other.root(), image.home.join("mount"));
        image.dir("opt/bitops-compose/mount/dev");
        let mount = image.repo(&[]);
        assert_eq!(mount.root(), image.home.join("mount"));
        mount.settle().unwrap();
        assert_eq!(image.active(), Path::new("mount"));
    }

    #[test]
    fn a_candidate_replaces_a_missing_mount_and_another_candidate() {
        let image = installed();
        for name in ["a", "b", "c"] {
            image.dir(&format!("work/{name}"));
        }
        let (a, b) = (image.dir("work/a"), image.dir("work/b"));
        image.dir("work/b/dev");
        // The one with the environment is used, otherwise the first.
        assert_eq!(image.repo(&[a.clone(), b.clone()]).root(), b);
        let first = [image.root.path().join("nowhere"), a.clone(), image.dir("work/c")];
        assert_eq!(image.repo(&first).root(), a);
        image.dir("work/a/dev");
        for candidate in [&a, &b, &b, &a] {
            let mount = image.repo(std::slice::from_ref(candidate));
            assert_eq!(mount.root(), candidate);
            mount.settle().unwrap();
            assert_eq!(fs::canonicalize(&image.ops).unwrap(), *candidate);
            assert_eq!(image.active(), Path::new("mount"));
        }
        // A later run without candidates finds it, too.
        assert_eq!(image.repo(&[]).root(), a);
        // A removed candidate is not found.
        fs::remove_dir_all(&a).unwrap();
        assert!(matches!(image.dev(), Located::Nothing(_)));
    }

    #[test]
    fn an_existing_mount_takes_precedence_over_a_candidate() {
        let image = installed();
        image.dir("opt/bitops-compose/mount/dev");
        let candidate = image.dir("work");
        image.dir("work/dev");
        let mount = image.repo(&[candidate]);
        assert_eq!(mount.root(), image.home.join("mount"));
        mount.settle().unwrap();
        assert!(fs::symlink_metadata(image.home.join("mount")).unwrap().is_dir());
    }

    #[test]
    fn two_spellings_of_a_home_are_the_same_home() {
        let image = installed();
        image.dir("opt/bitops-compose/mount/dev");
        symlink(&image.home, image.root.path().join("other")).unwrap();
        let other = image.root.path().join("other");
        for ops in [&image.ops, &image.home.join("active"), &other.join("active")] {
            for home in [&image.home, &other] {
                let mount = repo(ops, home, None, &[]);
                assert_eq!(mount.root(), image.home.join("mount"));
                assert_eq!(mount.home(), image.home);
                assert_eq!(mount.link().unwrap().path(), image.home.join("active"));
            }
        }
    }

    #[test]
    fn a_path_into_a_composition_is_mapped_to_the_users_repo() {
        let f = crate::testing::fixture(&["dev/x", "prod/x"]);
        let switched = f.switched(&["dev/y"]);
        let tree = switched.manifest().with_file_name("tree");
        for (path, users) in [
            (f.ops_repo(), f.users()),
            (f.mount.home().join("active"), f.users()),
            (f.ops_repo().join("dev"), f.users().join("dev")),
            (tree.join("dev/y"), f.users().join("dev/y")),
            (tree.clone(), f.users()),
        ] {
            assert_eq!(users_path(&path), users, "{}", path.display());
        }
        // A path in the user's repo is returned as written.
        let prod = f.ops_repo().join("prod");
        assert_eq!(users_path(&prod), prod);
        drop(switched);
        assert_eq!(users_path(&f.ops_repo()), f.ops_repo());
    }

    #[test]
    fn a_missing_link_of_a_home_is_created() {
        let image = installed();
        image.dir("opt/bitops-compose/mount/dev");
        fs::remove_file(image.home.join("active")).unwrap();
        image.repo(&[]).settle().unwrap();
        assert!(image.ops.join("dev").is_dir());
    }

    #[test]
    fn a_directory_cannot_be_switched() {
        let dir = tempfile::tempdir().unwrap();
        let mount = repo(dir.path(), &dir.path().join("home"), None, &[]);
        assert!(matches!(mount.check_switchable(), Err(Error::NotALink { .. })));
        assert_eq!(mount.settle().unwrap(), Settled::Done);
        assert!(!dir.path().join("home").exists());
    }

    #[test]
    fn a_link_to_a_removed_composition_is_repaired_or_reported() {
        let image = installed();
        image.dir("opt/bitops-compose/mount/dev");
        let active = image.home.join("active");
        fs::remove_file(&active).unwrap();
        symlink("composition.gone/tree", &active).unwrap();
        // A home knows its mount.
        image.repo(&[]).settle().unwrap();
        assert_eq!(image.active(), Path::new("mount"));
        // The earlier target of a user's own link is unknown.
        let ops = image.root.path().join("ops");
        symlink(image.home.join("composition.gone/tree"), &ops).unwrap();
        let error = located(&ops, &image.dir("elsewhere"), None, &[]).unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error}");
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("point it to your operations repo again: ln -sfn DIR ")
        );
    }

    #[test]
    fn an_old_composition_is_not_deployed_without_an_operations_repo() {
        let f = crate::testing::fixture(&["dev/x"]);
        let mut words = f.switched(&["dev/y"]).into_words().unwrap();
        // The directory is replaced, so that no process holds it, as after a kill.
        let composition = PathBuf::from(words.remove(1));
        let aside = composition.with_file_name("aside");
        fs::create_dir(&aside).unwrap();
        for name in ["tree", "staged"] {
            fs::rename(composition.join(name), aside.join(name)).unwrap();
        }
        fs::remove_dir_all(&composition).unwrap();
        fs::rename(&aside, &composition).unwrap();
        assert!(f.ops_repo().join("dev/y").exists());
        fs::remove_dir_all(f.users()).unwrap();
        let Located::Nothing(nothing) = located(&f.ops_repo(), f.mount.home(), None, &[]).unwrap() else {
            panic!()
        };
        nothing.settle().unwrap();
        assert!(!f.ops_repo().exists());
    }
}
