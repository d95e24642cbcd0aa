//! Where the user's operations repo is, and which link the pipeline follows to it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{Access, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{Error, mountinfo::MountPoints};

/// The link below the home that is switched.
const ACTIVE: &str = "active";
/// The name below the home where the user's operations repo is mounted.
const MOUNT: &str = "mount";
/// What the names of compositions below the home start with.
pub(crate) const COMPOSITION: &str = "composition.";
/// The composed operations repo below a composition's directory.
pub(crate) const TREE: &str = "tree";

/// The user's operations repo as found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    home: PathBuf,
    root: PathBuf,
    switch: Switch,
}

/// How the pipeline is moved to a composition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Switch {
    /// `<home>/active`, as in the image.
    Active,
    /// The operations repo's path is a link of its own, outside of an image.
    Link(PathBuf),
    /// It is a directory: there is nothing to switch.
    Nothing(PathBuf),
}

impl Mount {
    /// Finds the operations repo that `ops_repo` (where the pipeline looks) leads to.
    ///
    /// `workspace` is `$GITHUB_WORKSPACE`: where nothing is mounted it takes the mount's place. `Ok(None)`: there is
    /// no operations repo at all, and the pipeline has its own message for that.
    ///
    /// Besides that link to the workspace this writes in one more case: a container that is *started again*. The
    /// runtime resolves the mount's destination anew, through the link that the last run switched, so the user's
    /// repo (or a directory of it) now lies on top of the last composition and not on `mount`.
    pub fn locate(ops_repo: &Path, home: &Path, workspace: Option<&Path>) -> Result<Option<Self>, Error> {
        let ops_repo = absolute(ops_repo)?;
        let home = absolute(home)?;
        let mounted = home.join(MOUNT);
        // Before anything else: what can be seen then may be an empty directory, which the pipeline would deploy.
        let points = MountPoints::read();
        if let Ok(points) = &points
            && let Ok(home) = fs::canonicalize(&home)
            && let Some(path) = points.hidden_below(&home)
        {
            return Err(Error::Hidden {
                path: path.to_owned(),
            });
        }
        let switch = Switch::of(&ops_repo, &home);
        let found = |root: PathBuf, switch: Switch| {
            Ok(Some(Self {
                home: home.clone(),
                root,
                switch,
            }))
        };
        if let Ok(target) = fs::canonicalize(&ops_repo)
            && target.is_dir()
        {
            if !is_composition(&target, &home) {
                let same = fs::canonicalize(&mounted).is_ok_and(|mounted| mounted == target);
                return found(if same { mounted } else { target }, switch);
            }
            let points = points.map_err(Error::io("read", "/proc/self/mountinfo"))?;
            if let Some(root) = mounted_on_compositions(&home, &points)? {
                return found(root, switch);
            }
        }
        if mounted.is_dir() {
            return found(mounted, switch);
        }
        if let Some(workspace) = workspace.filter(|path| path.is_dir()) {
            replace_link(workspace, &mounted)?;
            if fs::symlink_metadata(home.join(ACTIVE)).is_err() {
                replace_link(Path::new(MOUNT), &home.join(ACTIVE))?;
            }
            return found(mounted, switch);
        }
        Ok(None)
    }

    /// The user's operations repo. Nothing is ever written below it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that holds compositions.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Fails when there is no link that could be switched, or none can be put in its place; better known before
    /// anything is fetched.
    pub fn check_switchable(&self) -> Result<(), Error> {
        let link = self.link()?;
        match rustix::fs::access(link.parent().unwrap_or(Path::new("/")), Access::WRITE_OK) {
            Err(error @ (Errno::ROFS | Errno::ACCESS)) => Err(Error::io("switch", link)(error.into())),
            // What else is wrong is told better by what needs it.
            _ => Ok(()),
        }
    }

    /// The link that is switched.
    fn link(&self) -> Result<PathBuf, Error> {
        match &self.switch {
            Switch::Active => Ok(self.home.join(ACTIVE)),
            Switch::Link(path) => Ok(path.clone()),
            Switch::Nothing(path) => Err(Error::NotALink { path: path.clone() }),
        }
    }

    /// Lets the pipeline see the user's operations repo as it is, and removes what earlier runs left:
    /// a restarted container may still point to its last composition.
    pub fn reset(&self) -> Result<(), Error> {
        let Ok(link) = self.link() else {
            return Ok(());
        };
        let in_home = self.root == self.home.join(MOUNT) && link.starts_with(&self.home);
        // A file system mounted over the home has no link yet.
        let missing = in_home && fs::symlink_metadata(&link).is_err();
        let names_root =
            fs::canonicalize(&link).is_ok_and(|at| fs::canonicalize(&self.root).is_ok_and(|root| root == at));
        if missing || (!names_root && self.names_composition(&link)) {
            replace_link(if in_home { Path::new(MOUNT) } else { &self.root }, &link)?;
        }
        self.remove_old();
        Ok(())
    }

