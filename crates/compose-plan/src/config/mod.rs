//! Reads `bitops.config.yaml` into checked sources and reports every mistake with its place.
//!
//! | module | holds |
//! |---|---|
//! | `environment` | a source's config, parsed once |
//! | `deployments` | the deployments that a config declares |
//! | `indentation` | what is wrong with the spaces of a text that is not YAML |
//! | `ignored` | lists that would be ignored |
//! | `keys` | the table of keys that parser and schema share |
//! | `forms` | what the schema can say of their texts |
//! | `fields` | a mapping read by that table |
//! | `source` | one entry, checked |
//! | `edit` | the list changed in its text |
//! | `schema` | the JSON Schema |

pub(crate) mod deployments;
mod edit;
pub(crate) mod environment;
pub(crate) mod fields;
pub(crate) mod forms;
mod ignored;
mod indentation;
pub(crate) mod keys;
mod schema;
mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use compose_model::{Diagnostic, Nesting, SourceSpec, config_key::PARENT, redact};
use compose_yaml::{Kind, NodeId, Tree};

pub use deployments::{Declared, DeploymentsError};
pub use edit::{NewSource, NotEdited, SourceList};
pub use environment::{EnvironmentConfig, NestedConfig};
pub use ignored::{
    deployments_below_directories, empty, has_deployments, misplaced, misspelt, seems_to_name_sources,
};
pub(crate) use schema::lock_schema;
pub use schema::{schema, schema_id};

pub use compose_model::config_key::LIST;
pub use compose_yaml::{decode_lossy, is_utf16, read_text};
use fields::{Mistakes, describe};

/// The greatest config that is read, in bytes.
pub const MAX_CONFIG_SIZE: usize = 1 << 20;
/// The most sources that one run composes, and so the most that one config may name.
pub const MAX_SOURCES: usize = 1_000;

/// Returns the sources that a config names, in order, or every mistake at once. A config without
/// `default-environments` names none.
///
/// `file` is the config as the user would name it. The places of sources and mistakes hold the text
/// with its credentials masked, so that no report can show one.
pub fn parse(file: &Arc<str>, text: &Arc<str>, nesting: Nesting) -> Result<Vec<SourceSpec>, Vec<Diagnostic>> {
    sources_of(file, text, &Tree::parse(&**text), nesting)
}

/// Returns the same as [`parse`] for a text that is already parsed.
fn sources_of(
    file: &Arc<str>,
    text: &Arc<str>,
    tree: &Result<Tree<'_>, compose_yaml::Error>,
    nesting: Nesting,
) -> Result<Vec<SourceSpec>, Vec<Diagnostic>> {
    let mut mistakes = Mistakes::new(file, redact(text));
    let specs = sources(text, tree, nesting, &mut mistakes);
    let mistakes = mistakes.finish();
    if mistakes.is_empty() {
        Ok(specs)
    } else {
        Err(mistakes)
    }
}

fn sources(
    text: &str,
    tree: &Result<Tree<'_>, compose_yaml::Error>,
    nesting: Nesting,
    mistakes: &mut Mistakes,
) -> Vec<SourceSpec> {
    if text.len() > MAX_CONFIG_SIZE {
        let message = format!(
            "the config has {} bytes; at most {MAX_CONFIG_SIZE} are read",
            text.len()
        );
        mistakes.add(&(0..0), message, None);
        return Vec::new();
    }
    let tree = match tree {
        Ok(tree) => tree,
        // BitOps reports what is wrong with a config that names no sources.
        Err(error) if !error.is_final() && !mentions_list(text.as_bytes()) => return Vec::new(),
        Err(error) => {
            let marked = text[error.at..].chars().next().map_or(0, char::len_utf8);
            let hint = indentation::hint(text, error.at).or_else(|| to_quote(&text[error.at..]));
            mistakes.add(&(error.at..error.at + marked), error.to_string(), hint);
            return Vec::new();
        }
    };
    let Some(list) = find_list(tree, mistakes) else {
        return Vec::new();
    };
    let mut specs = Vec::new();
    for item in list {
        if tree.is_exhausted() {
            break;
        }
        let span = tree.node(item).span();
        mistakes.begin(Some(span));
        specs.extend(source::read(tree, item, nesting, mistakes));
    }
    mistakes.begin(None);
    refuse_repeated(&specs, mistakes);
    if tree.is_exhausted() {
        let hint = "write the sources out instead of repeating them by aliases (`*name`)";
        mistakes.only(
            "the config holds more than any config would, counting what aliases repeat",
            hint,
        );
    }
    specs
}

/// Returns whether a config mentions the list outside of comments. It does not parse the config. A
/// config in UTF-16 is decoded first; any other one is searched as it is.
pub fn mentions_list(text: &[u8]) -> bool {
    if is_utf16(text) {
        return mentions_list(decode_lossy(text).as_bytes());
    }
    let holds = |line: &[u8]| line.windows(LIST.len()).any(|window| window == LIST.as_bytes());
    text.split(|byte| matches!(byte, b'\n' | b'\r')).any(|line| {
        let line = line.trim_ascii_start();
        !line.starts_with(b"#") && holds(line)
    })
}

