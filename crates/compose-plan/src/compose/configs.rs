//! The environments' own `bitops.config.yaml`: what each declares, and which parts of a source's
//! config take part.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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

/// The change to a layer's config before it is composed.
#[derive(Clone, Debug)]
pub(super) enum Rewrite {
    /// The config takes part as it is.
    Keep,
    /// The config takes part without some of its keys.
    To(Rewritten),
    /// The config does not take part, because nothing of it is left.
    Drop,
}

/// A text from which parts were cut before it takes part.
#[derive(Clone, Debug)]
pub(super) struct Rewritten {
    /// The bytes that take part.
    pub(super) bytes: Arc<[u8]>,
    /// The lines that were cut, from which the original line numbers are computed.
    pub(super) cuts: Arc<[Cut]>,
}

/// The config of one layer, if it is usable.
#[derive(Debug)]
struct UsableConfig<'a> {
    source: SourceId,
    file: &'a TreeFile,
    rewrite: Rewrite,
}

/// The configs that stand at the root of an environment.
#[derive(Debug, Default)]
pub(super) struct Configs<'a> {
    /// The usable configs of the sources, by layer.
    layers: BTreeMap<usize, UsableConfig<'a>>,
    /// The deployments that each source declares. Those of its environment win over those of its
    /// default folder.
    pub(super) declared: BTreeMap<SourceId, Vec<(Declared, &'a TreeFile)>>,
    /// The deployments that the local environment declares, or `None` if it has no list.
    pub(super) local: Option<Vec<Declared>>,
    pub(super) conflicts: Vec<Clash>,
}

impl<'a> Configs<'a> {
    /// Reads all configs. The local one is not read if there is nothing to compose and nothing to
    /// show.
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
        let names = known.iter().map(|(earlier, _)| earlier.name.clone());
        let places: HashMap<String, usize> = names.zip(0..).collect();
        // The names of one config differ.
        for deployment in declared {
            match places.get(&deployment.name) {
                Some(earlier) => known[*earlier] = (deployment.clone(), file),
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

    /// Returns the deployments that the local environment declares.
    pub(super) fn own(&self) -> &[Declared] {
        self.local.as_deref().unwrap_or_default()
    }

    /// Returns the change to a file that a layer has in the environment.
    pub(super) fn rewrite(&self, layer: usize, file: &TreeFile) -> Rewrite {
        match self.layers.get(&layer) {
            // A source's own lock records how that source was resolved where it was written, which
            // does not concern this environment.
            _ if file.path.as_str() == LOCK => Rewrite::Drop,
            Some(config) if config.file.path == file.path => config.rewrite.clone(),
            _ => Rewrite::Keep,
        }
    }

    /// Returns the configs of which nothing is left without their deployments, lowest first.
    pub(super) fn emptied(&self) -> impl Iterator<Item = (SourceId, &'a TreeFile)> {
        let emptied = self
            .layers
            .values()
            .filter(|config| matches!(config.rewrite, Rewrite::Drop));
        emptied.map(|config| (config.source, config.file))
    }
}

/// Returns the text of a config without its sources, with all other text as the user wrote it.
/// Returns `None` if the config says nothing else.
///
/// # Errors
///
/// Returns an error if the sources cannot be taken out of this text.
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

/// Returns the change to a source's config before it is composed.
///
/// The source's own `default-environments` are taken out, because they have been composed already.
/// Its deployments are taken out, because they are in the generated list. If no list is generated,
/// no source declares any deployment. An empty list in a source's config is taken out as well: the
/// pipeline treats it as a list, so it would keep all other deployments from running.
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
