//! Edits of a `bitops.config.yaml`: setting its deployments, and removing the keys that a layer's
//! config loses before it is composed.

use compose_yaml::{EditError, Editor, NewValue, Step};

pub(super) use compose_yaml::{Cut, original_line};

use super::problem::ConfigProblem;
use crate::config::{
    DeploymentsError,
    deployments::{DEPLOYMENTS, declared},
};

fn keys<'a>(path: &[&'a str]) -> Vec<Step<'a>> {
    path.iter().map(|key| Step::Key(key)).collect()
}

/// Removes every entry at a path, and every parent that would be left empty. Returns `None` if
/// nothing remains.
pub(super) fn remove(text: &str, path: &[&str]) -> Result<Option<(String, Vec<Cut>)>, EditError> {
    let mut editor = Editor::parse(text)?;
    let cuts = editor.remove(&keys(path))?;
    Ok(cuts.map(|cuts| (editor.text().to_owned(), cuts)))
}

/// Returns the text with exactly these deployments, in this order. Existing entries keep their
/// text.
pub(super) fn set_deployments(text: &str, wanted: &[(&str, &str)]) -> Result<String, ConfigProblem> {
    let is_wanted = |text: &str| -> Result<bool, DeploymentsError> {
        let declared = declared(text)?.unwrap_or_default();
        Ok(declared
            .iter()
            .map(|one| (one.name.as_str(), one.plugin.as_str()))
            .eq(wanted.iter().copied()))
    };
    if is_wanted(text)? {
        return Ok(text.to_owned());
    }
    let plugin = |plugin: &str| NewValue::Map(vec![("plugin".to_owned(), NewValue::Text(plugin.to_owned()))]);
    let entries: Vec<_> = wanted
        .iter()
        .map(|(name, of)| ((*name).to_owned(), plugin(of)))
        .collect();
    let mut editor = Editor::parse(text)?;
    editor.arrange(&keys(&DEPLOYMENTS), &entries)?;
    if is_wanted(editor.text())? {
        Ok(editor.text().to_owned())
    } else {
        Err(ConfigProblem::Layout)
    }
}