/// Returns a hint to quote values such as `version: >=1.0` and `version: *`, which mean something
/// else in YAML or are invalid.
fn to_quote(text: &str) -> Option<String> {
    let mut chars = text.chars();
    let first = chars.next().filter(|c| ">|*&@`%!".contains(*c))?;
    // An alias `*name` is meant as YAML reads it.
    let is_alias = first == '*' && chars.next().is_some_and(char::is_alphanumeric);
    let hint = format!("a value that begins with `{first}` needs quotes, such as `version: \">=1.0\"`");
    (!is_alias).then_some(hint)
}

/// Returns the items of the only list.
fn find_list(tree: &Tree, mistakes: &mut Mistakes) -> Option<Vec<NodeId>> {
    let root = tree.root()?;
    // A list in a root that is not a mapping is reported as well.
    let root = match tree.map(tree.resolve(root)) {
        Some(_) => tree.pairs(root)?,
        None => Vec::new(),
    };
    let of = |pairs: &[(NodeId, NodeId)], name| -> Vec<(NodeId, NodeId)> {
        pairs
            .iter()
            .copied()
            .filter(|(key, _)| tree.value(*key) == Some(name))
            .collect()
    };
    let mut lists = of(&root, LIST);
    for (_, parent) in of(&root, PARENT) {
        lists.extend(of(&tree.pairs(parent).unwrap_or_default(), LIST));
    }
    refuse_misplaced(tree, &lists, mistakes);
    let at_root = root.iter().filter_map(|(key, _)| Some((tree.value(*key)?, *key)));
    let of_entries = at_root.filter(|(name, _)| keys::SOURCE.iter().any(|key| key.name == *name));
    let of_entries = of_entries.map(|(name, key)| (name.to_owned(), tree.node(key).span()));
    mistakes.set_outside(of_entries.collect());
    let ((_, first), others) = lists.split_first()?;
    for (key, _) in others {
        let line = mistakes.line(&tree.node(lists[0].0).span());
        let hint = format!("keep one list, at the root or under `{PARENT}`");
        mistakes.add(
            &tree.node(*key).span(),
            format!("`{LIST}` stands twice, first on line {line}"),
            Some(hint),
        );
    }
    let node = tree.node(*first);
    let items: Vec<NodeId> = tree.items(tree.resolve(*first)).collect();
    match node.kind {
        Kind::Sequence { .. } if items.len() > MAX_SOURCES => {
            let message = format!(
                "`{LIST}` has {} sources; at most {MAX_SOURCES} are composed",
                items.len()
            );
            mistakes.add(&tree.node(lists[0].0).span(), message, None);
            None
        }
        Kind::Sequence { .. } => Some(items),
        _ if node.is_null() => None,
        _ => {
            let hint = "each source begins with `- repo: …`";
            mistakes.add(
                &tree.node(lists[0].0).span(),
                format!("`{LIST}` must be a list, not {}", describe(node)),
                Some(hint.into()),
            );
            None
        }
    }
}

/// Reports lists under any other key, which would be ignored silently. A list in the first of the
/// `lists` is a mistake of the entry itself.
fn refuse_misplaced(tree: &Tree, lists: &[(NodeId, NodeId)], mistakes: &mut Mistakes) {
    let known: HashSet<NodeId> = lists.iter().map(|(key, _)| *key).collect();
    let first = lists.first().map(|(_, list)| tree.node(*list).span());
    let is_known = |key: NodeId| {
        let at = tree.node(key).start;
        known.contains(&key) || first.as_ref().is_some_and(|list| list.contains(&at))
    };
    for node in &tree.nodes {
        let Kind::Map(map) = &node.kind else {
            continue;
        };
        let keys = map.entries.iter().map(|entry| entry.key);
        for key in keys.filter(|key| tree.value(*key) == Some(LIST) && !is_known(*key)) {
            let hint = format!("put it at the root of the file, or directly under `{PARENT}:`");
            mistakes.add(
                &tree.node(key).span(),
                format!("`{LIST}` has no effect here"),
                Some(hint),
            );
        }
    }
}

/// Reports environments of a repo that are named more than once, because each is composed only
/// once.
fn refuse_repeated(specs: &[SourceSpec], mistakes: &mut Mistakes) {
    let mut seen = HashMap::new();
    for spec in specs {
        let Some(first) = seen.insert((&spec.repo, &spec.environment), spec) else {
            continue;
        };
        let line = first.place.line_column().0;
        let what = format!("`{}` of {}", spec.environment, spec.repo);
        let (message, hint) = if spec.requested == first.requested {
            let hint = if spec.rename == first.rename {
                "remove one of the two"
            } else {
                "an environment of a repo is composed once, whatever its `as`: remove one of the two"
            };
            (format!("{what} is named twice, first on line {line}"), hint)
        } else {
            let (one, other) = (first.requested.as_str(), spec.requested.as_str());
            let message = format!("{what} is named twice, as `{one}` on line {line} and as `{other}` here");
            (
                message,
                "an environment of a repo is composed once: choose one of the two",
            )
        };
        mistakes.add(&spec.place.span, message, Some(hint.into()));
    }
}
