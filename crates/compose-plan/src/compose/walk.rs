//! A walk through the tree of contributions beside the user's own tree, which settles every path,
//! directory by directory.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use compose_merge::Class;
use compose_model::{Diagnostic, TreePath, fold::fold_name, path::InvalidPath};

use super::{
    ComposeError,
    clashes::Clashes,
    composition::{Action, Clash, ComposedFile, ConflictKind, Holds, Party},
    contributions::{Contribution, Dir, Node},
    keep_both,
    listing::{Listing, child, file_mode, kind_of},
    overrides::{self, is_override},
    party::{local_party, source_party},
    precedence::{SettledFile, Settler},
};
use crate::layer::{ContentsError, LocalKind, SourceId};

/// The maximum number of purely local files and directories that a plan visits. A loop of symlinks
/// in the user's own tree has no end.
const MAX_LOCAL_ENTRIES: usize = 100_000;

/// The files and conflicts found so far, in the order of the walk.
pub(super) struct Walk<'a> {
    settler: Settler<'a>,
    files: Vec<ComposedFile>,
    conflicts: Clashes,
    warnings: Vec<Diagnostic>,
    /// The number of purely local files and directories seen so far.
    local_entries: usize,
}

/// The result of a walk.
pub(super) struct Walked {
    pub(super) files: Vec<ComposedFile>,
    pub(super) conflicts: Clashes,
    pub(super) warnings: Vec<Diagnostic>,
    /// Whether there are more purely local files than are listed.
    pub(super) local_is_cut: bool,
}

impl<'a> Walk<'a> {
    /// Settles every path of the tree of all contributions.
    pub(super) fn all(settler: Settler<'a>, tree: Dir<'a>) -> Result<Walked, ComposeError> {
        let mut walk = Self {
            settler,
            files: Vec::new(),
            conflicts: Clashes::default(),
            warnings: Vec::new(),
            local_entries: 0,
        };
        walk.dir(None, tree, true)?;
        Ok(Walked {
            files: walk.files,
            conflicts: walk.conflicts,
            warnings: walk.warnings,
            local_is_cut: walk.local_entries > MAX_LOCAL_ENTRIES,
        })
    }

    /// Walks through one directory. `at` is `None` for the operations repo's root; `local` is
    /// whether the user has the directory too.
    fn dir(&mut self, at: Option<&TreePath>, mut dir: Dir<'a>, local: bool) -> Result<(), ComposeError> {
        let listing = if local {
            self.list(at, &dir)?
        } else {
            Listing::new()
        };
        for group in collisions(&dir, &listing) {
            self.collision(at, &dir, &listing, &group);
        }
        let ordered = overrides::order(&self.settler, at, &mut dir, &listing)?;
        self.conflicts.extend(ordered.conflicts);
        let mut kept = self.keep_both(at, &mut dir, &listing)?;
        kept.extend(ordered.renamed);
        let lists_local =
            self.settler.request.list_local && at.is_some_and(|at| !self.is_above_environment(at));
        let mut own = listing.iter().filter(|_| lists_local).peekable();
        for (name, node) in dir.children {
            while let Some((name, kind)) = own.next_if(|(own, _)| own.as_str() < name.as_ref()) {
                self.local_only(at, name, *kind)?;
            }
            own.next_if(|(own, _)| own.as_str() == name.as_ref());
            let kind = kind_of(&listing, &name);
            match child(at, &name) {
                Ok(path) => self.node(&path, node, kind, kept.contains(name.as_ref()))?,
                Err(reason) => self.invalid(at, &name, &node, reason),
            }
        }
        for (name, kind) in own {
            self.local_only(at, name, *kind)?;
        }
        Ok(())
    }

