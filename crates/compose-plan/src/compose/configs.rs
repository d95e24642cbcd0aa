//! The environments' own `bitops.config.yaml`: what they declare, and what of a source's may take part.

use std::{collections::BTreeMap, sync::Arc};

use compose_model::{TreeFile, TreePath, file_name::LOCK};
use compose_yaml::EditError;

use super::{
    Request,
    composition::{Clash, ConflictKind, Party},
    edit::{self, Cut},
    party::{local_party, source_party},
    problem::ConfigProblem,
};
use crate::{
    config::{
        Declared, EnvironmentConfig,
        deployments::{DEPLOYMENTS, declared, text_of},
        environment::SOURCES,
    },
    layer::{ContentsError, LocalKind, SourceId},
};

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

/// The config of one layer, if it is usable.
#[derive(Debug)]
struct UsableConfig<'a> {
    source: SourceId,
    file: &'a TreeFile,
    rewrite: Rewrite,
}

/// Every config that stands at the root of an environment.
#[derive(Debug, Default)]
pub(super) struct Configs<'a> {
    /// By layer.
    layers: BTreeMap<usize, UsableConfig<'a>>,
    /// What each source declares; the environment's own over its default folder's.
    pub(super) declared: BTreeMap<SourceId, Vec<(Declared, &'a TreeFile)>>,
    /// What the local environment declares; `None`: it has no list.
    pub(super) local: Option<Vec<Declared>>,
    pub(super) conflicts: Vec<Clash>,
}

impl<'a> Configs<'a> {
    /// Looks at them all. The local one is not read if there is nothing to compose and nothing to show.
    pub(super) fn read(request: &Request<'a>) -> Result<Self, ContentsError> {
        let mut configs = Self::default();
        for (index, layer) in request.layers.layers.iter().enumerate() {
            if let Some(config) = &layer.config {
                let usable = match &config.parsed {
                    Ok(parsed) => configs.source(layer.source, &config.file, parsed),
                    Err(error) => Err(error.clone().into()),
                };
                match usable {
                    Ok(usable) => _ = configs.layers.insert(index, usable),
                    Err(problem) => {
                        let party = source_party(layer.source, &config.file);
                        configs
                            .conflicts
                            .push(config_conflict(request.environment, problem, party));
                    }
                }
            }
        }
        if request.list_local || request.layers.layers.iter().any(|layer| !layer.files.is_empty()) {
            configs.read_local(request)?;
        }
        Ok(configs)
    }

    fn source(
        &mut self,
        source: SourceId,
        file: &'a TreeFile,
        config: &EnvironmentConfig,
    ) -> Result<UsableConfig<'a>, ConfigProblem> {
        self.declare(source, file, config.deployments());
        Ok(UsableConfig {
            source,
            file,
            rewrite: rewrite(config)?,
        })
    }

    fn declare(&mut self, source: SourceId, file: &'a TreeFile, declared: &[Declared]) {
        let known = self.declared.entry(source).or_default();
        for deployment in declared {
            match known
                .iter_mut()
                .find(|(earlier, _)| earlier.name == deployment.name)
            {
                Some(earlier) => *earlier = (deployment.clone(), file),
                None => known.push((deployment.clone(), file)),
            }
        }
    }

    fn read_local(&mut self, request: &Request<'_>) -> Result<(), ContentsError> {
        let path = request.environment.environment_config();
        let Some(LocalKind::File(_)) = request.local.kind(&path)? else {
            return Ok(());
        };
        let bytes = request.local.read(&path)?;
        match text_of(&bytes).and_then(|text| declared(&text)) {
            Ok(declared) => self.local = declared,
            Err(error) => self.conflicts.push(config_conflict(
                request.environment,
                error.into(),
                local_party(&path),
            )),
        }
        Ok(())
    }

    /// What the local environment declares.
    pub(super) fn own(&self) -> &[Declared] {
        self.local.as_deref().unwrap_or_default()
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

/// Returns a config that names no sources any more, with all other text as the user wrote it; `None` if it says
/// nothing else.
///
/// # Errors
///
/// If the sources cannot be taken out of this text.
pub fn without_sources(text: &str) -> Result<Option<String>, EditError> {
    let mut current = text.to_owned();
    for path in SOURCES {
        match edit::remove(&current, path)? {
            Some((edited, _)) => current = edited,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// A source's own `default-environments` have been composed: they do not appear again. Nor do its deployments: they are
/// in the generated list. Where none is generated no source has any, and an empty list of one, which to the pipeline is
/// a list, would keep all others from running.
fn rewrite(config: &EnvironmentConfig) -> Result<Rewrite, EditError> {
    if !config.is_to_edit() {
        return Ok(Rewrite::Keep);
    }
    let (mut current, mut cuts) = (config.text().to_owned(), Vec::new());
    for path in [SOURCES[0], SOURCES[1], &DEPLOYMENTS] {
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

pub(super) fn config_conflict(environment: &TreePath, problem: ConfigProblem, party: Party) -> Clash {
    Clash {
        path: environment.environment_config(),
        kind: ConflictKind::Config { problem },
        parties: vec![party],
    }
}
