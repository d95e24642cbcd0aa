//! The config of a source's environment, parsed once for every lookup.

use std::sync::Arc;

use compose_model::{
    Diagnostic, Nesting, SourceSpec,
    config_key::{LIST, PARENT},
};
use compose_yaml::Tree;

use super::{
    deployments::{DEPLOYMENTS, Declared, DeploymentsError, declared_in, text_of},
    ignored, seems_to_name_sources, sources_of,
};

/// The places at which a config names its sources.
pub(crate) const SOURCES: [&[&str]; 2] = [&[LIST], &[PARENT, LIST]];

/// The part of a source's config that composing needs.
#[derive(Clone, Debug)]
pub struct EnvironmentConfig {
    text: Arc<str>,
    deployments: Arc<[Declared]>,
    is_to_edit: bool,
}

/// A source's config: the further sources that it names, and what composing needs of it.
#[derive(Clone, Debug)]
pub struct NestedConfig {
    /// The sources that the config names.
    pub sources: Vec<SourceSpec>,
    /// Warnings about keys that have no effect. They are not errors, because the user cannot edit
    /// this config.
    pub warnings: Vec<Diagnostic>,
    /// The text and its deployments. An error is a conflict of the composition, unless a filter leaves the file out.
    pub environment: Result<EnvironmentConfig, DeploymentsError>,
}

impl NestedConfig {
    /// Reads a source's config. `file` is the config for messages.
    ///
    /// # Errors
    ///
    /// Returns every mistake in the list of sources, with its place. A config without such a list
    /// is never refused here.
    pub fn parse(file: &Arc<str>, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        let text = match text_of(bytes) {
            Ok(text) => text,
            Err(error) => {
                return Ok(Self {
                    sources: Vec::new(),
                    warnings: Vec::new(),
                    environment: Err(error),
                });
            }
        };
        let text: Arc<str> = text.into();
        let tree = Tree::parse(&*text);
        let (mut sources, mut warnings) = (Vec::new(), Vec::new());
        if seems_to_name_sources(text.as_bytes()) || text.contains(LIST) {
            sources = sources_of(file, &text, &tree, Nesting::Nested)?;
            let ignored = ignored::misspelt_in(file, &text, tree.as_ref().ok());
            warnings = ignored.into_iter().map(Diagnostic::into_warning).collect();
        }
        let environment = EnvironmentConfig::of(&text, &tree);
        Ok(Self {
            sources,
            warnings,
            environment,
        })
    }
}

impl EnvironmentConfig {
    /// Reads a config of which only the deployments matter, such as that of a default folder.
    pub fn parse(bytes: &[u8]) -> Result<Self, DeploymentsError> {
        let text: Arc<str> = text_of(bytes)?.into();
        Self::of(&text, &Tree::parse(&*text))
    }

    fn of(text: &Arc<str>, tree: &Result<Tree<'_>, compose_yaml::Error>) -> Result<Self, DeploymentsError> {
        let tree = tree
            .as_ref()
            .map_err(|error| DeploymentsError::unreadable(error, text))?;
        let deployments = declared_in(tree)?.unwrap_or_default().into();
        let mut edited = SOURCES.into_iter().chain([&DEPLOYMENTS as &[&str]]);
        let is_to_edit = edited.any(|path| tree.find(path).is_some());
        Ok(Self {
            text: Arc::clone(text),
            deployments,
            is_to_edit,
        })
    }

    /// Returns the whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the deployments that the config declares, in its order.
    pub(crate) fn deployments(&self) -> &[Declared] {
        &self.deployments
    }

    /// Returns whether the config has a key that is removed before it is composed.
    pub(crate) fn is_to_edit(&self) -> bool {
        self.is_to_edit
    }
}
