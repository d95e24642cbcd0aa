//! All contributions of all layers as one directory tree, relative to the operations repo's root.

use std::{borrow::Cow, collections::BTreeMap};

use compose_model::{TreeFile, TreePath};

use super::{
    composition::Party,
    configs::{Configs, Rewrite, Rewritten},
    party::source_party,
};
use crate::layer::{Layers, Part, SourceId};

/// The contribution of one layer to a path.
#[derive(Clone, Debug)]
pub(super) struct Contribution<'a> {
    /// The source.
    pub(super) source: SourceId,
    /// The index of the source's layer. The contributions to one path are in layer order.
    pub(super) layer: usize,
    /// The file as the layer lists it.
    pub(super) file: &'a TreeFile,
    /// The bytes that replace the blob's: an environment's config without the keys that must not
    /// leak, or a file of variables without those that a higher layer sets in another file.
    pub(super) rewritten: Option<Rewritten>,
    /// Notes on what was left out of the contribution, one sentence each.
    pub(super) notes: Vec<String>,
}

impl Contribution<'_> {
    /// Returns the contribution as one side of a conflict.
    pub(super) fn party(&self) -> Party {
        source_party(self.source, self.file)
    }
}

/// The names under which the sources' top-level entries appear, because `as` renames deployment
/// directories.
pub(super) type Names = BTreeMap<(SourceId, String), String>;

/// The entries that sources have under one name. It has both a file and a directory only if sources
/// disagree.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    /// The files, lowest layer first.
    pub(super) files: Vec<Contribution<'a>>,
    /// The directory.
    pub(super) dir: Option<Dir<'a>>,
}

/// A directory that sources contribute to.
#[derive(Debug, Default)]
pub(super) struct Dir<'a> {
    /// The entries of the directory by name.
    pub(super) children: BTreeMap<Cow<'a, str>, Node<'a>>,
}

/// Returns the directory that a file is in, as its layer knows it; "" is the top.
fn above(file: &TreeFile) -> &str {
    file.path.as_str().rsplit_once('/').map_or("", |(above, _)| above)
}

impl<'a> Dir<'a> {
    /// Returns the tree of all layers.
    pub(super) fn of(
        layers: &'a Layers,
        environment: &'a TreePath,
        names: &'a Names,
        configs: &Configs<'_>,
    ) -> Self {
        let mut root = Dir::default();
        // The environment is entered even if no source has anything in it, because a plan may list
        // the user's own files.
        environment
            .components()
            .fold(&mut root, |dir, name| dir.enter(name));
        for (index, layer) in layers
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| !layer.files.is_empty())
        {
            let base = match &layer.part {
                Part::Shared(dir) => dir,
                Part::DefaultFolder(_) | Part::Environment => environment,
            };
            let in_environment = !matches!(layer.part, Part::Shared(_));
            let parent = base.components().fold(&mut root, |dir, name| dir.enter(name));
            let rename = |top: &'a str| {
                names
                    .get(&(layer.source, top.to_owned()))
                    .filter(|_| in_environment)
                    .map_or(top, |name| name)
            };
            // The files are sorted, so most of a directory's files stand together.
            for files in layer.files.chunk_by(|one, next| above(one) == above(next)) {
                let mut inside = files
                    .iter()
                    .filter_map(|file| {
                        let rewritten = match configs.rewrite(index, file) {
                            Rewrite::Drop if in_environment => return None,
                            Rewrite::To(rewritten) if in_environment => Some(rewritten),
                            _ => None,
                        };
                        Some(Contribution {
                            source: layer.source,
                            layer: index,
                            file,
                            rewritten,
                            notes: Vec::new(),
                        })
                    })
                    .peekable();
                // A directory without any contribution does not exist.
                if let Some(first) = inside.peek() {
                    let dir = parent.enter_all(above(first.file), rename);
                    inside.for_each(|contribution| dir.add(contribution));
                }
            }
        }
        root
    }

    /// Returns the directory at a path.
    pub(super) fn dir(&self, path: &TreePath) -> Option<&Self> {
        path.components()
            .try_fold(self, |dir, name| dir.children.get(name)?.dir.as_ref())
    }

    /// Returns the contributions to the file at a path, lowest layer first.
    pub(super) fn files(&self, path: &TreePath) -> &[Contribution<'a>] {
        let dir = path.parent().map_or(Some(self), |parent| self.dir(&parent));
        let node = dir.and_then(|dir| dir.children.get(path.file_name()));
        node.map(|node| node.files.as_slice()).unwrap_or_default()
    }

    /// Returns the contributions to the file at a path, for changing them.
    pub(super) fn files_mut(&mut self, path: &TreePath) -> Option<&mut Vec<Contribution<'a>>> {
        let mut dir = self;
        for parent in path.parent().iter().flat_map(TreePath::components) {
            dir = dir.children.get_mut(parent)?.dir.as_mut()?;
        }
        dir.children.get_mut(path.file_name()).map(|node| &mut node.files)
    }

    /// Enters the directories of a path. `rename` returns the name of the top-level directory.
    fn enter_all(&mut self, path: &'a str, rename: impl Fn(&'a str) -> &'a str) -> &mut Dir<'a> {
        let names = path.split('/').filter(|name| !name.is_empty()).enumerate();
        names.fold(self, |dir, (depth, name)| {
            dir.enter(if depth == 0 { rename(name) } else { name })
        })
    }

    fn add(&mut self, contribution: Contribution<'a>) {
        let files = &mut self.child(contribution.file.path.file_name()).files;
        // Most paths have one contribution.
        files.reserve_exact(1);
        files.push(contribution);
    }

    fn enter(&mut self, name: &'a str) -> &mut Dir<'a> {
        self.child(name).dir.get_or_insert_default()
    }

    fn child(&mut self, name: &'a str) -> &mut Node<'a> {
        self.children.entry(Cow::Borrowed(name)).or_default()
    }

    /// Returns one file of each source that has any below this directory: the first one by path.
    pub(super) fn representatives(&self) -> BTreeMap<SourceId, &'a TreeFile> {
        let mut found = BTreeMap::new();
        self.represent(&mut found);
        found
    }

    fn represent(&self, found: &mut BTreeMap<SourceId, &'a TreeFile>) {
        for node in self.children.values() {
            for contribution in &node.files {
                found.entry(contribution.source).or_insert(contribution.file);
            }
            if let Some(dir) = &node.dir {
                dir.represent(found);
            }
        }
    }
}
