//! Installs the directory layout of an image.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    Action, Error, link,
    names::{ACTIVE, MOUNT},
};

/// Creates the directory layout of an image below `root` (`/` in a Dockerfile).
///
/// - `<root>/opt/bitops-compose`: writable for every user, and not sticky, because the user that the
///   container runs as replaces the link in it;
/// - `<root>/opt/bitops-compose/mount`: an empty directory, writable for every user, into which users
///   mount, copy or clone;
/// - `<root>/opt/bitops-compose/active -> mount`;
/// - `<root>/opt/bitops_deployment -> bitops-compose/active`, which replaces an empty directory;
/// - `<root>/var/cache/bitops-compose`: the object cache, writable for every user, and sticky: no user
///   can replace what another one fetched.
pub fn install(root: &Path) -> Result<(), Error> {
    let home = root.join("opt/bitops-compose");
    let ops_repo = root.join("opt/bitops_deployment");
    let cache = root.join("var/cache/bitops-compose");
    let mount = home.join(MOUNT);
    let has_mount = fs::symlink_metadata(&mount).is_ok();
    make_open(&home, 0o777)?;
    make_open(&cache, 0o1777)?;
    if !has_mount {
        make_open(&mount, 0o777)?;
    }
    link::replace(Path::new(MOUNT), &home.join(ACTIVE), &home.join(".active.new"))?;
    if fs::symlink_metadata(&ops_repo).is_ok_and(|meta| meta.is_dir()) {
        // Not recursively: an operations repo that the image brings is kept, and reported as an
        // error.
        fs::remove_dir(&ops_repo).map_err(Error::io(Action::Replace, &ops_repo))?;
    }
    link::replace(
        Path::new("bitops-compose/active"),
        &ops_repo,
        &root.join("opt/.bitops_deployment.new"),
    )
}

/// Creates a directory that every user may write to, whatever the umask.
fn make_open(dir: &Path, mode: u32) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::io(Action::Create, dir))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode))
        .map_err(Error::io(Action::OpenToEveryUser, dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_has_an_empty_mount_and_can_be_installed_again() {
        let root = tempfile::tempdir().unwrap();
        install(root.path()).unwrap();
        let home = root.path().join("opt/bitops-compose");
        let ops_repo = root.path().join("opt/bitops_deployment");
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&home), mode(&home.join("mount"))), (0o777, 0o777));
        assert_eq!(mode(&root.path().join("var/cache/bitops-compose")), 0o1777);
        assert_eq!(fs::read_dir(&ops_repo).unwrap().count(), 0);
        // Existing directories keep their mode and content.
        fs::create_dir(ops_repo.join("dev")).unwrap();
        fs::set_permissions(home.join("mount"), fs::Permissions::from_mode(0o750)).unwrap();
        install(root.path()).unwrap();
        assert!(ops_repo.join("dev").is_dir());
        assert_eq!(mode(&home.join("mount")), 0o750);
        let mut names: Vec<_> = fs::read_dir(&home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["active", "mount"]);
    }

    #[test]
    fn an_operations_repo_in_the_image_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("opt/bitops_deployment/dev")).unwrap();
        assert!(matches!(
            install(root.path()),
            Err(Error::Io {
                action: Action::Replace,
                ..
            })
        ));
        assert!(root.path().join("opt/bitops_deployment/dev").is_dir());
    }
}
