//! Edits of a `bitops.config.yaml`: its deployments, and what a layer's config loses before it takes part.

use compose_model::{TreePath, text};
use compose_yaml::{EditError, Editor, Kind, NewValue, NodeId, Step, Tree};

pub(super) use compose_yaml::{Cut, original_line};

/// The path of the mapping that names deployments.
pub(super) const DEPLOYMENTS: [&str; 2] = ["bitops", "deployments"];

/// A deployment as a config declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) plugin: String,
    /// What else stands beside `plugin`.
    pub(super) others: Vec<String>,
    /// Line of the name, from 1.
    pub(super) line: usize,
}

/// The deployments that a config declares, in its order; `None`: it has no list, not even an empty one. `Err`: why they
/// cannot be told.
pub(super) fn declared(text: &str) -> Result<Option<Vec<Declared>>, String> {
    let tree = Tree::parse(text).map_err(|error| error.with_line(text))?;
    let Some(list) = tree
        .find(&DEPLOYMENTS)
        .filter(|list| !tree.nodes[*list].is_null())
    else {
        return Ok(None);
    };
    let at = |node: NodeId, why: &str| format!("line {}: {why}", tree.lines.line(tree.nodes[node].start));
    let map = tree
        .map(list)
        .ok_or_else(|| at(list, "`deployments` is not a mapping"))?;
    let mut declared: Vec<Declared> = Vec::new();
    for entry in &map.entries {
        let key = entry.key;
        let name = match &tree.nodes[key].kind {
            Kind::Scalar { value, .. } => &**value,
            _ => return Err(at(key, "a deployment's name is not a text")),
        };
        check_name(name).map_err(|why| {
            at(
                key,
                &format!("the deployment `{}`: {why}", text::escape(name, 80)),
            )
        })?;
        let plugin = tree
            .get(entry.value, "plugin")
            .and_then(|plugin| tree.value(plugin))
            .filter(|plugin| check_name(plugin).is_ok())
            .ok_or_else(|| at(key, &format!("the deployment `{name}` names no plugin")))?;
        let pairs = tree.pairs(entry.value).unwrap_or_default();
        let keys = pairs.iter().filter_map(|(key, _)| tree.value(*key));
        let others = keys.filter(|key| *key != "plugin").map(str::to_owned).collect();
        // The last of equal names wins, at the place of the first.
        let one = Declared {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            others,
            line: tree.lines.line(tree.nodes[key].start),
        };
        match declared.iter_mut().find(|earlier| earlier.name == name) {
            Some(earlier) => *earlier = one,
            None => declared.push(one),
        }
    }
    Ok(Some(declared))
}

fn check_name(name: &str) -> Result<(), String> {
    TreePath::new(name).map(drop).map_err(|why| why.to_string())
}

fn keys<'a>(path: &[&'a str]) -> Vec<Step<'a>> {
    path.iter().map(|key| Step::Key(key)).collect()
}

/// The text without every entry at a path, and without what would hold nothing then; `None`: nothing remains.
pub(super) fn remove(text: &str, path: &[&str]) -> Result<Option<(String, Vec<Cut>)>, String> {
    let edit = || -> Result<_, EditError> {
        let mut editor = Editor::parse(text)?;
        let cuts = editor.remove(&keys(path))?;
        Ok(cuts.map(|cuts| (editor.text().to_owned(), cuts)))
    };
    edit().map_err(|error| error.to_string())
}

/// The text with exactly these deployments, in this order. Entries that are there already keep their text.
pub(super) fn set_deployments(text: &str, wanted: &[(&str, &str)]) -> Result<String, String> {
    let says = |text: &str| -> Result<bool, String> {
        let declared = declared(text)?.unwrap_or_default();
        Ok(declared
            .iter()
            .map(|one| (one.name.as_str(), one.plugin.as_str()))
            .eq(wanted.iter().copied()))
    };
    if says(text)? {
        return Ok(text.to_owned());
    }
    let plugin = |plugin: &str| NewValue::Map(vec![("plugin".to_owned(), NewValue::Text(plugin.to_owned()))]);
    let entries: Vec<_> = wanted
        .iter()
        .map(|(name, of)| ((*name).to_owned(), plugin(of)))
        .collect();
    let edit = || -> Result<_, EditError> {
        let mut editor = Editor::parse(text)?;
        editor.arrange(&keys(&DEPLOYMENTS), &entries)?;
        Ok(editor)
    };
    let editor = edit().map_err(|error| error.to_string())?;
    if says(editor.text())? {
        Ok(editor.text().to_owned())
    } else {
        Err("its layout is too unusual to add `deployments`".to_owned())
    }
}
