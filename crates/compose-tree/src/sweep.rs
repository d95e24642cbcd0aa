//! Sweeps a composition: files that a pipeline wrote into it while it was switched in are moved to
//! the user's operations repo, where they would have been written without a composition.

mod report;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    Action, Error,
    held::OwnDir,
    moment::{self, Moment},
    names::{COMPOSITION, KEPT, TREE},
    record::{Listing, Record, StagedKind},
    relocate::{copy, relocate},
};

pub use report::{Sweep, Unmoved};

/// Moves and reports what was written into a composition. The tree itself stays.
///
/// Files that can be neither moved nor kept elsewhere, as on a full disk, stay in the composition,
/// which is then kept under the name that [`kept_name`] returns.
pub(crate) fn sweep(dir: &OwnDir, since: Moment) -> (Sweep, Rest) {
    let (composition, place) = (dir.path(), dir.place());
    let tree = place.join(TREE);
    let mut sweep = Sweep::default();
    match Record::read_all(&place) {
        Ok((record, listing)) => {
            let mut sweeper = Sweeper {
                composition,
                tree: &tree,
                root: &record.root,
                listing: &listing,
                since,
                elsewhere: None,
                rest: Rest::Nothing,
                sweep: &mut sweep,
            };
            sweeper.all();
            let rest = sweeper.rest;
            for unmoved in &mut sweep.failed {
                unmoved.error.name(&place, composition);
            }
            (sweep, rest)
        }
        Err(error) => {
            // It is unknown what was written into the composition.
            sweep.failed.push(Unmoved {
                path: PathBuf::from("."),
                error: Error::io(Action::ReadStaged, composition)(error),
                kept: Some(kept_name(composition).join(TREE)),
            });
            (sweep, Rest::Unmoved)
        }
    }
}

/// What a composition still holds after it was swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing of value.
    Nothing,
    /// Files that could not be moved or kept elsewhere.
    Unmoved,
}

/// Returns the name of a composition that keeps files: a rename needs no space, and no later run
/// removes it.
pub(crate) fn kept_name(composition: &Path) -> PathBuf {
    let name = composition.file_name().unwrap_or_default().to_string_lossy();
    composition.with_file_name(format!("{KEPT}{}", name.trim_start_matches(COMPOSITION)))
}

struct Sweeper<'a> {
    /// The composition's name.
    composition: &'a Path,
    /// The tree as it is reached: see [`OwnDir::place`].
    tree: &'a Path,
    root: &'a Path,
    listing: &'a Listing,
    since: Moment,
    /// The directory beside the compositions that keeps files that could not be moved, once it
    /// exists.
    elsewhere: Option<OwnDir>,
    rest: Rest,
    sweep: &'a mut Sweep,
}

