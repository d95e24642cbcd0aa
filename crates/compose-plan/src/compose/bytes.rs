//! Access to the bytes behind a composition: those of its files and those of their contributions.

use std::{cell::OnceCell, collections::HashMap, sync::Arc};

use compose_model::{Cause, ExitCode, FileMode, TreeFile, TreePath};

use super::composition::{ComposedFile, Provenance, Write};
use crate::layer::{Contents, ContentsError, Layers, LocalKind, LocalTree, Origin, SourceId};

/// The error for a file that none of the composed layers lists. Only a bug leads to it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("none of the composed layers lists it")]
struct Unlisted;

impl Cause for Unlisted {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Bug
    }
}

/// A reader of a composition's files. Its parts must be those that the composition was made from.
pub struct Bytes<'a> {
    layers: &'a Layers,
    /// The files of the layers by their place, filled when the first of them is requested.
    files: OnceCell<HashMap<(SourceId, &'a TreePath), &'a TreeFile>>,
    contents: &'a dyn Contents,
    local: &'a dyn LocalTree,
}

impl<'a> Bytes<'a> {
    /// Creates a reader over the layers that were composed.
    pub fn new(layers: &'a Layers, contents: &'a dyn Contents, local: &'a dyn LocalTree) -> Self {
        Self {
            layers,
            files: OnceCell::new(),
            contents,
            local,
        }
    }

    fn file(&self, source: SourceId, path: &TreePath) -> Option<&'a TreeFile> {
        let files = self.files.get_or_init(|| {
            let listed = self.layers.layers.iter().flat_map(|layer| {
                let files = layer.files.iter();
                files.map(|file| ((layer.source, &file.repo_path), file))
            });
            listed.collect()
        });
        files.get(&(source, path)).copied()
    }

    /// Returns the bytes and the mode of a composed file.
    pub fn composed(&self, file: &ComposedFile) -> Result<(Arc<[u8]>, FileMode), ContentsError> {
        match &file.write {
            Write::Blob { source, file } => Ok((self.contents.read(*source, file)?, file.mode)),
            Write::Bytes { bytes, mode } => Ok((bytes.as_slice().into(), *mode)),
            Write::Local => {
                let mode = match self.local.kind(&file.path)? {
                    Some(LocalKind::File(mode)) => mode,
                    _ => FileMode::Regular,
                };
                Ok((self.local.read(&file.path)?, mode))
            }
        }
    }

    /// Returns the bytes that one layer contributed.
    pub fn contribution(&self, from: &Provenance) -> Result<Arc<[u8]>, ContentsError> {
        match from.origin {
            Origin::Local => self.local.read(&from.path),
            Origin::Source(source) => match self.file(source, &from.path) {
                Some(file) => self.contents.read(source, file),
                None => Err(ContentsError::new(from.path.to_string(), Unlisted)),
            },
        }
    }
}
