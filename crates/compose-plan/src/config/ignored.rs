//! Finds lists that would be ignored, because they are under a misspelt key or in a file that is
//! not read for them.
//!
//! To Terraform, a source that is left out silently means that its resources are to be destroyed.

use std::{ops::Range, sync::Arc};

use compose_model::{
    Diagnostic, TreePath,
    config_key::{LIST, PARENT},
    redact, text,
};

use compose_yaml::{Kind, NodeId, Tree, decode_lossy, is_utf16};

use super::{EnvironmentConfig, deployments::DEPLOYMENTS, fields::Mistakes};

/// The number of typing errors that are tolerated in a key. Differences in case, hyphens and
/// underscores do not count.
const SLIPS: usize = 2;
/// The key in the form that [`folded`] returns, in plural and singular.
const FOLDED: [&str; 2] = ["defaultenvironments", "defaultenvironment"];
/// The greatest length of a word that is examined, in bytes: [`FOLDED`], the typing errors, and
/// room for quotes, spaces and hyphens.
const LONGEST: usize = 48;

/// Returns whether the text has a key that is `default-environments` or similar. This is a single
/// pass over the bytes without parsing, so a config without any similar key costs no more. Keys in
/// comments do not count.
pub fn seems_to_name_sources(text: &[u8]) -> bool {
    if is_utf16(text) {
        return seems_to_name_sources(decode_lossy(text).as_bytes());
    }
    keys(text).next().is_some()
}

/// Returns an error for each key of an environment's config (at its root or under `bitops`) that is
/// nearly `default-environments`.
pub fn misspelt(file: &Arc<str>, text: &Arc<str>) -> Vec<Diagnostic> {
    misspelt_in(file, text, parsed(text).as_ref())
}

/// Returns the same as [`misspelt`] for a text that is already parsed. `tree` is `None` if the text
/// is not YAML.
pub(super) fn misspelt_in(file: &Arc<str>, text: &Arc<str>, tree: Option<&Tree<'_>>) -> Vec<Diagnostic> {
    let mut mistakes = Mistakes::new(file, redact(text));
    for (span, key) in found(text, tree).into_iter().filter(|(_, key)| key != LIST) {
        let message = format!("`{}` has no effect", text::escape(&key, 60));
        mistakes.add(&span, message, Some(format!("did you mean `{LIST}`?")));
    }
    mistakes.finish()
}

/// Returns an error with `hint` for each list in a file that is not read for it. The config of an
/// environment inside another environment's directory is exempt, because it declares its own
/// deployments.
pub fn misplaced(file: &Arc<str>, text: &Arc<str>, hint: &str) -> Vec<Diagnostic> {
    let mut mistakes = Mistakes::new(file, redact(text));
    for (span, key) in found(text, parsed(text).as_ref()) {
        let message = format!("`{}` has no effect in this file", text::escape(&key, 60));
        mistakes.add(&span, message, Some(hint.to_owned()));
    }
    mistakes.finish()
}

/// Returns whether the text is the config of an environment with deployments of its own.
pub fn has_deployments(text: &str) -> bool {
    let Ok(tree) = Tree::parse(text) else {
        return false;
    };
    let mut parents = parents(&tree).into_iter();
    parents.any(|(_, pairs)| {
        pairs
            .iter()
            .any(|(key, _)| tree.value(*key) == Some("deployments"))
    })
}

/// Returns the names of an environment's deployments that are paths, such as `terraform/aws`.
pub fn deployments_below_directories(text: &[u8]) -> Vec<String> {
    // Most configs have none, and are not parsed for it.
    let has = |part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
    if !has(DEPLOYMENTS[1]) || !has("/") {
        return Vec::new();
    }
    let Ok(config) = EnvironmentConfig::parse(text) else {
        return Vec::new();
    };
    let names = config
        .deployments()
        .iter()
        .map(|one| one.name.trim_end_matches('/'));
    names
        .filter(|name| name.contains('/') && TreePath::new(name).is_ok())
        .map(str::to_owned)
        .collect()
}

