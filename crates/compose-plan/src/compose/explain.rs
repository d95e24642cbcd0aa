//! Explanations of where a path or one of its keys came from.

use std::borrow::Cow;

use compose_model::{Cause, ExitCode, StyledText, TreePath, styled, text};
use serde::Serialize;

use super::{
    composition::{Action, ComposedFile, Composition, Conflict, DeclaredBy, KeyTrace, LeftOutFile, Write},
    names::Names,
    overrides::is_override,
    report::{
        overview,
        remedies::{PlanRemedy, remedy},
    },
    wording,
};
use crate::layer::{Origin, Source};

/// The answer to `explain PATH[:KEY]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The path, relative to the operations repo's root.
    pub path: String,
    /// The way in which it was composed, or `None` if it is in conflict or left out.
    pub action: Option<&'static str>,
    /// Every layer that has it, lowest first, after the layers whose entries leave it out.
    pub layers: Vec<LayerStory>,
    /// The requested keys, or all keys of a merged file.
    pub keys: Vec<KeyStory>,
    /// The reasons why it is not composed, with the effect of each remedy.
    pub conflicts: Vec<ConflictStory>,
    /// Further notes, one sentence each.
    pub notes: Vec<String>,
    /// The conflicts as they are laid out for people.
    #[serde(skip)]
    laid_out: StyledText,
}

/// The part that one layer has in a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerStory {
    /// The name of the layer's contributor, in words.
    pub who: String,
    /// The tag and the commit; `None` for the user's own layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The layer's file, relative to the root of its repo.
    pub path: String,
    /// The effect of the contribution, and the reason.
    pub outcome: String,
}

/// The origin of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyStory {
    /// The key path.
    pub key: String,
    /// The contributor of its value, in words.
    pub who: String,
    /// The file and the line of that value, as `path:line`.
    pub place: String,
    /// The contributors that set it to something else and lost, highest first.
    pub overridden: Vec<String>,
}

/// A reason why a path is not composed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConflictStory {
    /// The problem, in one sentence.
    pub message: String,
    /// The parties that disagree, in words.
    pub between: Vec<String>,
    /// The remedies, any one of which settles it.
    pub remedies: Vec<PlanRemedy>,
}

/// A question that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// No layer has the path.
    #[error("no layer has {path}{}", did_you_mean(.near.as_deref()))]
    NoSuchPath {
        /// The requested path, escaped.
        path: String,
        /// The nearest existing path.
        near: Option<String>,
    },
    /// The file exists, but the key does not.
    #[error("{path} has no key `{key}`{}", did_you_mean(.near.as_deref()))]
    NoSuchKey {
        /// The file.
        path: String,
        /// The requested key, escaped.
        key: String,
        /// The nearest existing key.
        near: Option<String>,
    },
    /// The file was not merged, so all of it comes from one layer.
    #[error("{path} is not merged: every key comes from {who}")]
    NotMerged {
        /// The file.
        path: String,
        /// The layer.
        who: String,
    },
}

impl Cause for ExplainError {
    fn exit_code(&self) -> ExitCode {
        ExitCode::Config
    }
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near}?"))
        .unwrap_or_default()
}

/// Answers `PATH` or `PATH:KEY`.
///
/// The path is relative to the environment, with `../` for entries beside it, or to the operations
/// repo's root. The composition should list local files, so that their paths can be explained too.
/// Conflicts are laid out in this many columns.
pub fn explain(
    composition: &Composition,
    sources: &[Source],
    question: &str,
    columns: usize,
) -> Result<Explanation, ExplainError> {
    let reader = Reader {
        composition,
        sources,
        columns,
    };
    // A path may itself contain a colon, so the longest known path wins.
    let splits = question
        .rmatch_indices(':')
        .map(|(at, _)| (&question[..at], Some(&question[at + 1..])));
    for (path, key) in std::iter::once((question, None)).chain(splits) {
        if let Some(path) = reader.find(path) {
            return reader.explain(&path, key);
        }
    }
    let asked = question.split(':').next().unwrap_or(question);
    let all: Vec<Cow<'_, str>> = composition
        .files
        .iter()
        .map(|file| file.path.relative_to(&composition.environment))
        .collect();
    let near = text::did_you_mean(asked, all.iter().map(AsRef::as_ref)).map(str::to_owned);
    Err(ExplainError::NoSuchPath {
        path: text::escape(asked, 200),
        near,
    })
}

struct Reader<'a> {
    composition: &'a Composition,
    sources: &'a [Source],
    columns: usize,
}

