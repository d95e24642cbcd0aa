//! What a pipeline wrote into the composition while it was switched in: with the user's own repo there it would have been written to
//! that one, so it is moved there.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use compose_model::text;

use crate::{
    Error, old,
    record::{COMPOSITION, Kind, Listing, Record, TREE},
    relocate::{copy, relocate},
    switch::Moment,
};

/// What the names of directories below a home start with that keep what could not be moved.
const KEPT: &str = "kept.";
/// So many paths are told of each kind.
const TOLD: usize = 10;
/// Characters of a path that are told.
const LONGEST: usize = 300;

/// What became of what was written. Paths are relative to the operations repo's root.
#[derive(Debug, Default)]
pub struct Sweep {
    /// New or edited files that are in the user's repo now.
    pub moved: Vec<PathBuf>,
    /// Composed files that were changed: the change is gone with the composition.
    pub changed: Vec<PathBuf>,
    /// What was removed from the composition: the user's own is still there.
    pub removed: Vec<PathBuf>,
    /// What could not be moved.
    pub failed: Vec<Unmoved>,
}

/// Something that was written into the composition and could not be moved to the user's repo.
#[derive(Debug)]
pub struct Unmoved {
    /// Its path, relative to the operations repo's root.
    pub path: PathBuf,
    /// Why it could not be moved.
    pub error: Error,
    /// Where it is kept once the pipeline has ended; `None`: it is not there any more.
    pub kept: Option<PathBuf>,
}

impl Sweep {
    /// Was nothing written at all?
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.changed.is_empty() && self.removed.is_empty() && self.failed.is_empty()
    }

    /// What a person must know of it, a sentence each, fit to print. The second part is what to do.
    pub fn notes(&self) -> Vec<(String, Option<String>)> {
        let mut notes = Vec::new();
        if !self.moved.is_empty() {
            let moved = paths(&self.moved);
            notes.push((
                format!("written into the composition before it was copied, and moved to the operations repo: {moved}"),
                None,
            ));
        }
        if !self.changed.is_empty() {
            notes.push((
                format!(
                    "composed files were changed, which is lost with the composition: {}",
                    paths(&self.changed)
                ),
                Some("change them below $BITOPS_TEMPDIR, or give the environment a file of its own".into()),
            ));
        }
        if !self.removed.is_empty() {
            notes.push((
                format!(
                    "removed from the composition, but not from the operations repo: {}",
                    paths(&self.removed)
                ),
                Some("remove them below $BITOPS_TEMPDIR, or from the operations repo itself".into()),
            ));
        }
        for Unmoved { path, error, kept } in self.failed.iter().take(TOLD) {
            let cause =
                std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
            let hint = match kept {
                Some(kept) => format!("it is kept as {}", shown(kept)),
                None => "it is lost: let this user write the operations repo, and run again".to_owned(),
            };
            notes.push((
                format!(
                    "{} was written into the composition and cannot be moved to the operations repo: {}",
                    shown(path),
                    text::escape(&format!("{error}{cause}"), 2 * LONGEST)
                ),
                Some(hint),
            ));
        }
        if let Some(more @ 1..) = self.failed.len().checked_sub(TOLD) {
            notes.push((format!("and {more} more could not be moved"), None));
        }
        notes
    }
}

fn paths(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(TOLD).map(|path| shown(path)).collect();
    match paths.len().saturating_sub(TOLD) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A name may be anything that a program wrote.
fn shown(path: &Path) -> String {
    text::escape(&path.to_string_lossy(), LONGEST)
}

/// Moves, reports, and empties the tree. Nothing that could not be moved is removed with it.
///
/// What can be neither moved nor kept elsewhere, as on a full disk, stays where it is: the whole composition is then kept, under the
/// name that [`kept_name`] gives it.
///
/// The tree itself stays, as the end of a path that somebody may be walking: after it has set the times by which the copy's end
/// is seen, Python's `copystat` asks for the extended attributes of what it copied by its path.
pub(crate) fn sweep(composition: &Path, since: Moment) -> (Sweep, Rest) {
    let tree = composition.join(TREE);
    let mut sweep = Sweep::default();
    match Record::read_all(composition) {
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
            if rest == Rest::Nothing {
                old::empty(&tree);
            }
            (sweep, rest)
        }
        Err(error) => {
            // Nobody knows what was written into it.
            sweep.failed.push(Unmoved {
                path: PathBuf::from("."),
                error: Error::io("read what was staged in", composition)(error),
                kept: Some(kept_name(composition).join(TREE)),
            });
            (sweep, Rest::Unmoved)
        }
    }
}