/// Returns a warning if the list is present and names nothing.
pub fn empty(file: &Arc<str>, text: &Arc<str>) -> Option<Diagnostic> {
    let tree = Tree::parse(&**text).ok()?;
    let all = root(&tree).into_iter().chain(parents(&tree));
    let (key, _) = all
        .flat_map(|(_, pairs)| pairs)
        .filter(|(key, _)| tree.value(*key) == Some(LIST))
        .find(|(_, value)| match &tree.node(*value).kind {
            Kind::Sequence { .. } => tree.items(tree.resolve(*value)).next().is_none(),
            _ => tree.node(*value).is_null(),
        })?;
    let mut mistakes = Mistakes::new(file, redact(text));
    let hint = "name sources in it, or take the key out";
    mistakes.add(
        &tree.node(key).span(),
        format!("`{LIST}` is empty: nothing is composed"),
        Some(hint.into()),
    );
    mistakes.finish().pop().map(Diagnostic::into_warning)
}

type Pairs = (NodeId, Vec<(NodeId, NodeId)>);

/// Returns the parsed text if it is YAML and has any similar key.
fn parsed(text: &str) -> Option<Tree<'_>> {
    seems_to_name_sources(text.as_bytes())
        .then(|| Tree::parse(text).ok())
        .flatten()
}

/// Returns the similar keys with their places, from the parsed text or, if it is not YAML, from its
/// bytes.
fn found(text: &str, tree: Option<&Tree<'_>>) -> Vec<(Range<usize>, String)> {
    if !seems_to_name_sources(text.as_bytes()) {
        return Vec::new();
    }
    let Some(tree) = tree else {
        let word = |span: Range<usize>| text.get(span.clone()).map(|word| (span, word.to_owned()));
        return keys(text.as_bytes()).filter_map(word).collect();
    };
    root(tree)
        .into_iter()
        .chain(parents(tree))
        .chain(items(tree))
        .flat_map(|(_, pairs)| pairs)
        .filter_map(|(key, _)| {
            let text = tree.value(key).filter(|text| is_alike(text))?;
            Some((tree.node(key).span(), text.to_owned()))
        })
        .collect()
}

fn root(tree: &Tree) -> Option<Pairs> {
    let root = tree.root()?;
    Some((root, tree.pairs(root)?.into_iter().collect()))
}

/// Returns the mappings in a root that is a list, which is nothing to BitOps.
fn items(tree: &Tree) -> Vec<Pairs> {
    let items = tree.root().into_iter().flat_map(|root| tree.items(root));
    items
        .filter_map(|item| Some((item, tree.pairs(item)?.into_iter().collect())))
        .collect()
}

/// Returns the mappings under `bitops`.
fn parents(tree: &Tree) -> Vec<Pairs> {
    let pairs = root(tree).map(|(_, pairs)| pairs).unwrap_or_default();
    pairs
        .into_iter()
        .filter(|(key, _)| tree.value(*key) == Some(PARENT))
        .filter_map(|(_, value)| Some((value, tree.pairs(value)?.into_iter().collect())))
        .collect()
}

/// Returns the text before each colon if it is similar to the key.
fn keys(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let colons = text.iter().enumerate().filter(|(_, byte)| **byte == b':');
    colons.filter_map(|(colon, _)| {
        let from = colon.saturating_sub(LONGEST);
        let before = text[from..colon].trim_ascii_end();
        let begin = before
            .iter()
            .rposition(|byte| b"\n{,".contains(byte))
            .map_or(0, |at| at + 1);
        let word = &before[begin..];
        // Most keys are shorter than anything similar.
        if word.len() < FOLDED[1].len() - SLIPS || word.contains(&b'#') {
            return None;
        }
        // Removes quotes, the hyphens of a list and a byte-order mark.
        let is_part = u8::is_ascii_alphanumeric;
        let first = word.iter().position(is_part)?;
        let last = word.iter().rposition(is_part)?;
        let span = from + begin + first..from + begin + last + 1;
        is_alike(std::str::from_utf8(&text[span.clone()]).ok()?).then_some(span)
    })
}

fn is_alike(key: &str) -> bool {
    if key.len() > LONGEST {
        return false;
    }
    let folded: String = key
        .chars()
        .filter(|c| !"-_ ".contains(*c))
        .flat_map(char::to_lowercase)
        .collect();
    FOLDED
        .iter()
        .filter(|right| folded.chars().count().abs_diff(right.len()) <= SLIPS)
        .any(|right| text::edit_distance(&folded, right) <= SLIPS)
}

