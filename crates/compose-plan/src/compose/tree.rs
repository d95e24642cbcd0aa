//! All contributions of all layers as one directory tree, relative to the operations repo's root.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use compose_model::{TreeFile, TreePath};

use super::configs::{Configs, Cut, Rewrite};
use crate::layer::{Layers, Part, SourceId};

/// What one layer contributes to a path.
#[derive(Clone, Debug)]
pub(super) struct Contribution<'a> {
    /// Whose.
    pub(super) source: SourceId,
    /// Index of its layer: contributions of one path are in layer order.
    pub(super) layer: usize,
    /// The file as the layer lists it.
    pub(super) file: &'a TreeFile,
    /// Other bytes than the blob's: an environment's config without what must not leak.
    pub(super) rewritten: Option<Rewritten>,
}

/// A text that was cut before it takes part.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// The bytes that take part.
    pub(super) bytes: Arc<[u8]>,
    /// What was cut, to tell lines of the original.
    pub(super) cuts: Arc<[Cut]>,
}

/// The name under which a source's top-level entry appears: `as` renames deployment directories.
pub(super) type Names = BTreeMap<(SourceId, String), String>;

/// What sources have under one name; both a file and a directory only when they disagree.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    /// Files, lowest layer first.
    pub(super) files: Vec<Contribution<'a>>,
    /// The directory.
    pub(super) dir: Option<Dir<'a>>,
}

/// A directory that sources contribute to.
#[derive(Debug, Default)]
pub(super) struct Dir<'a> {
    /// By name.
    pub(super) children: BTreeMap<Cow<'a, str>, Node<'a>>,
}

impl<'a> Dir<'a> {
    /// The tree of all layers.
    pub(super) fn of(
        layers: &'a Layers,
        environment: &'a TreePath,
        names: &'a Names,
        configs: &Configs<'_>,
    ) -> Self {
        let mut root = Dir::default();
        // The environment is gone through even if no source has anything in it: a plan may list the user's own files.
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
            for file in &layer.files {
                let rewrite = if in_environment {
                    configs.rewrite(index, file)
                } else {
                    Rewrite::Keep
                };
                let rewritten = match rewrite {
                    Rewrite::Keep => None,
                    Rewrite::Drop => continue,
                    Rewrite::To(rewritten) => Some(rewritten),
                };
                let contribution = Contribution {
                    source: layer.source,
                    layer: index,
                    file,
                    rewritten,
                };
                parent.insert(contribution, |top| {
                    names
                        .get(&(layer.source, top.to_owned()))
                        .filter(|_| in_environment)
                        .map_or(top, |name| name)
                });
            }
        }
        root
    }

    /// `rename` gives the name of the top-level directory.
    fn insert(&mut self, contribution: Contribution<'a>, rename: impl Fn(&'a str) -> &'a str) {
        let path = contribution.file.path.as_str();
        let (directories, name) = path
            .rsplit_once('/')
            .map_or((None, path), |(above, name)| (Some(above), name));
        let directories = directories
            .into_iter()
            .flat_map(|above| above.split('/'))
            .enumerate();
        let parent = directories.fold(self, |dir, (depth, name)| {
            dir.enter(if depth == 0 { rename(name) } else { name })
        });
        parent.child(name).files.push(contribution);
    }

    fn enter(&mut self, name: &'a str) -> &mut Dir<'a> {
        self.child(name).dir.get_or_insert_default()
    }

    fn child(&mut self, name: &'a str) -> &mut Node<'a> {
        self.children.entry(Cow::Borrowed(name)).or_default()
    }

    /// One file of each source that has any below this directory: the first by path.
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