impl Sweeper<'_> {
    fn all(&mut self) {
        // Removed paths are collected first: a link of the composition under another name is then
        // recognized as moved.
        let mut strays = Vec::new();
        for (dir, staged) in self.listing {
            let path = self.tree.join(dir);
            match fs::symlink_metadata(&path) {
                // Its replacement was found in the directory above.
                Ok(meta) if !meta.is_dir() => {}
                Err(_) => {}
                Ok(_) => self.compare_dir(dir, &path, staged, &mut strays),
            }
        }
        for path in strays {
            match self.take(&path) {
                Ok(()) => self.sweep.moved.push(path),
                Err(error) => self.fail(path, error),
            }
        }
    }

    /// Compares one directory with what was staged in it.
    fn compare_dir(
        &mut self,
        dir: &Path,
        path: &Path,
        staged: &BTreeMap<OsString, StagedKind>,
        strays: &mut Vec<PathBuf>,
    ) {
        let mut missing: Vec<&OsString> = Vec::new();
        for (name, kind) in staged {
            match fs::symlink_metadata(path.join(name)) {
                Ok(now) => match kind {
                    StagedKind::Directory if now.is_dir() => {}
                    StagedKind::File if now.is_file() && !self.is_later(&now) => {}
                    StagedKind::Users
                        if now.is_symlink() && (!self.is_later(&now) || self.is_staged(dir, name)) => {}
                    // The user's file was edited as by `sed -i`: a new file replaced the link.
                    StagedKind::Users => strays.push(dir.join(name)),
                    StagedKind::Directory | StagedKind::File => self.sweep.changed.push(dir.join(name)),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(name),
                Err(error) => {
                    let error = Error::io(Action::Read, path.join(name))(error);
                    self.fail(dir.join(name), error);
                }
            }
        }
        self.sweep
            .removed
            .extend(missing.into_iter().map(|name| dir.join(name)));
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => {
                let error = Error::io(Action::List, path)(error);
                return self.fail(dir.to_owned(), error);
            }
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut new: Vec<PathBuf> = names
            .filter(|name| !staged.contains_key(name))
            .map(|name| dir.join(name))
            .collect();
        new.sort();
        strays.append(&mut new);
    }

    /// Returns whether a link still has its staged target: the user's own path, or the target of
    /// the user's own link.
    fn is_staged(&self, dir: &Path, name: &OsString) -> bool {
        let users = self.root.join(dir).join(name);
        let again = fs::read_link(&users).ok();
        fs::read_link(self.tree.join(dir).join(name))
            .is_ok_and(|target| target == users || again.is_some_and(|again| again == target))
    }

    fn is_later(&self, meta: &fs::Metadata) -> bool {
        moment::changed(meta) > self.since
    }

    /// Moves one path to the user's repo.
    fn take(&mut self, path: &Path) -> Result<(), Error> {
        let (from, to) = (self.tree.join(path), self.root.join(path));
        self.make_parents(path)?;
        let Some(users) = self.named_users(&from) else {
            return relocate(&from, &to, self.since);
        };
        // A link of the composition under another name: the user moved or copied their own file.
        let own = self.root.join(&users);
        if let Some(index) = self.sweep.removed.iter().position(|removed| *removed == users) {
            relocate(&own, &to, self.since)?;
            self.sweep.removed.remove(index);
            return Ok(());
        }
        let meta = fs::metadata(&own).map_err(Error::io(Action::Read, &own))?;
        copy(&own, &to, &meta)
    }

    /// Returns the user's path that a link of the composition leads to.
    fn named_users(&self, link: &Path) -> Option<PathBuf> {
        let target = fs::read_link(link).ok()?;
        let users = target.strip_prefix(self.root).ok()?;
        let dir = self.listing.get(users.parent()?)?;
        (dir.get(users.file_name()?) == Some(&StagedKind::Users)).then(|| users.to_owned())
    }

    /// Creates the directories above a path in the user's repo, with their modes in the
    /// composition.
    fn make_parents(&self, path: &Path) -> Result<(), Error> {
        let above: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|above| !above.as_os_str().is_empty())
            .collect();
        for dir in above.into_iter().rev() {
            let to = self.root.join(dir);
            match fs::create_dir(&to) {
                Ok(()) => {
                    if let Ok(meta) = fs::metadata(self.tree.join(dir)) {
                        fs::set_permissions(&to, meta.permissions())
                            .map_err(Error::io(Action::Create, &to))?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Nothing may be written, but the directory exists.
                Err(_) if to.is_dir() => {}
                Err(error) => return Err(Error::io(Action::Create, to)(error)),
            }
        }
        Ok(())
    }

    /// Records a failure and keeps the file: beside the compositions, or else where it is.
    fn fail(&mut self, path: PathBuf, error: Error) {
        let from = self.tree.join(&path);
        let kept = fs::symlink_metadata(&from).is_ok().then(|| {
            self.keep_elsewhere(&from, &path).unwrap_or_else(|error| {
                tracing::debug!(%error, "a path that could not be moved stays in the composition");
                self.rest = Rest::Unmoved;
                kept_name(self.composition).join(TREE).join(&path)
            })
        });
        self.sweep.failed.push(Unmoved { path, error, kept });
    }

    /// Moves one path to the directory that keeps files, and returns its path there.
    fn keep_elsewhere(&mut self, from: &Path, path: &Path) -> Result<PathBuf, Error> {
        let home = self.composition.parent().unwrap_or(Path::new("/"));
        let elsewhere = match &self.elsewhere {
            Some(elsewhere) => elsewhere,
            None => self.elsewhere.insert(OwnDir::create(home, KEPT)?),
        };
        relocate(from, &elsewhere.place().join(path), self.since)?;
        Ok(elsewhere.path().join(path))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::testing::{Fixture, fixture};

    /// Makes a composition of `dev/terraform/theirs.tf` and `dev/values.yaml`, calls `write` with
    /// its tree, and returns the outcome of the sweep.
    fn swept(users: &[&str], write: impl FnOnce(&Path)) -> (Fixture, Sweep) {
        let f = fixture(users);
        let switched = f.switched(&["dev/terraform/theirs.tf", "dev/values.yaml"]);
        // A change in the same tick of the system's clock as the staging would not be detected.
        f.tick();
        write(&f.ops_repo());
        let mut back = switched.switch_back().unwrap();
        let sweep = back.sweep();
        back.forget();
        let kept = sweep.failed.iter().find_map(|unmoved| unmoved.kept.as_deref());
        // The directory in the home that holds the kept file.
        let home = f.mount.home();
        let kept = kept.map(|kept| home.join(kept.strip_prefix(home).unwrap().iter().next().unwrap()));
        f.assert_nothing_left(kept.as_deref());
        (f, sweep)
    }

    #[test]
    fn the_emptied_tree_stays_until_the_end_of_the_pipeline() {
        let f = fixture(&USERS);
        let switched = f.switched(&["dev/terraform/theirs.tf"]);
        let tree = std::fs::canonicalize(f.ops_repo()).unwrap();
        std::fs::set_permissions(tree.join("dev"), std::fs::Permissions::from_mode(0o555)).unwrap();
        let mut back = switched.switch_back().unwrap();
        back.sweep();
        back.empty();
        assert_eq!(std::fs::read_dir(&tree).unwrap().count(), 0);
        back.forget();
        assert!(!tree.exists());
        f.assert_nothing_left(None);
    }

    const USERS: [&str; 4] = ["README", "dev/values.yaml", "dev/terraform/mine.tf", "prod/x"];

    #[track_caller]
    fn assert_swept(sweep: &Sweep, moved: &[&str], changed: &[&str], removed: &[&str]) {
        let paths = |paths: &[PathBuf]| {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(&sweep.moved), moved, "{sweep:?}");
        assert_eq!(paths(&sweep.changed), changed, "{sweep:?}");
        assert_eq!(paths(&sweep.removed), removed, "{sweep:?}");
        assert!(sweep.failed.is_empty(), "{sweep:?}");
    }

    #[test]
    fn reading_alone_is_not_reported() {
        let (_f, sweep) = swept(&USERS, |ops| {
            fs::read(ops.join("dev/terraform/theirs.tf")).unwrap();
            fs::read_dir(ops.join("dev")).unwrap().count();
        });
        assert!(sweep.is_empty() && sweep.notes().is_empty(), "{sweep:?}");
    }

    #[test]
    fn new_files_and_directories_are_moved_to_the_same_path() {
        let (f, sweep) = swept(&USERS, |ops| {
            fs::write(ops.join("bo-out.env"), "out").unwrap();
            fs::write(ops.join("dev/terraform/plan.out"), "plan").unwrap();
            fs::create_dir_all(ops.join("generated_code/deep")).unwrap();
            fs::write(ops.join("generated_code/deep/a"), "a").unwrap();
            symlink("a", ops.join("generated_code/deep/link")).unwrap();
            // Below a link, the user's own directory is written.
            fs::write(ops.join("prod/kubeconfig"), "k").unwrap();
        });
        assert_swept(
            &sweep,
            &["bo-out.env", "generated_code", "dev/terraform/plan.out"],
            &[],
            &[],
        );
        let content_of = |path: &str| fs::read_to_string(f.users().join(path)).unwrap();
        assert_eq!(
            [
                "bo-out.env",
                "dev/terraform/plan.out",
                "generated_code/deep/link",
                "prod/kubeconfig"
            ]
            .map(content_of),
            ["out", "plan", "a", "k"]
        );
        let notes = sweep.notes();
        assert_eq!(notes.len(), 1);
        assert!(
            notes[0]
                .0
                .ends_with("bo-out.env, generated_code, dev/terraform/plan.out"),
            "{notes:?}"
        );
    }

    #[test]
    fn a_new_file_in_place_of_a_link_is_moved_over_the_users() {
        let (f, sweep) = swept(&USERS, |ops| {
            for path in ["README", "dev/terraform/mine.tf"] {
                let aside = ops.join(path).with_extension("sed");
                fs::write(&aside, "edited").unwrap();
                fs::rename(&aside, ops.join(path)).unwrap();
            }
        });
        assert_swept(&sweep, &["README", "dev/terraform/mine.tf"], &[], &[]);
        for path in ["README", "dev/terraform/mine.tf"] {
            assert!(fs::symlink_metadata(f.users().join(path)).unwrap().is_file());
            assert_eq!(fs::read_to_string(f.users().join(path)).unwrap(), "edited");
        }
    }

    #[test]
    fn changed_and_removed_files_are_reported() {
        let (f, sweep) = swept(&USERS, |ops| {
            fs::write(ops.join("dev/values.yaml"), "changed").unwrap();
            fs::remove_file(ops.join("dev/terraform/theirs.tf")).unwrap();
            fs::remove_file(ops.join("README")).unwrap();
        });
        assert_swept(
            &sweep,
            &[],
            &["dev/values.yaml"],
            &["README", "dev/terraform/theirs.tf"],
        );
        assert_eq!(
            fs::read_to_string(f.users().join("dev/values.yaml")).unwrap(),
            "dev/values.yaml"
        );
        assert!(f.users().join("README").is_file());
        assert_eq!(sweep.notes().len(), 2);
    }

    #[test]
    fn a_moved_or_copied_link_moves_or_copies_the_users_file() {
        let (f, sweep) = swept(&USERS, |ops| {
            fs::rename(ops.join("README"), ops.join("README.md")).unwrap();
            symlink(
                fs::read_link(ops.join("dev/terraform/mine.tf")).unwrap(),
                ops.join("dev/copy.tf"),
            )
            .unwrap();
        });
        assert_swept(&sweep, &["README.md", "dev/copy.tf"], &[], &[]);
        assert!(!f.users().join("README").exists());
        for (path, text) in [("README.md", "README"), ("dev/copy.tf", "dev/terraform/mine.tf")] {
            assert!(fs::symlink_metadata(f.users().join(path)).unwrap().is_file());
            assert_eq!(fs::read_to_string(f.users().join(path)).unwrap(), text);
        }
        assert!(f.users().join("dev/terraform/mine.tf").exists());
    }

    #[test]
    fn missing_directories_of_the_user_are_created_with_their_modes() {
        let (f, sweep) = swept(&["dev/bitops.config.yaml"], |ops| {
            fs::set_permissions(ops.join("dev/terraform"), fs::Permissions::from_mode(0o750)).unwrap();
            fs::write(ops.join("dev/terraform/state"), "s").unwrap();
        });
        assert_swept(&sweep, &["dev/terraform/state"], &[], &[]);
        assert_eq!(
            fs::read_to_string(f.users().join("dev/terraform/state")).unwrap(),
            "s"
        );
        let mode = fs::metadata(f.users().join("dev/terraform"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o750);
    }

    #[test]
    fn unmoved_files_are_kept_and_reported_with_escaped_names() {
        let (_f, sweep) = swept(&USERS, |ops| {
            // A directory of the user's is in the way.
            fs::remove_file(ops.join("prod")).unwrap();
            fs::write(ops.join("prod"), "a file").unwrap();
            fs::write(ops.join("a\n::error::\u{1b}[31m"), "odd").unwrap();
        });
        assert_eq!(sweep.moved, [PathBuf::from("a\n::error::\u{1b}[31m")]);
        assert_eq!(sweep.failed.len(), 1);
        assert_eq!(sweep.failed[0].path, Path::new("prod"));
        let kept = sweep.failed[0].kept.clone().unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "a file");
        let notes = sweep.notes();
        assert!(
            notes.iter().all(|(text, _)| !text.contains(['\n', '\u{1b}'])),
            "{notes:?}"
        );
        let (text, hint) = notes.last().unwrap();
        assert!(
            text.starts_with("prod was written into the composition and cannot be moved"),
            "{text}"
        );
        assert!(
            hint.as_ref().unwrap().contains(&kept.display().to_string()),
            "{hint:?}"
        );
    }

    #[test]
    fn a_composition_with_an_unreadable_record_is_kept() {
        let f = fixture(&USERS);
        let switched = f.switched(&["dev/terraform/theirs.tf"]);
        let tree = fs::canonicalize(f.ops_repo()).unwrap();
        let composition = tree.parent().unwrap();
        fs::write(tree.join("bo-out.env"), "precious").unwrap();
        for entry in fs::read_dir(composition).unwrap() {
            let path = entry.unwrap().path();
            // The record, and the other files beside the tree.
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
        let mut back = switched.switch_back().unwrap();
        let sweep = back.sweep();
        back.forget();
        let kept = sweep.failed[0].kept.as_ref().unwrap();
        assert_eq!(fs::read_to_string(kept.join("bo-out.env")).unwrap(), "precious");
        assert!(!composition.exists());
    }

    #[test]
    fn untouched_recreated_links_are_not_reported() {
        let f = fixture(&["dev/values.yaml", "dev/terraform/mine.tf"]);
        symlink("terraform", f.users().join("dev/terraform-b")).unwrap();
        let switched = f.switched(&["dev/terraform/theirs.tf"]);
        f.tick();
        let link = f.ops_repo().join("dev/terraform-b");
        std::os::unix::fs::lchown(&link, None, Some(fs::symlink_metadata(&link).unwrap().gid())).unwrap();
        let sweep = switched.switch_back().unwrap().sweep();
        assert!(sweep.is_empty(), "{sweep:?}");
    }
}
