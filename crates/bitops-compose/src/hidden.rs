//! What a command is about to change in the user's operations repo.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use compose_model::TreePath;

/// What is about to change in the user's operations repo.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden {
    /// The files to remove, with the directories that hold nothing else.
    pub(crate) removed: BTreeSet<TreePath>,
    /// A file to write, with its bytes.
    pub(crate) written: Option<(TreePath, Arc<[u8]>)>,
}

impl Hidden {
    /// Removes files of an operations repo, and writes one.
    pub(crate) fn new(
        root: &Path,
        files: impl IntoIterator<Item = TreePath>,
        written: (TreePath, &str),
    ) -> Self {
        let mut hidden: BTreeSet<TreePath> = files.into_iter().collect();
        let mut dirs: Vec<TreePath> = hidden.iter().filter_map(TreePath::parent).collect();
        while let Some(dir) = dirs.pop() {
            let mut entries = fs::read_dir(root.join(dir.as_str())).into_iter().flatten();
            let is_hidden = |entry: io::Result<fs::DirEntry>| {
                let name = entry.ok().and_then(|entry| entry.file_name().into_string().ok());
                let path = name.and_then(|name| dir.child(&name).ok());
                path.is_some_and(|path| hidden.contains(&path))
            };
            if !hidden.contains(&dir) && entries.all(is_hidden) {
                dirs.extend(dir.parent());
                hidden.insert(dir);
            }
        }
        let (path, text) = written;
        Self {
            removed: hidden,
            written: Some((path, text.as_bytes().into())),
        }
    }
}