impl Reader<'_> {
    fn find(&self, asked: &str) -> Option<TreePath> {
        let environment = &self.composition.environment;
        let known = |path: &TreePath| {
            self.composition.file(path).is_some()
                || self.conflicts(path).next().is_some()
                || self.left_out(path).next().is_some()
        };
        let below = resolve(environment, asked);
        below
            .into_iter()
            .chain(TreePath::new(asked.trim_start_matches("./")).ok())
            .find(known)
    }

    fn conflicts(&self, path: &TreePath) -> impl Iterator<Item = &Conflict> {
        let path = path.clone();
        self.composition
            .conflicts
            .iter()
            .filter(move |conflict| conflict.path == path)
    }

    /// Returns the sources that have the path and whose entries leave it out.
    fn left_out(&self, path: &TreePath) -> impl Iterator<Item = &LeftOutFile> {
        let path = path.clone();
        let all = self.composition.left_out.iter();
        all.filter(move |file| file.path == path)
    }

    fn left_out_stories(&self, path: &TreePath) -> Vec<LayerStory> {
        let story = |file: &LeftOutFile| LayerStory {
            who: wording::label_of(Origin::Source(file.source), self.sources),
            version: Some(wording::version(&self.sources[file.source.0])),
            path: file.repo_path.to_string(),
            outcome: format!("left out: `{}` of its entry says so", file.by.as_str()),
        };
        self.left_out(path).map(story).collect()
    }

    fn explain(&self, path: &TreePath, key: Option<&str>) -> Result<Explanation, ExplainError> {
        let in_conflict: Vec<&Conflict> = self.conflicts(path).collect();
        let laid_out = overview::some(self.composition, self.sources, &in_conflict, self.columns);
        let conflicts = in_conflict
            .into_iter()
            .map(|conflict| self.conflict(conflict))
            .collect();
        let Some(file) = self.composition.file(path) else {
            return Ok(Explanation {
                path: path.to_string(),
                action: None,
                layers: self.left_out_stories(path),
                keys: Vec::new(),
                conflicts,
                notes: Vec::new(),
                laid_out,
            });
        };
        let mut notes = file.notes.clone();
        if self.generated(file) {
            notes.push("bitops.deployments was generated: see the plan for their order".to_owned());
        }
        Ok(Explanation {
            path: path.to_string(),
            action: Some(file.action.as_str()),
            layers: [self.left_out_stories(path), self.layers(file)].concat(),
            keys: self.keys(file, key)?,
            conflicts,
            notes,
            laid_out,
        })
    }

    /// Returns whether the deployments were written into this file.
    fn generated(&self, file: &ComposedFile) -> bool {
        self.composition.generated && file.path == self.composition.environment.environment_config()
    }

    fn layers(&self, file: &ComposedFile) -> Vec<LayerStory> {
        let last = file.from.len().saturating_sub(1);
        let story = |(index, from): (usize, &super::Provenance)| LayerStory {
            who: wording::label_of(from.origin, self.sources),
            version: match from.origin {
                Origin::Source(id) => Some(wording::version(&self.sources[id.0])),
                Origin::Local => None,
            },
            path: from.path.to_string(),
            outcome: self.outcome(file, index, last),
        };
        file.from.iter().enumerate().map(story).collect()
    }

    fn outcome(&self, file: &ComposedFile, index: usize, last: usize) -> String {
        let winner = file.from[last].origin;
        let own = file.from[index].origin;
        match file.action {
            Action::Add | Action::Local if last == 0 => "the only one that has it".to_owned(),
            Action::Add | Action::Local => "has it with the same bytes and mode".to_owned(),
            Action::KeepBoth if file.write == Write::Local => "keeps its name".to_owned(),
            Action::KeepBoth if file.from[index].path.file_name() == file.path.file_name() => {
                "keeps its name".to_owned()
            }
            Action::KeepBoth if is_override(file.path.file_name()) => {
                "stays under a name that sorts before higher override files, which win then".to_owned()
            }
            Action::KeepBoth => format!(
                "stays under another name, beside a higher {}",
                file.from[index].path.file_name()
            ),
            Action::Merge if last == 0 => "gets the generated deployments".to_owned(),
            Action::Merge => {
                let won = file.keys.iter().filter(|key| key.winner == index).count();
                let lost = file
                    .keys
                    .iter()
                    .filter(|key| key.overridden.contains(&index))
                    .count();
                let stay = if won == 1 { "stays" } else { "stay" };
                let are = if lost == 1 { "is" } else { "are" };
                format!("merged: {won} of its keys {stay}, {lost} {are} overridden")
            }
            Action::Override if index == last => format!("wins: {}", self.why(own, file)),
            Action::Override => format!("overridden by {}", wording::label_of(winner, self.sources)),
        }
    }

    /// Returns the reason why the last of a file's contributions wins.
    fn why(&self, winner: Origin, file: &ComposedFile) -> &'static str {
        let Origin::Source(winner) = winner else {
            return "your own files win over every source's";
        };
        let nests = |from: &super::Provenance| match from.origin {
            Origin::Source(other) => other == winner || self.sources[other.0].via.contains(&winner),
            Origin::Local => false,
        };
        if file.from.iter().all(nests) {
            "a source wins over its default folder and over the sources it nests"
        } else {
            "on-conflict says so"
        }
    }

    fn keys(&self, file: &ComposedFile, asked: Option<&str>) -> Result<Vec<KeyStory>, ExplainError> {
        let mut all: Vec<KeyStory> = file.keys.iter().map(|key| self.key(file, key)).collect();
        if self.generated(file) {
            all.retain(|key| !key.key.starts_with("bitops.deployments."));
            all.extend(
                self.composition
                    .deployments
                    .iter()
                    .map(|one| self.deployment(file, one)),
            );
        }
        let Some(asked) = asked else { return Ok(all) };
        let below = format!("{asked}.");
        let (found, others): (Vec<KeyStory>, Vec<KeyStory>) = all
            .into_iter()
            .partition(|story| story.key == asked || story.key.starts_with(&below));
        if !found.is_empty() {
            return Ok(found);
        }
        if let (true, Some(from)) = (others.is_empty(), file.from.last()) {
            let who = wording::label_of(from.origin, self.sources);
            return Err(ExplainError::NotMerged {
                path: file.path.to_string(),
                who,
            });
        }
        let near = text::did_you_mean(asked, others.iter().map(|story| story.key.as_str()));
        Err(ExplainError::NoSuchKey {
            path: file.path.to_string(),
            key: text::escape(asked, 200),
            near: near.map(str::to_owned),
        })
    }

    fn key(&self, file: &ComposedFile, key: &KeyTrace) -> KeyStory {
        let winner = &file.from[key.winner];
        KeyStory {
            key: text::escape(&key.key, 1000),
            who: wording::label_of(winner.origin, self.sources),
            place: format!("{}:{}", winner.path, key.line),
            overridden: key
                .overridden
                .iter()
                .map(|index| wording::label_of(file.from[*index].origin, self.sources))
                .collect(),
        }
    }

    fn deployment(&self, file: &ComposedFile, one: &super::Deployment) -> KeyStory {
        let who = match one.by {
            DeclaredBy::Source(id) => wording::label(&self.sources[id.0]),
            DeclaredBy::Local => wording::label_of(Origin::Local, self.sources),
            DeclaredBy::Image => "the image's own config".to_owned(),
        };
        let place = format!("{} (generated)", file.path);
        KeyStory {
            key: format!("bitops.deployments.{}.plugin", one.name),
            who,
            place,
            overridden: Vec::new(),
        }
    }

    fn conflict(&self, conflict: &Conflict) -> ConflictStory {
        let names = Names {
            environment: &self.composition.environment,
            sources: self.sources,
        };
        ConflictStory {
            message: wording::message(conflict),
            between: conflict
                .parties
                .iter()
                .map(|party| wording::side(party, names))
                .collect(),
            remedies: conflict.remedies.iter().map(|one| remedy(one, names)).collect(),
        }
    }
}

