//! The environments' own `bitops.config.yaml`: what they declare, and what of a source's may take part.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use compose_model::{
    TreeFile, TreePath,
    config_key::{LIST, PARENT},
    file_name::{CONFIG, LOCK},
    text,
};

use super::{
    Request,
    composition::{Clash, ConflictKind, Party},
    edit::{self, Cut, DEPLOYMENTS, Declared},
    party::{local_party, source_party},
};
use crate::layer::{ContentsError, LocalKind, Part, SourceId};

/// Where a config names its sources.
const SOURCES: [&[&str]; 2] = [&[LIST], &[PARENT, LIST]];

/// What becomes of a layer's config before it takes part.
#[derive(Clone, Debug)]
pub(super) enum Rewrite {
    /// It takes part as it is.
    Keep,
    /// It takes part with less in it.
    To(Rewritten),
    /// Nothing of it is left.
    Drop,
}

/// A text that was cut before it takes part.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// The bytes that take part.
    pub(super) bytes: Arc<[u8]>,
    /// What was cut, to tell lines of the original.
    pub(super) cuts: Arc<[Cut]>,
}

/// The config of one layer.
#[derive(Debug)]
struct LayerConfig<'a> {
    source: SourceId,
    file: &'a TreeFile,
    text: Arc<str>,
    rewrite: Rewrite,
}

/// Every config that stands at the root of an environment.
#[derive(Debug, Default)]
pub(super) struct Configs<'a> {
    /// By layer.
    layers: BTreeMap<usize, LayerConfig<'a>>,
    /// What each source declares; the environment's own over its default folder's.
    pub(super) declared: BTreeMap<SourceId, Vec<(Declared, &'a TreeFile)>>,
    /// What the local environment declares; `None`: it has no list.
    pub(super) local: Option<Vec<Declared>>,
    pub(super) conflicts: Vec<Clash>,
}

impl<'a> Configs<'a> {
    /// Reads them all; nothing at all when there is nothing to compose and nothing to show.
    pub(super) fn read(request: &Request<'a>) -> Result<Self, ContentsError> {
        let mut configs = Self::default();
        for (index, layer) in request.layers.layers.iter().enumerate() {
            if let Part::Shared(_) = layer.part {
                continue;
            }
            let found = layer
                .files
                .binary_search_by(|file| file.path.as_str().cmp(CONFIG));
            let Ok(at) = found else { continue };
            let file = &layer.files[at];
            let bytes = request.contents.read(layer.source, file)?;
            configs.source(request, index, layer.source, file, &bytes);
        }
        if request.list_local || request.layers.layers.iter().any(|layer| !layer.files.is_empty()) {
            configs.read_local(request)?;
        }
        Ok(configs)
    }

    fn source(
        &mut self,
        request: &Request<'_>,
        layer: usize,
        source: SourceId,
        file: &'a TreeFile,
        bytes: &[u8],
    ) {
        let declared = text_of(bytes).and_then(|text| edit::declared(&text).map(|declared| (text, declared)));
        match declared {
            Ok((text, declared)) => {
                self.declare(source, file, declared.unwrap_or_default());
                self.layers.insert(
                    layer,
                    LayerConfig {
                        source,
                        file,
                        text: text.into(),
                        rewrite: Rewrite::Keep,
                    },
                );
            }
            Err(why) => {
                let party = source_party(source, file);
                self.conflicts
                    .push(config_conflict(request.environment, &why, party));
            }
        }
    }

    fn declare(&mut self, source: SourceId, file: &'a TreeFile, declared: Vec<Declared>) {
        let known = self.declared.entry(source).or_default();
        for one in declared {
            match known.iter_mut().find(|(earlier, _)| earlier.name == one.name) {
                Some(earlier) => *earlier = (one, file),
                None => known.push((one, file)),
            }
        }
    }

    fn read_local(&mut self, request: &Request<'_>) -> Result<(), ContentsError> {
        let path = config_path(request.environment);
        let Some(LocalKind::File(_)) = request.local.kind(&path)? else {
            return Ok(());
        };
        let bytes = request.local.read(&path)?;
        match text_of(&bytes).and_then(|text| edit::declared(&text)) {
            Ok(declared) => self.local = declared,
            Err(why) => self
                .conflicts
                .push(config_conflict(request.environment, &why, local_party(&path))),
        }
        Ok(())
    }

    /// What the local environment declares.
    pub(super) fn own(&self) -> &[Declared] {
        self.local.as_deref().unwrap_or_default()
    }

    /// A source's own `default-environments` have been composed: they do not appear again. Nor do its deployments: they are
    /// in the generated list. Where none is generated no source has any, and an empty list of one, which to the pipeline is
    /// a list, would keep all others from running.
    pub(super) fn rewrite_all(&mut self, environment: &TreePath) {
        let gone = [SOURCES[0], SOURCES[1], &DEPLOYMENTS];
        for config in self.layers.values_mut() {
            match without(&config.text, &gone) {
                Ok(rewrite) => config.rewrite = rewrite,
                Err(why) => {
                    let party = source_party(config.source, config.file);
                    self.conflicts.push(config_conflict(environment, &why, party));
                }
            }
        }
    }

    /// What becomes of a file of a layer that lands in the environment.
    pub(super) fn rewrite(&self, layer: usize, file: &TreeFile) -> Rewrite {
        match self.layers.get(&layer) {
            // A source's own lock says how it was resolved where it was written, which does not concern this environment.
            _ if file.path.as_str() == LOCK => Rewrite::Drop,
            Some(config) if config.file.path == file.path => config.rewrite.clone(),
            _ => Rewrite::Keep,
        }
    }

    /// Configs of which nothing is left beside their deployments, lowest first.
    pub(super) fn emptied(&self) -> impl Iterator<Item = (SourceId, &'a TreeFile)> {
        let emptied = self
            .layers
            .values()
            .filter(|config| matches!(config.rewrite, Rewrite::Drop));
        emptied.map(|config| (config.source, config.file))
    }
}

/// A config that names no sources any more, all else as the user wrote it; `None`: it says nothing else. The error is
/// why the sources cannot be taken out of this text.
pub fn without_sources(text: &str) -> Result<Option<String>, String> {
    let mut current = text.to_owned();
    for path in SOURCES {
        match edit::remove(&current, path)? {
            Some((edited, _)) => current = edited,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

fn without(text: &str, paths: &[&[&str]]) -> Result<Rewrite, String> {
    let (mut current, mut cuts) = (text.to_owned(), Vec::new());
    for path in paths {
        match edit::remove(&current, path)? {
            Some((edited, more)) => {
                current = edited;
                cuts.extend(more);
            }
            None => return Ok(Rewrite::Drop),
        }
    }
    if cuts.is_empty() {
        return Ok(Rewrite::Keep);
    }
    Ok(Rewrite::To(Rewritten {
        bytes: current.into_bytes().into(),
        cuts: cuts.into(),
    }))
}

/// Where the environment's config stands.
pub(super) fn config_path(environment: &TreePath) -> TreePath {
    // The name is a valid component, and an environment whose path leaves no room for it could hold no file at all.
    TreePath::new(format!("{environment}/{CONFIG}")).unwrap_or_else(|_| environment.clone())
}

/// The text of a config, which keeps a byte-order mark of UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    compose_yaml::read_text(bytes).map_err(|error| error.to_string())
}

pub(super) fn config_conflict(environment: &TreePath, why: &str, party: Party) -> Clash {
    Clash {
        path: config_path(environment),
        kind: ConflictKind::Config {
            why: text::escape(why, 200),
        },
        parties: vec![party],
    }
}