    /// Lists a directory once. Above the environment, where only the path to it is composed,
    /// looking up that one name is enough, so the size of the operations repo does not matter.
    fn list(&self, at: Option<&TreePath>, dir: &Dir<'a>) -> Result<Listing, ContentsError> {
        let request = self.settler.request;
        let above = at.is_none_or(|at| request.environment.strip_prefix(at).is_some());
        let mut children = dir.children.iter();
        if let (true, Some((name, Node { files, dir: Some(_) })), None) =
            (above, children.next(), children.next())
            && files.is_empty()
            && let Ok(path) = child(at, name)
            && (path == *request.environment || request.environment.strip_prefix(&path).is_some())
        {
            let kind = request.local.kind(&path)?;
            return Ok(kind.map(|kind| (name.to_string(), kind)).into_iter().collect());
        }
        request.local.list(at)
    }

    /// Returns whether a directory is above the environment.
    ///
    /// Above it stand other environments, whose files do not belong to this one. Everywhere else
    /// the walk only enters directories in which something is composed: the environment and shared
    /// directories.
    fn is_above_environment(&self, path: &TreePath) -> bool {
        self.settler.request.environment.strip_prefix(path).is_some()
    }

    fn node(
        &mut self,
        path: &TreePath,
        node: Node<'a>,
        local: Option<LocalKind>,
        kept_both: bool,
    ) -> Result<(), ComposeError> {
        self.settler.request.cancel.check()?;
        let directory = local == Some(LocalKind::Directory);
        let local_file = local.filter(|_| !directory);
        let below = node.dir.as_ref().is_some_and(|dir| !dir.children.is_empty());
        let disagree = (below && (local_file.is_some() || !node.files.is_empty()))
            || (directory && !node.files.is_empty());
        if disagree {
            self.file_against_directory(path, &node, local);
        }
        if let Some(dir) = node.dir {
            self.dir(Some(path), dir, directory)?;
        }
        if node.files.is_empty() && !kept_both {
            return Ok(());
        }
        // A path that is a directory elsewhere is settled all the same, so that no conflict hides
        // another.
        match self.settler.settle(path, &node.files, local_file)? {
            Err(conflicts) => self.conflicts.append(conflicts),
            Ok(_) if disagree => {}
            Ok(SettledFile { mut file, warning }) => {
                self.warnings.extend(warning);
                if kept_both && matches!(file.action, Action::Add | Action::Local) {
                    file.action = Action::KeepBoth;
                }
                self.files.push(file);
            }
        }
        Ok(())
    }

    /// Adds an entry that only the user has, for a plan that shows everything.
    fn local_only(&mut self, at: Option<&TreePath>, name: &str, kind: LocalKind) -> Result<(), ComposeError> {
        let Ok(path) = child(at, name) else { return Ok(()) };
        self.settler.request.cancel.check()?;
        self.local_entries += 1;
        if self.local_entries > MAX_LOCAL_ENTRIES {
            if self.local_entries == MAX_LOCAL_ENTRIES + 1 {
                self.warnings.push(
                    Diagnostic::warning(
                        "not all of the environment's own files are listed: there are too many",
                    )
                    .hint("is there a symlink that leads back to a directory above it?"),
                );
            }
            return Ok(());
        }
        if kind == LocalKind::Directory {
            return self.dir(Some(&path), Dir::default(), true);
        }
        if let Ok(settled) = self.settler.settle(&path, &[], Some(kind))? {
            self.files.push(settled.file);
        }
        Ok(())
    }