/// Resolves a path as seen from a directory; `../` leaves it.
fn resolve(base: &TreePath, relative: &str) -> Option<TreePath> {
    let mut parts: Vec<&str> = base.components().collect();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    TreePath::new(parts.join("/")).ok()
}

impl Explanation {
    /// Returns the explanation as text for people.
    pub fn to_text(&self) -> StyledText {
        let mut out = StyledText::new();
        let action = match self.action {
            Some(action) => format!(": {action}"),
            None if self.conflicts.is_empty() => ": left out".to_owned(),
            None => String::new(),
        };
        out.push_line(styled::HEADING, &format!("{}{action}", self.path));
        if !self.layers.is_empty() {
            out.push_line(styled::HEADING, "  layers, lowest first");
        }
        for layer in &self.layers {
            let version = layer
                .version
                .as_ref()
                .map(|version| format!(" {version}"))
                .unwrap_or_default();
            out.push(&format!(
                "    {}{version}, {}: {}\n",
                layer.who, layer.path, layer.outcome
            ));
        }
        if !self.keys.is_empty() {
            out.push_line(styled::HEADING, "  keys");
        }
        for key in &self.keys {
            out.push(&format!("    {}: {}, {}", key.key, key.who, key.place));
            if !key.overridden.is_empty() {
                out.push(&format!(", over {}", key.overridden.join(", ")));
            }
            out.push("\n");
        }
        out.append(&self.laid_out);
        for note in &self.notes {
            out.push_line(styled::WARNING, &format!("  note: {note}"));
        }
        out
    }
}
