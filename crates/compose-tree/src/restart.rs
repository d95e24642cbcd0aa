//! Handles a container that is *restarted* after its last run was killed with a composition
//! switched in.
//!
//! The container engine resolves a mount's destination again, through the link as the killed run
//! left it. The user's repo (or a directory of it) is then mounted on that composition and not on
//! `mount`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    Action, Error,
    held::OwnDir,
    mountinfo::MountPoints,
    names::{COMPOSITION, MOUNT},
    record,
};

/// Returns the path of the user's repo in that case: a composition's tree, or, if only parts of the
/// repo are mounted, a new directory of links to the parts.
///
/// The parts may be mounted on different compositions: what the last one had not changed was a link
/// into an earlier one.
pub(crate) fn mounted_on_compositions(home: &Path, points: &MountPoints) -> Result<Option<PathBuf>, Error> {
    let part = |point: &Path| {
        let (composition, below) = record::composition_above(point)?;
        (composition.parent() == Some(home)).then(|| (below, point.to_owned()))
    };
    let parts: Parts = points.within(home).filter_map(part).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    if let Some(whole) = parts.get(Path::new("")) {
        return Ok(Some(whole.clone()));
    }
    let base = OwnDir::create(home, COMPOSITION)?;
    assemble(&home.join(MOUNT), &base.place(), &parts)?;
    Ok(Some(base.path().to_owned()))
}

/// Mount points by their path in the operations repo.
type Parts = BTreeMap<PathBuf, PathBuf>;

/// Fills the directory `to` with links to the parts and to everything else in `from`.
fn assemble(from: &Path, to: &Path, parts: &Parts) -> Result<(), Error> {
    let mut below: BTreeMap<OsString, Parts> = BTreeMap::new();
    for (path, point) in parts {
        let mut rest = path.components();
        if let Some(name) = rest.next() {
            let parts = below.entry(name.as_os_str().to_owned()).or_default();
            parts.insert(rest.as_path().to_owned(), point.clone());
        }
    }
    let link = |target: &Path, link: &Path| symlink(target, link).map_err(Error::io(Action::Link, link));
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
            fs::create_dir(&to).map_err(Error::io(Action::Create, &to))?;
            assemble(&from.join(&name), &to, &parts)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_repo_is_found_where_it_is_mounted_on_compositions() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
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
}