    /// Applies rule 3: gives lower contributions names of their own. Returns every name that takes
    /// part.
    fn keep_both(
        &self,
        at: Option<&TreePath>,
        dir: &mut Dir<'a>,
        listing: &Listing,
    ) -> Result<BTreeSet<String>, ComposeError> {
        let mut kept = BTreeSet::new();
        let mut moved: Vec<(String, Contribution<'a>)> = Vec::new();
        let own = |name: &str| file_mode(listing, name);
        let several = |name: &str, node: &Node<'a>| {
            node.dir.is_none() && node.files.len() + usize::from(own(name).is_some()) > 1
        };
        if !dir.children.iter().any(|(name, node)| several(name, node)) {
            return Ok(kept);
        }
        let mut names = Taken::new(dir, listing);
        for (name, node) in &mut dir.children {
            if !several(name, node) {
                continue;
            }
            let local = own(name);
            let Ok(path) = child(at, name) else { continue };
            if is_override(name) || !matches!(self.settler.class(&path), Class::KeepBoth) {
                continue;
            }
            let mut gone = BTreeSet::new();
            for group in self.lower_contents(&path, &node.files, local)? {
                let highest = &node.files[group[group.len() - 1]];
                let Some(new) = self.free_name(at, name, highest, listing, &names)? else {
                    continue;
                };
                names.take(&new);
                kept.extend([name.to_string(), new.clone()]);
                moved.extend(
                    group
                        .iter()
                        .map(|index| (new.clone(), node.files[*index].clone())),
                );
                gone.extend(group);
            }
            let mut index = 0..;
            node.files
                .retain(|_| index.next().is_none_or(|index| !gone.contains(&index)));
        }
        for (name, file) in moved {
            dir.children.entry(Cow::Owned(name)).or_default().files.push(file);
        }
        Ok(kept)
    }

    /// Returns the first of the names for a lower file that nothing else has, or that the user has
    /// with the very same bytes. The user may have taken over the renamed file, for example by
    /// vendoring.
    fn free_name(
        &self,
        at: Option<&TreePath>,
        name: &str,
        file: &Contribution<'a>,
        listing: &Listing,
        names: &Taken,
    ) -> Result<Option<String>, ContentsError> {
        for new in keep_both::names(name, &self.settler.request.layers.sources[file.source.0]) {
            let Ok(path) = child(at, &new) else {
                return Ok(None);
            };
            let free = match kind_of(listing, &new) {
                Some(LocalKind::File(mode)) => {
                    !names.holds(&new) && self.settler.is_local(&path, mode, file)?
                }
                Some(_) => false,
                None => !names.holds(&new) && !names.is_local(&new, listing),
            };
            if free {
                return Ok(Some(new));
            }
        }
        Ok(None)
    }

    /// Returns the contents below the highest one, each with the contributions that have it, lowest
    /// first.
    fn lower_contents(
        &self,
        path: &TreePath,
        files: &[Contribution<'a>],
        local: Option<compose_model::FileMode>,
    ) -> Result<Vec<Vec<usize>>, ContentsError> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        'files: for (index, file) in files.iter().enumerate() {
            for group in &mut groups {
                if self.settler.same(&files[group[0]], file)? {
                    group.push(index);
                    continue 'files;
                }
            }
            groups.push(vec![index]);
        }
        let mut lower = Vec::new();
        for group in groups {
            let file = &files[group[0]];
            let highest = match local {
                Some(mode) => self.settler.is_local(path, mode, file)?,
                None => group.contains(&(files.len() - 1)),
            };
            if !highest {
                lower.push(group);
            }
        }
        Ok(lower)
    }

    /// Applies rule 6: reports a file that stands against a directory.
    fn file_against_directory(&mut self, path: &TreePath, node: &Node<'a>, local: Option<LocalKind>) {
        let mut parties: Vec<Party> = node.files.iter().map(Contribution::party).collect();
        let below = node.dir.as_ref().map(Dir::representatives).unwrap_or_default();
        parties.extend(below.into_iter().map(|(source, file)| Party {
            holds: Holds::Directory,
            ..source_party(source, file)
        }));
        if let Some(kind) = local {
            let holds = if kind == LocalKind::Directory {
                Holds::Directory
            } else {
                Holds::File
            };
            parties.push(Party {
                holds,
                ..local_party(path)
            });
        }
        parties.sort_by_key(|party| party.origin);
        self.conflict(path.clone(), ConflictKind::FileAgainstDirectory, parties);
    }

    fn collision(
        &mut self,
        at: Option<&TreePath>,
        dir: &Dir<'a>,
        listing: &Listing,
        names: &BTreeSet<String>,
    ) {
        let mut parties = Vec::new();
        let mut first = None;
        for name in names {
            let Ok(path) = child(at, name) else { continue };
            if let Some(node) = dir.children.get(name.as_str()) {
                parties.extend(representatives(node));
            }
            if kind_of(listing, name).is_some() {
                parties.push(local_party(&path));
            }
            first.get_or_insert(path);
        }
        parties.sort_by_key(|party| party.origin);
        if let Some(path) = first {
            self.conflict(path, ConflictKind::NameCollision, parties);
        }
    }

    fn invalid(&mut self, at: Option<&TreePath>, name: &str, node: &Node<'a>, reason: InvalidPath) {
        let kind = ConflictKind::Name {
            name: name.to_owned(),
            reason,
        };
        let path = at.unwrap_or(self.settler.request.environment).clone();
        self.conflict(path, kind, representatives(node));
    }

    fn conflict(&mut self, path: TreePath, kind: ConflictKind, parties: Vec<Party>) {
        self.conflicts.push(Clash { path, kind, parties });
    }
}

