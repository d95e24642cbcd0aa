//! Changes of a config's list of sources, in its text. Everything else keeps every byte.

use std::sync::Arc;

use compose_model::{Cause, Diagnostic, ExitCode, Failure, Nesting, SourceSpec, config_key::PARENT};
use compose_yaml::{EditError, Editor, NewValue, Step};

use super::{LIST, keys, parse};

/// The list of sources of an environment's own config, which can be changed.
///
/// ```
/// use compose_plan::config::{NewSource, SourceList};
///
/// let text = "# dev\ndefault-environments:\n- repo: https://host/a # ours\n  environment: eks\n  version: \"1.0.0\"\n";
/// let mut list = SourceList::parse(&"dev/bitops.config.yaml".into(), text).unwrap();
/// list.set_version(0, "1.1.0").unwrap();
/// assert_eq!(list.text(), text.replace("1.0.0", "1.1.0"));
/// list.add(&NewSource::new("https://host/b", "web").version("^2")).unwrap();
/// assert!(list.text().ends_with("- repo: https://host/b\n  environment: web\n  version: \"^2\"\n"));
/// assert_eq!(list.specs().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct SourceList {
    file: Arc<str>,
    editor: Editor,
    specs: Vec<SourceSpec>,
}

/// An entry to add, or the keys to change in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSource {
    keys: Vec<(&'static str, Option<NewValue>)>,
}

impl NewSource {
    /// Returns an entry for an environment of a repo.
    pub fn new(repo: &str, environment: &str) -> Self {
        Self::default()
            .with(keys::REPO, repo)
            .with(keys::ENVIRONMENT, environment)
    }

    /// Sets `version`, in place of any `ref`.
    pub fn version(self, version: &str) -> Self {
        self.with(keys::VERSION, version).without(keys::REF)
    }

    /// Sets `ref`, in place of any `version`.
    pub fn reference(self, name: &str) -> Self {
        self.with(keys::REF, name).without(keys::VERSION)
    }

    /// Sets `as`.
    pub fn rename(self, name: &str) -> Self {
        self.with(keys::AS, name)
    }

    /// Sets `exclude`.
    pub fn exclude(mut self, globs: &[String]) -> Self {
        let globs = globs.iter().cloned().map(NewValue::Text).collect();
        self.keys.push((keys::EXCLUDE, Some(NewValue::List(globs))));
        self
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.keys.push((key, Some(NewValue::Text(value.to_owned()))));
        self
    }

    fn without(mut self, key: &'static str) -> Self {
        self.keys.push((key, None));
        self
    }
}

/// Why a config's list cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} cannot be changed")]
pub struct NotEdited {
    file: Arc<str>,
    #[source]
    error: EditError,
}

impl Cause for NotEdited {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Config
    }

    fn hint(&self) -> Option<String> {
        Some(format!(
            "change it by hand, or write `{LIST}` as a plain list, each entry on lines of its own and without aliases"
        ))
    }
}

impl SourceList {
    /// Reads a config. An empty text is a config without sources.
    ///
    /// # Errors
    ///
    /// If the config has mistakes, or is not valid YAML.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, Failure> {
        let specs = parse(file, &text.into(), Nesting::Root)?;
        let editor = Editor::parse(text).map_err(|error| not_edited(file, error))?;
        Ok(Self {
            file: Arc::clone(file),
            editor,
            specs,
        })
    }

    /// Returns the entries, in their order.
    pub fn specs(&self) -> &[SourceSpec] {
        &self.specs
    }

    /// Returns the text with all changes.
    pub fn text(&self) -> &str {
        self.editor.text()
    }

    /// Adds an entry at the end of the list, which is made at the document's root if there is none. Returns its index.
    pub fn add(&mut self, source: &NewSource) -> Result<usize, Failure> {
        let entry = source
            .keys
            .iter()
            .filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?)))
            .collect();
        let path = self.path();
        self.edit(|editor| editor.push(&path, &NewValue::Map(entry)))?;
        Ok(self.specs.len().saturating_sub(1))
    }

    /// Changes keys of an entry. Keys that are not named stay as they are.
    pub fn change(&mut self, index: usize, source: &NewSource) -> Result<(), Failure> {
        let path = self.path();
        let entry = [&path[..], &[Step::Item(index)]].concat();
        self.edit(|editor| {
            for (key, value) in &source.keys {
                let at = [&entry[..], &[Step::Key(key)]].concat();
                match value {
                    Some(NewValue::Text(text)) if editor.has(&at) => editor.set(&at, text)?,
                    Some(value) => editor.put(&at, value)?,
                    None if editor.has(&at) => _ = editor.remove(&at)?,
                    None => {}
                }
            }
            Ok(())
        })
    }

    /// Sets the `version` of an entry.
    pub fn set_version(&mut self, index: usize, version: &str) -> Result<(), Failure> {
        self.change(index, &NewSource::default().version(version))
    }

    /// Removes an entry. A list that becomes empty is removed, too.
    pub fn remove(&mut self, index: usize) -> Result<(), Failure> {
        let path = self.path();
        let entry = [&path[..], &[Step::Item(index)]].concat();
        self.edit(|editor| {
            if editor.remove(&entry)?.is_none() {
                // BitOps needs no content in a config, but the file.
                *editor = Editor::parse("{}\n")?;
            }
            Ok(())
        })
    }

    /// Edits, and reads the result again. After an error, nothing has changed.
    fn edit(&mut self, change: impl FnOnce(&mut Editor) -> Result<(), EditError>) -> Result<(), Failure> {
        let mut editor = self.editor.clone();
        change(&mut editor).map_err(|error| not_edited(&self.file, error))?;
        self.specs = parse(&self.file, &editor.text().into(), Nesting::Root)?;
        self.editor = editor;
        Ok(())
    }

    /// Returns the path of the list: below `bitops` if it is there.
    fn path(&self) -> Vec<Step<'static>> {
        let below = vec![Step::Key(PARENT), Step::Key(LIST)];
        if self.editor.has(&below) {
            below
        } else {
            vec![Step::Key(LIST)]
        }
    }
}