/// What a composition still holds after it has been swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing that anybody could miss.
    Nothing,
    /// Something that could be put nowhere else.
    Unmoved,
}

/// The name that a composition gets when it keeps what was written into it: a rename needs no space, and no later run removes it.
pub(crate) fn kept_name(composition: &Path) -> PathBuf {
    let name = composition.file_name().unwrap_or_default().to_string_lossy();
    composition.with_file_name(format!("{KEPT}{}", name.trim_start_matches(COMPOSITION)))
}

struct Sweeper<'a> {
    composition: &'a Path,
    tree: &'a Path,
    root: &'a Path,
    listing: &'a Listing,
    since: Moment,
    /// The directory beside the compositions that keeps what could not be moved, once there is one.
    elsewhere: Option<PathBuf>,
    rest: Rest,
    sweep: &'a mut Sweep,
}

impl Sweeper<'_> {
    fn all(&mut self) {
        // What was removed first: a link of the composition under another name is something moved then.
        let mut strays = Vec::new();
        for (dir, staged) in self.listing {
            let path = self.tree.join(dir);
            match fs::symlink_metadata(&path) {
                // Whatever replaced it was found in the directory above.
                Ok(meta) if !meta.is_dir() => {}
                Err(_) => {}
                Ok(_) => self.look(dir, &path, staged, &mut strays),
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
    fn look(
        &mut self,
        dir: &Path,
        path: &Path,
        staged: &BTreeMap<OsString, Kind>,
        strays: &mut Vec<PathBuf>,
    ) {
        let mut missing: Vec<&OsString> = Vec::new();
        for (name, kind) in staged {
            match fs::symlink_metadata(path.join(name)) {
                Ok(now) => match kind {
                    Kind::Directory if now.is_dir() => {}
                    Kind::File if now.is_file() && !self.is_later(&now) => {}
                    Kind::Users
                        if now.is_symlink() && (!self.is_later(&now) || self.is_staged(dir, name)) => {}
                    // The user's file, edited as `sed -i` does: by a new one in the place of the link.
                    Kind::Users => strays.push(dir.join(name)),
                    Kind::Directory | Kind::File => self.sweep.changed.push(dir.join(name)),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(name),
                Err(error) => {
                    let error = Error::io("read", path.join(name))(error);
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
                let error = Error::io("list", path)(error);
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

    /// Does a link name what it was staged with: the user's own path, or what the user's own link names?
    fn is_staged(&self, dir: &Path, name: &OsString) -> bool {
        let users = self.root.join(dir).join(name);
        let again = fs::read_link(&users).ok();
        fs::read_link(self.tree.join(dir).join(name))
            .is_ok_and(|target| target == users || again.is_some_and(|again| again == target))
    }

    fn is_later(&self, meta: &fs::Metadata) -> bool {
        (meta.ctime(), u32::try_from(meta.ctime_nsec()).unwrap_or_default()) > self.since
    }

    /// Moves one path to the user's repo.
    fn take(&mut self, path: &Path) -> Result<(), Error> {
        let (from, to) = (self.tree.join(path), self.root.join(path));
        self.make_parents(path)?;
        let Some(users) = self.named_users(&from) else {
            return relocate(&from, &to, self.since);
        };
        // A link of the composition under another name: the user's own was moved or copied.
        let own = self.root.join(&users);
        if let Some(at) = self.sweep.removed.iter().position(|removed| *removed == users) {
            relocate(&own, &to, self.since)?;
            self.sweep.removed.remove(at);
            return Ok(());
        }
        let meta = fs::metadata(&own).map_err(Error::io("read", &own))?;
        copy(&own, &to, &meta)
    }

    /// The user's path that a link of the composition's names.
    fn named_users(&self, link: &Path) -> Option<PathBuf> {
        let target = fs::read_link(link).ok()?;
        let users = target.strip_prefix(self.root).ok()?;
        let dir = self.listing.get(users.parent()?)?;
        (dir.get(users.file_name()?) == Some(&Kind::Users)).then(|| users.to_owned())
    }

    /// Makes the directories above a path in the user's repo, with the modes that they have here.
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
                        fs::set_permissions(&to, meta.permissions()).map_err(Error::io("create", &to))?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // As where nothing may be written, but all is there.
                Err(_) if to.is_dir() => {}
                Err(error) => return Err(Error::io("create", to)(error)),
            }
        }
        Ok(())
    }

    /// Keeps what could not be moved: beside the compositions, else where it is.
    fn fail(&mut self, path: PathBuf, error: Error) {
        let from = self.tree.join(&path);
        let kept = fs::symlink_metadata(&from).is_ok().then(|| {
            self.keep_elsewhere(&from, &path).unwrap_or_else(|error| {
                tracing::debug!(%error, "what could not be moved stays in the composition");
                self.rest = Rest::Unmoved;
                kept_name(self.composition).join(TREE).join(&path)
            })
        });
        self.sweep.failed.push(Unmoved { path, error, kept });
    }

    /// Moves one path to the directory that keeps what could not be moved, and yields its place there.
    fn keep_elsewhere(&mut self, from: &Path, path: &Path) -> Result<PathBuf, Error> {
        let home = self.composition.parent().unwrap_or(Path::new("/"));
        let elsewhere = match &self.elsewhere {
            Some(elsewhere) => elsewhere,
            None => {
                let new = tempfile::Builder::new().prefix(KEPT).tempdir_in(home);
                self.elsewhere
                    .insert(new.map_err(Error::io("create a directory in", home))?.keep())
            }
        };
        let to = elsewhere.join(path);
        relocate(from, &to, self.since)?;
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::testing::{Fixture, fixture};

    /// A composition of `dev/terraform/theirs.tf` and `dev/values.yaml`, after `write` did something to the tree; what became of it.
    fn swept(users: &[&str], write: impl FnOnce(&Path)) -> (Fixture, Sweep) {
        let f = fixture(users);
        let switched = f.switched(&["dev/terraform/theirs.tf", "dev/values.yaml"]);
        // What is staged in the same tick of the system's clock cannot be told apart from what changed in it.
        f.tick();
        write(&f.ops_repo());
        let mut back = switched.switch_back().unwrap();
        let sweep = back.sweep();
        back.forget();
        let kept = sweep.failed.iter().find_map(|unmoved| unmoved.kept.as_deref());
        // The directory in the home that holds it.
        let home = f.mount.home();
        let kept = kept.map(|kept| home.join(kept.strip_prefix(home).unwrap().iter().next().unwrap()));
        f.assert_nothing_left(kept.as_deref());
        (f, sweep)
    }

    #[test]
    fn what_could_not_be_moved_is_a_message_that_says_what_to_do() {
        let failed = |kept: Option<PathBuf>| {
            let error = Error::io("move", "/mount/a")(io::ErrorKind::StorageFull.into());
            let sweep = Sweep {
                failed: vec![Unmoved {
                    path: "a".into(),
                    error,
                    kept,
                }],
                ..Sweep::default()
            };
            sweep.notes().remove(0).1.unwrap()
        };
        assert_eq!(
            failed(Some("/home/kept.1/a".into())),
            "it is kept as /home/kept.1/a"
        );
        assert!(failed(None).starts_with("it is lost: let this user write"));
    }

    #[test]
    fn the_emptied_tree_stays_until_the_end_for_a_path_that_is_being_walked() {
        let f = fixture(&USERS);
        let switched = f.switched(&["dev/terraform/theirs.tf"]);
        let tree = std::fs::canonicalize(f.ops_repo()).unwrap();
        std::fs::set_permissions(tree.join("dev"), std::fs::Permissions::from_mode(0o555)).unwrap();
        let mut back = switched.switch_back().unwrap();
        back.sweep();
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
    fn nothing_written_is_nothing_to_tell() {
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
            // Below a link it is the user's own directory.
            fs::write(ops.join("prod/kubeconfig"), "k").unwrap();
        });
        assert_swept(
            &sweep,
            &["bo-out.env", "generated_code", "dev/terraform/plan.out"],
            &[],
            &[],
        );
        let text = |path: &str| fs::read_to_string(f.users().join(path)).unwrap();
        assert_eq!(
            [
                "bo-out.env",
                "dev/terraform/plan.out",
                "generated_code/deep/link",
                "prod/kubeconfig"
            ]
            .map(text),
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
    fn the_users_file_is_edited_by_a_new_one_in_its_place() {
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
    fn composed_files_that_were_changed_and_what_was_removed_are_told() {
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
    fn the_users_own_moved_or_copied_as_links_is_moved_or_copied() {
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
    fn below_a_directory_that_only_the_composition_has() {
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
    fn what_cannot_be_moved_is_kept_and_told_with_odd_names_escaped() {
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
    fn what_was_staged_cannot_be_read_so_all_is_kept() {
        let f = fixture(&USERS);
        let switched = f.switched(&["dev/terraform/theirs.tf"]);
        let tree = fs::canonicalize(f.ops_repo()).unwrap();
        let composition = tree.parent().unwrap();
        fs::write(tree.join("bo-out.env"), "precious").unwrap();
        for entry in fs::read_dir(composition).unwrap() {
            let path = entry.unwrap().path();
            // The record, and whatever else is a file beside the tree.
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
    fn links_made_again_that_were_not_touched_are_no_news() {
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