    /// Is it a link to a composition, there or gone?
    fn names_composition(&self, link: &Path) -> bool {
        fs::read_link(link).is_ok_and(|target| {
            let target = link.parent().unwrap_or(Path::new("/")).join(target);
            target.strip_prefix(&self.home).is_ok_and(starts_as_composition)
        })
    }

    /// Removes compositions that no living process holds (a run keeps a lock on its own through the exec).
    ///
    /// One that is, or holds, a mount point stays: removing it would remove the user's files through the mount.
    /// That something stays is no reason to fail a run.
    pub fn remove_old(&self) {
        let Ok(entries) = fs::read_dir(&self.home) else {
            return;
        };
        let old = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(COMPOSITION));
        let mut old = old.map(|entry| entry.path()).peekable();
        if old.peek().is_none() {
            return;
        }
        let (Ok(points), Ok(home)) = (MountPoints::read(), fs::canonicalize(&self.home)) else {
            return;
        };
        for path in old {
            let real = home.join(path.file_name().unwrap_or_default());
            let mounted = points.within(&real).next().is_some();
            let free = rustix::fs::open(
                &path,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .is_ok_and(|dir| rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok());
            if mounted || !free || self.root.starts_with(&path) {
                tracing::debug!(path = %path.display(), mounted, "an earlier composition is in use");
                continue;
            }
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::debug!(path = %path.display(), %error, "an earlier composition stays");
            }
        }
    }

    /// Switches the pipeline to `tree` with one rename.
    pub(crate) fn switch_to(&self, tree: &Path) -> Result<(), Error> {
        match &self.switch {
            Switch::Active => {
                let target = tree.strip_prefix(&self.home).unwrap_or(tree);
                replace_link(target, &self.home.join(ACTIVE))
            }
            Switch::Link(link) => {
                // The next run must find the user's repo behind a link that no longer names it.
                let mounted = self.home.join(MOUNT);
                if self.root != mounted {
                    replace_link(&self.root, &mounted)?;
                }
                replace_link(tree, link)
            }
            Switch::Nothing(path) => Err(Error::NotALink { path: path.clone() }),
        }
    }
}

/// Where the user's repo is when a container was started again (see [`Mount::locate`]): at a composition's tree itself,
/// or, where only parts of it are mounted, in a new directory of links that puts the parts together.
///
/// The parts may lie on different compositions: what the last one had not changed was a link into an earlier one.
fn mounted_on_compositions(home: &Path, points: &MountPoints) -> Result<Option<PathBuf>, Error> {
    let home = fs::canonicalize(home).map_err(Error::io("find", home))?;
    let part = |point: &Path| {
        let mut below = point.strip_prefix(&home).ok()?.components();
        let on_tree = starts_as_composition(Path::new(below.next()?.as_os_str()))
            && below.next()? == Component::Normal(TREE.as_ref());
        on_tree.then(|| (below.as_path().to_owned(), point.to_owned()))
    };
    let parts: Parts = points.within(&home).filter_map(part).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    if let Some(whole) = parts.get(Path::new("")) {
        return Ok(Some(whole.clone()));
    }
    let base = tempfile::Builder::new()
        .prefix(COMPOSITION)
        .tempdir_in(&home)
        .map_err(Error::io("create", home.join(COMPOSITION)))?
        .keep();
    assemble(&home.join(MOUNT), &base, &parts)?;
    Ok(Some(base))
}

/// Mount points by their path in the operations repo.
type Parts = BTreeMap<PathBuf, PathBuf>;