#[cfg(test)]
mod tests {
    use compose_model::Severity;

    use super::*;

    fn rendered_mistakes(text: &str) -> Vec<String> {
        misspelt(&"dev".into(), &text.into())
            .into_iter()
            .map(|mistake| {
                let (line, column) = mistake.place.as_ref().unwrap().line_column();
                format!("{line}:{column} {} ({})", mistake.message, mistake.hints[0])
            })
            .collect()
    }

    const ALIKE: [&str; 14] = [
        "default_environments",
        "defaultEnvironments",
        "DefaultEnvironments",
        "defaultenvironments",
        "default-environment",
        "default-enviroments",
        "defualt-environments",
        "default-enviroment",
        "DEFAULT_ENVIRONMENTS",
        "default--environments",
        "Default-environments",
        "default environments",
        "defaults-environments",
        "default-envrionments",
    ];

    #[test]
    fn a_key_that_is_nearly_right_is_reported_with_its_place() {
        for key in ALIKE {
            let hint = "(did you mean `default-environments`?)";
            for (text, place) in [
                (format!("a: 1\n{key}:\n- repo: x\n"), "2:1"),
                (format!("bitops:\n  {key}: []\n"), "2:3"),
                (format!("{{\"{key}\" : []}}"), "1:2"),
                (format!("'{key}': []"), "1:1"),
                (format!("\u{feff}{key}: []\r\n"), "1:2"),
                (format!("{key}: []\nx: @no\n"), "1:1"),
                (format!("? {key}\n: []\n"), "1:3"),
                (format!("- a\n- {key}: []\n"), "2:3"),
                (format!("{key}: []\ndefault-environments: []\n"), "1:1"),
            ] {
                assert!(seems_to_name_sources(text.as_bytes()), "{text}");
                let right = format!("{place} `{key}` has no effect {hint}");
                // Without YAML, the only words of a text are those before colons.
                assert_eq!(rendered_mistakes(&text), [right], "{text}");
            }
        }
    }

    #[test]
    fn other_keys_are_not_reported() {
        for text in [
            "default-environments: []\n",
            "# default_environments: []\n",
            "a: 1 # default_environments:\n",
            "environments: []\n",
            "default-env: x\n",
            "default-folder: x\ndefaults: {environment: x}\n",
            "x: default_environments\n",
            "terraform:\n  default_environments: []\n",
            "default-environments-of-another-tool: []\n",
        ] {
            assert_eq!(rendered_mistakes(text), [""; 0], "{text}");
        }
        for text in [
            &b""[..],
            b"a: b\n",
            b"\xff\xfe: x",
            b"::::",
            b": : :",
            b"# default_environments:",
        ] {
            assert!(!seems_to_name_sources(text), "{text:?}");
        }
    }

    #[test]
    fn a_list_in_another_file_is_reported_whatever_its_spelling() {
        for key in ["default-environments", "default_environments"] {
            let text = format!("terraform: {{}}\n{key}: []\n");
            let found = misplaced(&"dev/terraform".into(), &text.as_str().into(), "move it");
            assert_eq!(found[0].message, format!("`{key}` has no effect in this file"));
            assert_eq!(found[0].hints, ["move it"]);
        }
        let deployments = "bitops: {deployments: {terraform: {plugin: terraform}, a/b: {plugin: helm}}}";
        assert_eq!(deployments_below_directories(deployments.as_bytes()), ["a/b"]);
        assert_eq!(deployments_below_directories(b"bitops: [deployments/"), [""; 0]);
        assert!(has_deployments("bitops: {deployments: {terraform: {}}}"));
        assert!(!has_deployments("terraform: {deployments: {}}"));
    }

    #[test]
    fn an_empty_list_is_a_warning() {
        for text in [
            "default-environments: []\n",
            "default-environments:\n",
            "bitops: {default-environments: ~}\n",
        ] {
            let found = empty(&"dev".into(), &text.into()).unwrap();
            assert_eq!(found.severity, Severity::Warning, "{text}");
            assert_eq!(
                found.message,
                "`default-environments` is empty: nothing is composed"
            );
        }
        for text in [
            "",
            "a: []\n",
            "default-environments: [x]\n",
            "# default-environments:\n",
        ] {
            assert_eq!(empty(&"dev".into(), &text.into()), None, "{text}");
        }
    }
}
