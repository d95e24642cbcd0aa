//! The lines of `default-environments` alone, for a config whose other lines our YAML parser does not accept.
//!
//! BitOps reads the config with PyYAML, which takes some texts that other parsers refuse. What is none of our
//! business must not stop us: the other lines are blanked, so that every place stays where it was.

use compose_model::config_key::{LIST, PARENT};

/// The text with every line blanked that does not belong to the list. `None`: the list's lines cannot be told
/// from the others (a list inside a flow mapping, behind an alias…).
pub(super) fn isolate(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut inside: Option<usize> = None;
    let mut under_parent = false;
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let indent = content.len() - content.trim_start_matches(' ').len();
        let content = &content[indent..];
        let blank = content.is_empty() || content.starts_with('#');
        if let Some(key_indent) = inside
            && !blank
            && (indent < key_indent || (indent == key_indent && !continues(content)))
        {
            // A slip such as `-repo:` must not end the list in silence.
            if content.starts_with(['-', '\t']) {
                return None;
            }
            inside = None;
        }
        let mut keep = inside.is_some();
        if inside.is_none() && !blank {
            let is_parent = indent == 0 && is_key(content, PARENT);
            if is_key(content, LIST) && (indent == 0 || under_parent) {
                (inside, found, keep) = (Some(indent), true, true);
            } else if is_parent && value(content, PARENT).is_some_and(str::is_empty) {
                keep = true;
            }
            if indent == 0 {
                under_parent = is_parent && keep;
            }
        }
        if keep {
            out.push_str(line);
        } else {
            out.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
    }
    found.then_some(out)
}

/// Does the text outside of comments speak of the list at all?
pub(super) fn mentions_list(text: &str) -> bool {
    text.lines()
        .any(|line| !line.trim_start().starts_with('#') && line.contains(LIST))
}

/// A block sequence may stand at its key's own indent; so may the end of a flow sequence.
fn continues(content: &str) -> bool {
    content == "-" || content.starts_with("- ") || content.starts_with(']') || content.starts_with('}')
}

fn is_key(content: &str, key: &str) -> bool {
    value(content, key).is_some()
}

/// What follows `key:` on its line, without a comment.
fn value<'a>(content: &'a str, key: &str) -> Option<&'a str> {
    let bare = content
        .strip_prefix(['"', '\''])
        .unwrap_or(content)
        .strip_prefix(key)?;
    let rest = bare
        .strip_prefix(['"', '\''])
        .unwrap_or(bare)
        .trim_start()
        .strip_prefix(':')?;
    let rest = if rest.is_empty() {
        rest
    } else {
        rest.strip_prefix([' ', '\t'])?.trim()
    };
    Some(if rest.starts_with('#') { "" } else { rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lists_lines_stay_and_none_moves() {
        let text = "a: ä\ndefault-environments:\n# why\n- x: 1\n\n  y: 2\nb: default-environments\n";
        let alone = isolate(text).unwrap();
        assert_eq!(
            alone,
            format!(
                "     \ndefault-environments:\n# why\n- x: 1\n\n  y: 2\n{}\n",
                " ".repeat(23)
            )
        );
        assert_eq!(alone.len(), text.len());
    }

    #[test]
    fn under_its_parent_the_parent_stays() {
        let text = "bitops: # ours\n  foo: 1\n  default-environments: [\n    {x: 1},\n  ]\n  bar: 2\nfoo:\n  default-environments: 1\n";
        let alone = isolate(text).unwrap();
        let kept: Vec<_> = alone.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(
            kept,
            [
                "bitops: # ours",
                "  default-environments: [",
                "    {x: 1},",
                "  ]"
            ]
        );
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_guessed() {
        assert_eq!(isolate("bitops: {default-environments: []}\n"), None);
        assert_eq!(isolate("default-environments:\n- {}\n-repo: x\n"), None);
        assert_eq!(isolate("default-environments:\n\t- repo: x\n"), None);
        assert_eq!(isolate("bitops: &a\n  default-environments: []\n"), None);
    }
}
