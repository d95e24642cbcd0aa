//! The deployments that a config declares.

use std::{borrow::Cow, collections::HashMap};

use compose_model::{TreePath, path::InvalidPath, text::escape};
use compose_yaml::{Kind, NodeId, Tree};

/// The path of the mapping that names deployments.
pub(crate) const DEPLOYMENTS: [&str; 2] = ["bitops", "deployments"];

/// A deployment as a config declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub(crate) name: String,
    pub(crate) plugin: String,
    /// The keys other than `plugin`.
    pub(crate) others: Vec<String>,
    /// The line of the name, from 1.
    pub(crate) line: usize,
}

/// Why the deployments of a config cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentsError {
    /// The bytes are not text.
    #[error("{problem}")]
    NotText {
        /// What is wrong.
        problem: compose_yaml::Problem,
    },
    /// The text is not YAML that BitOps reads.
    #[error("line {line}: {problem}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: compose_yaml::Problem,
    },
    /// `deployments` is a list or a scalar.
    #[error("line {line}: `deployments` is not a mapping")]
    NotMapping {
        /// The line, from 1.
        line: usize,
    },
    /// The name of a deployment is a collection.
    #[error("line {line}: a deployment's name is not a text")]
    NameNotText {
        /// The line of the name, from 1.
        line: usize,
    },
    /// The name of a deployment is not the path of a directory.
    #[error("line {line}: the deployment `{}`: {reason}", escape(.name, 80))]
    InvalidName {
        /// The line of the name, from 1.
        line: usize,
        /// The name.
        name: String,
        /// Why it is not a path.
        reason: InvalidPath,
    },
    /// The deployment does not name a plugin.
    #[error("line {line}: the deployment `{}` names no plugin", escape(.name, 80))]
    NoPlugin {
        /// The line of the name, from 1.
        line: usize,
        /// The name.
        name: String,
    },
}

/// Decodes a config. A UTF-8 byte-order mark stays in the text, so that an edit keeps it.
pub(crate) fn text_of(bytes: &[u8]) -> Result<Cow<'_, str>, DeploymentsError> {
    compose_yaml::read_text(bytes).map_err(|error| DeploymentsError::NotText {
        problem: error.problem,
    })
}

impl DeploymentsError {
    pub(super) fn unreadable(error: &compose_yaml::Error, text: &str) -> Self {
        Self::Unreadable {
            line: error.line_column(text).0,
            problem: error.problem.clone(),
        }
    }
}

/// Returns the deployments that a config declares, in its order, or `None` if it has no list at
/// all, not even an empty one.
pub(crate) fn declared(text: &str) -> Result<Option<Vec<Declared>>, DeploymentsError> {
    let tree = Tree::parse(text).map_err(|error| DeploymentsError::unreadable(&error, text))?;
    declared_in(&tree)
}

/// Returns the same as [`declared`] for a text that is already parsed.
pub(super) fn declared_in(tree: &Tree<'_>) -> Result<Option<Vec<Declared>>, DeploymentsError> {
    let Some(list) = tree
        .find(&DEPLOYMENTS)
        .filter(|list| !tree.nodes[*list].is_null())
    else {
        return Ok(None);
    };
    let line_of = |node: NodeId| tree.lines.line(tree.nodes[node].start);
    let map = tree
        .map(list)
        .ok_or_else(|| DeploymentsError::NotMapping { line: line_of(list) })?;
    let mut declared: Vec<Declared> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in &map.entries {
        let line = line_of(entry.key);
        let name = match &tree.nodes[entry.key].kind {
            Kind::Scalar { value, .. } => &**value,
            _ => return Err(DeploymentsError::NameNotText { line }),
        };
        TreePath::new(name).map_err(|reason| DeploymentsError::InvalidName {
            line,
            name: name.to_owned(),
            reason,
        })?;
        let plugin = tree
            .get(entry.value, "plugin")
            .and_then(|plugin| tree.value(plugin))
            .filter(|plugin| TreePath::new(*plugin).is_ok())
            .ok_or_else(|| DeploymentsError::NoPlugin {
                line,
                name: name.to_owned(),
            })?;
        let pairs = tree.pairs(entry.value).unwrap_or_default();
        let keys = pairs.iter().filter_map(|(key, _)| tree.value(*key));
        let others = keys.filter(|key| *key != "plugin").map(str::to_owned).collect();
        // The last of several equal names wins, at the place of the first.
        let deployment = Declared {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            others,
            line,
        };
        match places.get(name) {
            Some(earlier) => declared[*earlier] = deployment,
            None => {
                places.insert(name, declared.len());
                declared.push(deployment);
            }
        }
    }
    Ok(Some(declared))
}