fn not_edited(file: &Arc<str>, error: EditError) -> Diagnostic {
    let file = Arc::clone(file);
    NotEdited { file, error }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> SourceList {
        SourceList::parse(&"dev/bitops.config.yaml".into(), text).unwrap()
    }

    const ENTRY: &str = "- repo: https://host/b\n  environment: web\n  version: \"1.0.0\"\n";

    fn web() -> NewSource {
        NewSource::new("https://host/b", "web").version("1.0.0")
    }

    #[test]
    fn an_entry_is_added_in_the_style_of_the_list() {
        for (text, expected) in [
            ("", format!("default-environments:\n{ENTRY}")),
            ("{}\n", "{default-environments: [{repo: https://host/b, environment: web, version: \"1.0.0\"}]}\n".to_owned()),
            ("bitops:\n  fail_fast: true\n", format!("bitops:\n  fail_fast: true\ndefault-environments:\n{ENTRY}")),
            (
                "bitops:\r\n  default-environments:\r\n    # ours\r\n    - repo: https://host/a\r\n      environment: eks\r\n      ref: main\r\n",
                format!(
                    "bitops:\n  default-environments:\n    # ours\n    - repo: https://host/a\n      environment: eks\n      ref: main\n    {}",
                    ENTRY.trim_end().replace('\n', "\n    ") + "\n"
                )
                .replace('\n', "\r\n"),
            ),
            (
                "default-environments: [{repo: https://host/a, environment: eks, ref: main}] # c\n",
                "default-environments: [{repo: https://host/a, environment: eks, ref: main}, {repo: https://host/b, environment: web, version: \"1.0.0\"}] # c\n".to_owned(),
            ),
        ] {
            let mut list = list(text);
            let index = list.add(&web()).unwrap();
            assert_eq!(list.text(), expected);
            assert_eq!(list.specs()[index].environment.as_str(), "web");
        }
    }

    #[test]
    fn a_present_entry_is_changed_in_place() {
        let text = format!(
            "default-environments:\n- repo: https://host/a\n  environment: eks\n  version: '1.0' # pinned\n{ENTRY}# end\n"
        );
        let mut list = list(&text);
        list.set_version(0, "1.10.0").unwrap();
        assert_eq!(list.text(), text.replace("'1.0'", "'1.10.0'"));
        let change = NewSource::default()
            .reference("main")
            .rename("blue")
            .exclude(&["*.md".to_owned()]);
        list.change(1, &change).unwrap();
        let spec = &list.specs()[1];
        assert_eq!(
            (spec.requested.as_str(), spec.rename.as_deref()),
            ("main", Some("blue"))
        );
        assert!(
            list.text()
                .ends_with("  ref: main\n  as: blue\n  exclude:\n  - \"*.md\"\n# end\n"),
            "{}",
            list.text()
        );
    }

    #[test]
    fn an_entry_is_taken_out_and_the_rest_stays() {
        let text = format!(
            "# top\ndefault-environments:\n- repo: https://host/a\n  environment: eks\n  ref: main\n{ENTRY}bitops: {{}}\n"
        );
        let mut list = list(&text);
        list.remove(0).unwrap();
        assert_eq!(
            list.text(),
            format!("# top\ndefault-environments:\n{ENTRY}bitops: {{}}\n")
        );
        list.remove(0).unwrap();
        assert_eq!(list.text(), "# top\nbitops: {}\n");
        let mut only = self::list(&format!("default-environments:\n{ENTRY}"));
        only.remove(0).unwrap();
        assert_eq!(only.text(), "{}\n");
    }

    #[test]
    fn what_cannot_be_changed_stays_and_says_why() {
        let text = "x: &v 1.0.0\ny: &e {repo: https://host/a, environment: eks}\ndefault-environments:\n- {<<: *e, version: *v}\n";
        let mut list = list(text);
        let failure = list.change(0, &NewSource::default().rename("x y")).unwrap_err();
        assert_eq!(failure.code(), ExitCode::Config);
        assert_eq!(list.text(), text);
        list.set_version(0, "2.0.0").unwrap();
        assert_eq!(list.specs()[0].requested.as_str(), "2.0.0");
        // A key that comes by `<<` is overridden beside it, and stays as it is where it stands.
        let change = NewSource::new("https://host/a", "web");
        list.change(0, &change).unwrap();
        assert_eq!(list.specs()[0].environment.as_str(), "web");
        assert!(
            list.text()
                .contains("y: &e {repo: https://host/a, environment: eks}\n"),
            "{}",
            list.text()
        );
        let failure = SourceList::parse(&"f".into(), "default-environments: 5\n").unwrap_err();
        assert_eq!(failure.code(), ExitCode::Config);
    }
}