/// Fills the directory `to` with links to the parts, and to everything else that is in `from`.
fn assemble(from: &Path, to: &Path, parts: &Parts) -> Result<(), Error> {
    let mut below: BTreeMap<OsString, Parts> = BTreeMap::new();
    for (path, point) in parts {
        let mut rest = path.components();
        if let Some(name) = rest.next() {
            let parts = below.entry(name.as_os_str().to_owned()).or_default();
            parts.insert(rest.as_path().to_owned(), point.clone());
        }
    }
    let link = |target: &Path, link: &Path| symlink(target, link).map_err(Error::io("link", link));
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if !below.contains_key(&entry.file_name()) {
            link(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    for (name, parts) in below {
        let to = to.join(&name);
        if let Some(point) = parts.get(Path::new("")) {
            link(point, &to)?;
        } else {
            fs::create_dir(&to).map_err(Error::io("create", &to))?;
            assemble(&from.join(&name), &to, &parts)?;
        }
    }
    Ok(())
}

impl Switch {
    fn of(ops_repo: &Path, home: &Path) -> Self {
        let active = home.join(ACTIVE);
        if same_place(ops_repo, &active) {
            return Self::Active;
        }
        match fs::read_link(ops_repo) {
            Ok(target)
                if same_place(
                    &ops_repo.parent().unwrap_or(Path::new("/")).join(&target),
                    &active,
                ) =>
            {
                Self::Active
            }
            Ok(_) => Self::Link(ops_repo.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::Link(ops_repo.to_owned()),
            Err(_) => Self::Nothing(ops_repo.to_owned()),
        }
    }
}

/// Do two paths name the same directory entry? Their last component is not followed.
fn same_place(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
        parent.zip(path.file_name().map(ToOwned::to_owned))
    };
    a == b || place(a).is_some_and(|a| Some(a) == place(b))
}

fn is_composition(path: &Path, home: &Path) -> bool {
    fs::canonicalize(home).is_ok_and(|home| path.strip_prefix(home).is_ok_and(starts_as_composition))
}

fn starts_as_composition(below_home: &Path) -> bool {
    matches!(below_home.components().next(), Some(Component::Normal(name)) if name.to_string_lossy().starts_with(COMPOSITION))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::io("find", path))
}

/// Makes `link` point to `target` at once, whatever stood there (a link or nothing).
pub(crate) fn replace_link(target: &Path, link: &Path) -> Result<(), Error> {
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let dir = link.parent().unwrap_or(Path::new("/"));
    // A random name: process ids repeat in containers. The guard removes the link aside when the rename fails.
    let aside = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .make_in(dir, |path| symlink(target, path))
        .map_err(Error::io("create", link))?
        .into_temp_path();
    fs::rename(&aside, link).map_err(Error::io("switch", link))?;
    // It has the link's name now.
    let _ = aside.keep();
    Ok(())
}

/// Makes the layout of an image below `root` (`/` in a Dockerfile).
///
/// - `<root>/opt/bitops-compose`: every user may write it, and it is not sticky, since the link in it is
///   replaced by whatever user the container runs as;
/// - `<root>/opt/bitops-compose/active -> mount`, and no `mount`: a container runtime makes it where one is mounted;
/// - `<root>/opt/bitops_deployment -> bitops-compose/active`; an empty directory there is replaced;
/// - `<root>/var/cache/bitops-compose`: the object cache, writable for every user.
pub fn install(root: &Path) -> Result<(), Error> {
    let home = root.join("opt/bitops-compose");
    let ops_repo = root.join("opt/bitops_deployment");
    let cache = root.join("var/cache/bitops-compose");
    for dir in [&home, &cache] {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o777))
            .map_err(Error::io("open to every user", dir))?;
    }
    replace_link(Path::new(MOUNT), &home.join(ACTIVE))?;
    if fs::symlink_metadata(&ops_repo).is_ok_and(|meta| meta.is_dir()) {
        // Not recursively: an image that brings an operations repo keeps it, and is told.
        fs::remove_dir(&ops_repo).map_err(Error::io("replace", &ops_repo))?;
    }
    replace_link(Path::new("bitops-compose/active"), &ops_repo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        install(root.path()).unwrap();
        let home = root.path().join("opt/bitops-compose");
        let ops = root.path().join("opt/bitops_deployment");
        (root, home, ops)
    }

    #[test]
    fn the_layout_leads_to_the_mount_and_is_made_again_without_harm() {
        let (root, home, ops) = image();
        fs::create_dir_all(home.join("mount/dev")).unwrap();
        install(root.path()).unwrap();
        assert!(ops.join("dev").is_dir());
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o7777, 0o777);
        let mount = Mount::locate(&ops, &home, None).unwrap().unwrap();
        assert_eq!(
            (mount.root(), &mount.switch),
            (home.join("mount").as_path(), &Switch::Active)
        );
    }

    #[test]
    fn an_operations_repo_in_the_image_is_not_thrown_away() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("opt/bitops_deployment/dev")).unwrap();
        assert!(matches!(
            install(root.path()),
            Err(Error::Io {
                action: "replace",
                ..
            })
        ));
        assert!(root.path().join("opt/bitops_deployment/dev").is_dir());
    }

    #[test]
    fn without_a_mount_there_is_nothing_and_the_workspace_takes_its_place() {
        let (_root, home, ops) = image();
        assert_eq!(Mount::locate(&ops, &home, None).unwrap(), None);
        let workspace = tempfile::tempdir().unwrap();
        fs::create_dir(workspace.path().join("dev")).unwrap();
        let mount = Mount::locate(&ops, &home, Some(workspace.path()))
            .unwrap()
            .unwrap();
        assert_eq!(mount.root(), home.join("mount"));
        assert!(ops.join("dev").is_dir());
    }

    #[test]
    fn a_link_of_its_own_is_switched_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let (repo, ops, home) = (
            dir.path().join("repo"),
            dir.path().join("ops"),
            dir.path().join("home"),
        );
        fs::create_dir_all(repo.join("dev")).unwrap();
        fs::create_dir_all(home.join("composition.1/tree")).unwrap();
        symlink(&repo, &ops).unwrap();
        let repo = fs::canonicalize(repo).unwrap();
        let mount = Mount::locate(&ops, &home, None).unwrap().unwrap();
        assert_eq!(mount.root(), repo);
        mount.switch_to(&home.join("composition.1/tree")).unwrap();
        assert!(!ops.join("dev").exists());
        let again = Mount::locate(&ops, &home, None).unwrap().unwrap();
        assert_eq!(again.root(), home.join("mount"));
        assert!(again.root().join("dev").is_dir());
        again.reset().unwrap();
        assert!(ops.join("dev").is_dir());
        assert!(!home.join("composition.1").exists());
    }

    #[test]
    fn a_container_started_again_finds_the_mount_on_its_last_compositions() {
        let (_root, home, _) = image();
        let home = fs::canonicalize(home).unwrap();
        for file in ["dev/x", "dev/y", "_scripts/z"] {
            let path = home.join("mount").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |points: &[&str]| {
            let line = |point: &&str| format!("1 1 0:1 / {} rw - x x rw\n", home.join(point).display());
            let text: String = points.iter().map(line).collect();
            mounted_on_compositions(&home, &MountPoints::parse(text.as_bytes())).unwrap()
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["mount", "composition.a/other"]), None);
        let whole = found(&["composition.a/tree", "composition.a/tree/dev"]);
        assert_eq!(whole, Some(home.join("composition.a/tree")));

        let base = found(&[
            "composition.a/tree/dev/x",
            "composition.b/tree/new/n",
            "mount/_scripts",
        ])
        .unwrap();
        let link = |path: &str| fs::read_link(base.join(path)).unwrap();
        assert_eq!(link("dev/x"), home.join("composition.a/tree/dev/x"));
        assert_eq!(link("dev/y"), home.join("mount/dev/y"));
        assert_eq!(link("new/n"), home.join("composition.b/tree/new/n"));
        assert_eq!(link("_scripts"), home.join("mount/_scripts"));
    }

    #[test]
    fn a_home_without_a_link_gets_one() {
        let (_root, home, ops) = image();
        fs::create_dir_all(home.join("mount/dev")).unwrap();
        fs::remove_file(home.join("active")).unwrap();
        Mount::locate(&ops, &home, None)
            .unwrap()
            .unwrap()
            .reset()
            .unwrap();
        assert!(ops.join("dev").is_dir());
    }

    #[test]
    fn a_directory_cannot_be_switched() {
        let dir = tempfile::tempdir().unwrap();
        let mount = Mount::locate(dir.path(), &dir.path().join("home"), None)
            .unwrap()
            .unwrap();
        assert!(matches!(mount.check_switchable(), Err(Error::NotALink { .. })));
        assert!(!dir.path().join("home").exists());
    }

    #[test]
    fn a_restarted_container_forgets_its_last_composition() {
        let (_root, home, ops) = image();
        fs::create_dir_all(home.join("mount/dev")).unwrap();
        for gone in [false, true] {
            fs::create_dir_all(home.join("composition.x/tree")).unwrap();
            let mount = Mount::locate(&ops, &home, None).unwrap().unwrap();
            mount.switch_to(&home.join("composition.x/tree")).unwrap();
            if gone {
                fs::remove_dir_all(home.join("composition.x")).unwrap();
            }
            let mount = Mount::locate(&ops, &home, None).unwrap().unwrap();
            mount.reset().unwrap();
            assert_eq!(fs::read_link(home.join("active")).unwrap(), Path::new("mount"));
            assert!(!home.join("composition.x").exists());
        }
    }
}