/// Returns one party for each source that has something under a name.
fn representatives(node: &Node<'_>) -> Vec<Party> {
    let mut parties: BTreeMap<SourceId, Party> = node
        .files
        .iter()
        .map(|file| (file.source, file.party()))
        .collect();
    for (source, file) in node.dir.as_ref().map(Dir::representatives).unwrap_or_default() {
        let directory = Party {
            holds: Holds::Directory,
            ..source_party(source, file)
        };
        parties.entry(source).or_insert(directory);
    }
    parties.into_values().collect()
}

/// Returns groups of names that are the same for a file system that ignores case and normal form.
/// In each group a source has at least one name that the user does not have.
fn collisions(dir: &Dir<'_>, listing: &Listing) -> Vec<BTreeSet<String>> {
    // Different names that equal their own folds have different folds, and most directories hold no
    // other names.
    let is_own_fold = |name: &str| fold_name(name) == name;
    let mut names = dir.children.keys().map(AsRef::as_ref);
    let mut local = listing.iter().map(|(name, _)| name.as_str());
    if dir.children.is_empty() || (names.all(is_own_fold) && local.all(is_own_fold)) {
        return Vec::new();
    }
    Taken::new(dir, listing).collisions(listing)
}

/// The names of one directory, as seen by a file system that ignores case and normal form.
struct Taken {
    /// The names by fold: those of the sources, and the user's names with the same fold.
    names: HashMap<String, BTreeSet<String>>,
    /// The folds of all of the user's names, computed when they are first needed.
    local: OnceCell<HashSet<String>>,
}

impl Taken {
    fn new(dir: &Dir<'_>, listing: &Listing) -> Self {
        let mut names: HashMap<String, BTreeSet<String>> = HashMap::new();
        for name in dir.children.keys() {
            names
                .entry(fold_name(name).into_owned())
                .or_default()
                .insert(name.to_string());
        }
        // Only names from sources can collide, so each of the user's other names costs one look-up.
        for (name, _) in listing {
            if let Some(names) = names.get_mut(fold_name(name).as_ref()) {
                names.insert(name.clone());
            }
        }
        Self {
            names,
            local: OnceCell::new(),
        }
    }

    /// Returns the groups that [`collisions`] describes.
    fn collisions(&self, listing: &Listing) -> Vec<BTreeSet<String>> {
        let foreign = |name: &String| kind_of(listing, name).is_none();
        let mut groups: Vec<_> = self
            .names
            .values()
            .filter(|names| names.len() > 1 && names.iter().any(foreign))
            .cloned()
            .collect();
        groups.sort();
        groups
    }

    fn holds(&self, name: &str) -> bool {
        self.names.contains_key(fold_name(name).as_ref())
    }

    fn is_local(&self, name: &str, listing: &Listing) -> bool {
        let all = || {
            listing
                .iter()
                .map(|(name, _)| fold_name(name).into_owned())
                .collect()
        };
        self.local.get_or_init(all).contains(fold_name(name).as_ref())
    }

    fn take(&mut self, name: &str) {
        self.names
            .entry(fold_name(name).into_owned())
            .or_default()
            .insert(name.to_owned());
    }
}
