//! The bytes behind a composition: of what it yields and of what it was made of.

use std::{cell::OnceCell, collections::HashMap, sync::Arc};

use compose_model::{Cause, ExitCode, FileMode, TreeFile, TreePath};

use super::composition::{ComposedFile, Provenance, Write};
use crate::layer::{Contents, ContentsError, Layers, LocalKind, LocalTree, Origin, SourceId};

/// A file that none of the composed layers lists, which only a bug asks for.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("none of the composed layers lists it")]
struct Unlisted;

impl Cause for Unlisted {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Bug
    }
}

/// Reads the files of a composition. All of it must be what the composition was made of.
pub struct Bytes<'a> {
    layers: &'a Layers,
    /// The files of the layers by their place, once one of them is asked for.
    files: OnceCell<HashMap<(SourceId, &'a TreePath), &'a TreeFile>>,
    contents: &'a dyn Contents,
    local: &'a dyn LocalTree,
}

impl<'a> Bytes<'a> {
    /// Over the layers that were composed.
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

    /// A composed file's bytes and mode.
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

    /// What one layer brought.
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
