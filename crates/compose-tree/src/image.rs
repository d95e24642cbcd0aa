//! The layout of an image.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    Error,
    link::{self, ACTIVE, MOUNT},
};

/// Makes the layout of an image below `root` (`/` in a Dockerfile).
///
/// - `<root>/opt/bitops-compose`: every user may write it, and it is not sticky, since the link in it is
///   replaced by whatever user the container runs as;
/// - `<root>/opt/bitops-compose/mount`: an empty directory that takes what a user mounts, copies or clones, as any user;
/// - `<root>/opt/bitops-compose/active -> mount`;
/// - `<root>/opt/bitops_deployment -> bitops-compose/active`; an empty directory there is replaced;
/// - `<root>/var/cache/bitops-compose`: the object cache, writable for every user.
pub fn install(root: &Path) -> Result<(), Error> {
    let home = root.join("opt/bitops-compose");
    let ops_repo = root.join("opt/bitops_deployment");
    let cache = root.join("var/cache/bitops-compose");
    let mount = home.join(MOUNT);
    let has_mount = fs::symlink_metadata(&mount).is_ok();
    for dir in [&home, &cache] {
        make_open(dir)?;
    }
    if !has_mount {
        make_open(&mount)?;
    }
    link::replace(Path::new(MOUNT), &home.join(ACTIVE), &home.join(".active.new"))?;
    if fs::symlink_metadata(&ops_repo).is_ok_and(|meta| meta.is_dir()) {
        // Not recursively: an image that brings an operations repo keeps it, and is told.
        fs::remove_dir(&ops_repo).map_err(Error::io("replace", &ops_repo))?;
    }
    link::replace(
        Path::new("bitops-compose/active"),
        &ops_repo,
        &root.join("opt/.bitops_deployment.new"),
    )
}

/// A directory that every user may write, whatever the umask.
fn make_open(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777)).map_err(Error::io("open to every user", dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_leads_to_an_empty_directory_and_is_made_again_without_harm() {
        let root = tempfile::tempdir().unwrap();
        install(root.path()).unwrap();
        let home = root.path().join("opt/bitops-compose");
        let ops_repo = root.path().join("opt/bitops_deployment");
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&home), mode(&home.join("mount"))), (0o777, 0o777));
        assert_eq!(fs::read_dir(&ops_repo).unwrap().count(), 0);
        // What is there keeps its mode and content.
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
}
