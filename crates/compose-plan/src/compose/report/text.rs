//! Formats the plan for people: what each layer does, at a glance.

use std::collections::BTreeMap;

use anstyle::Style;
use compose_model::{
    Diagnostic, FileMode, StyledText, TreePath,
    filter::is_hook,
    styled,
    text::{self, counted},
};

use super::{columns::COLUMNS, overview};
use crate::{
    compose::{
        composition::{Action, ComposedFile, Composition, DeclaredBy, KeyTrace, Write},
        wording,
    },
    layer::{Origin, Source, SourceId},
};

/// The number of lines of one kind under one source. Further lines are only counted; the JSON has
/// them all.
const MOST: usize = 20;

/// The number of lines in a section. Further ones are only counted.
const MOST_IN_SECTION: usize = 200;

/// Returns the whole plan. `sources` holds the sources of the composed layers.
pub fn plan(composition: &Composition, sources: &[Source]) -> StyledText {
    plan_with(composition, sources, None, COLUMNS)
}

/// Returns the plan as [`plan()`] does, with a line below the deployments if there are any. Conflicts
/// are laid out in this many columns.
pub fn plan_with(
    composition: &Composition,
    sources: &[Source],
    note: Option<&str>,
    columns: usize,
) -> StyledText {
    let reader = Reader { composition, sources };
    let mut out = StyledText::new();
    out.push_line(styled::HEADING, &reader.summary());
    for index in 0..sources.len() {
        out.push("\n");
        out.push_line(styled::HEADING, &reader.head(SourceId(index)));
        tree(&mut out, &reader.source(SourceId(index)));
    }
    let own = reader.local();
    if !own.is_empty() {
        out.push("\n");
        out.push_line(
            styled::HEADING,
            &format!("{} (your own)", composition.environment),
        );
        tree(&mut out, &own);
    }
    section(
        &mut out,
        styled::HEADING,
        "Hooks and executables of sources, which run with your credentials",
        &reader.programs(),
    );
    let mut deployments = reader.deployments();
    deployments.extend(note.map(str::to_owned).filter(|_| !deployments.is_empty()));
    section(
        &mut out,
        styled::HEADING,
        "Deployments, in this order",
        &deployments,
    );
    section(&mut out, styled::WARNING, "Notes", &reader.notes());
    section(
        &mut out,
        styled::WARNING,
        "Warnings",
        &composition.warnings.iter().flat_map(warning).collect::<Vec<_>>(),
    );
    if let Some(count) = overview::count(composition) {
        out.push("\n");
        out.push_line(styled::ERROR, &count);
        out.append(&overview::conflicts(composition, sources, columns));
    }
    out
}

/// Lists every composed file: what was done, its path relative to the environment, and who has it, lowest first.
pub fn files(composition: &Composition, sources: &[Source]) -> StyledText {
    let reader = Reader { composition, sources };
    let line = |file: &ComposedFile| {
        let mut of: Vec<String> = file.from.iter().map(|from| reader.name_of(from.origin)).collect();
        of.dedup();
        let (action, path) = (file.action.as_str(), reader.relative(&file.path));
        format!("{action:9}  {path}  ({})", of.join(", "))
    };
    let lines: Vec<String> = composition.files.iter().map(line).collect();
    let mut out = StyledText::new();
    section(&mut out, styled::HEADING, "Files", &lines);
    out
}

/// Counts the keys in which a merged file has the user's own value instead of a source's.
fn own_keys(file: &ComposedFile) -> usize {
    let is_own = |key: &&KeyTrace| {
        !key.overridden.is_empty()
            && file
                .from
                .get(key.winner)
                .is_some_and(|from| from.origin == Origin::Local)
    };
    file.keys.iter().filter(is_own).count()
}

/// Lists the sources alone, one per line: environment and repo, version with its commit, request, and
/// whether it is locked.
pub fn sources(sources: &[Source]) -> String {
    let line = |source: &Source| {
        format!(
            "{}  {}  (asked for {}, {})\n",
            wording::label(source),
            wording::version(source),
            text::escape(source.requested.as_str(), 80),
            wording::locked(source)
        )
    };
    sources.iter().map(line).collect()
}

const PLAIN: Style = Style::new();

/// A line below a head.
struct Line {
    depth: Depth,
    style: Style,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    Top,
    Below,
}

impl Line {
    /// Makes a line at the first level.
    fn top(style: Style, text: impl Into<String>) -> Self {
        Self {
            depth: Depth::Top,
            style,
            text: text.into(),
        }
    }

    /// Makes a line at the second level.
    fn below(text: impl Into<String>) -> Self {
        Self {
            depth: Depth::Below,
            style: PLAIN,
            text: text.into(),
        }
    }
}

type Lines = Vec<Line>;

struct Reader<'a> {
    composition: &'a Composition,
    sources: &'a [Source],
}

impl Reader<'_> {
    fn summary(&self) -> String {
        let written = self
            .composition
            .files
            .iter()
            .filter(|file| file.write != Write::Local)
            .count();
        format!(
            "{}: {}, {} composed",
            self.composition.environment,
            counted(self.sources.len(), "source"),
            counted(written, "file")
        )
    }

    fn head(&self, id: SourceId) -> String {
        let source = &self.sources[id.0];
        let mut head = format!(
            "{}  {}  {}",
            wording::label(source),
            wording::version(source),
            wording::locked(source)
        );
        if let Some(signed) = wording::signed(source) {
            head.push_str(&format!(", {signed}"));
        }
        if !source.via.is_empty() {
            let via: Vec<String> = source.via.iter().map(|via| self.source_name(*via)).collect();
            head.push_str(&format!("  (by way of {})", via.join(" > ")));
        }
        head
    }

    fn source(&self, id: SourceId) -> Lines {
        let mut lines = Lines::new();
        let renames = self
            .composition
            .renames
            .iter()
            .filter(|rename| rename.source == id);
        lines.extend(renames.map(|rename| {
            let text = format!("renames {}/ to {}/", rename.from, rename.to);
            Line::top(styled::COMBINED, text)
        }));
        let decided = |action: Action| {
            self.composition.files.iter().filter(move |file| {
                file.action == action
                    && file
                        .from
                        .last()
                        .is_some_and(|from| from.origin == Origin::Source(id))
            })
        };
        self.added(&mut lines, decided(Action::Add));
        self.listed(
            &mut lines,
            styled::REPLACED,
            "overrides",
            decided(Action::Override),
            Self::others,
        );
        self.listed(
            &mut lines,
            styled::COMBINED,
            "keeps both",
            decided(Action::KeepBoth),
            |_, file| {
                let from = file.from.last().map_or("", |from| from.path.file_name());
                if from == file.path.file_name() {
                    String::new()
                } else {
                    format!(" (its {from})")
                }
            },
        );
        let merged = self.composition.files.iter().filter(|file| {
            file.action == Action::Merge && file.from.iter().any(|from| from.origin == Origin::Source(id))
        });
        self.listed(&mut lines, styled::COMBINED, "merges into", merged, |_, _| {
            String::new()
        });
        self.left_out(&mut lines, id);
        if lines.is_empty() {
            lines.push(Line::top(styled::ADDED, "adds nothing of its own"));
        }
        lines
    }

    fn local(&self) -> Lines {
        let mut lines = Lines::new();
        let own = |action: Action| {
            self.composition.files.iter().filter(move |file| {
                file.action == action && file.from.last().is_some_and(|from| from.origin == Origin::Local)
            })
        };
        self.listed(
            &mut lines,
            styled::REPLACED,
            "overrides",
            own(Action::Override),
            Self::others,
        );
        self.listed(
            &mut lines,
            styled::COMBINED,
            "keeps both",
            own(Action::KeepBoth),
            |_, _| String::new(),
        );
        self.listed(
            &mut lines,
            styled::COMBINED,
            "merges into",
            own(Action::Merge),
            |_, file| match own_keys(file) {
                0 => String::new(),
                1 => " (1 key of yours wins over a source's)".to_owned(),
                count => format!(" ({count} keys of yours win over a source's)"),
            },
        );
        let (same, alone): (Vec<_>, Vec<_>) = own(Action::Local).partition(|file| file.from.len() > 1);
        self.listed(&mut lines, PLAIN, "has the same", same.into_iter(), Self::others);
        if !alone.is_empty() {
            let text = format!("leaves {} untouched", counted(alone.len(), "file"));
            lines.push(Line::top(PLAIN, text));
        }
        lines
    }

    /// Lists the files that only one source has, by directory.
    fn added<'f>(&self, lines: &mut Lines, files: impl Iterator<Item = &'f ComposedFile>) {
        let mut places: BTreeMap<String, (usize, String)> = BTreeMap::new();
        let mut count = 0;
        for file in files {
            let path = self.relative(&file.path);
            let place = directory(&path);
            let entry = places.entry(place).or_insert((0, path));
            entry.0 += 1;
            count += 1;
        }
        if count == 0 {
            return;
        }
        lines.push(Line::top(
            styled::ADDED,
            format!("adds {}", counted(count, "file")),
        ));
        let entries = places.into_iter().map(|(place, (count, only))| match count {
            1 => only,
            count => format!("{place} ({count})"),
        });
        capped(lines, entries);
    }

    /// Lists the files that the source has and its entry leaves out, by directory and key.
    fn left_out(&self, lines: &mut Lines, id: SourceId) {
        let environment = &self.sources[id.0].environment;
        let mut places: BTreeMap<(String, &str), (usize, String)> = BTreeMap::new();
        let own = self.composition.left_out.iter().filter(|file| file.source == id);
        let mut count = 0;
        for file in own {
            let path = file.repo_path.relative_to(environment);
            let place = directory(&path);
            places
                .entry((place, file.by.as_str()))
                .or_insert((0, path.into_owned()))
                .0 += 1;
            count += 1;
        }
        if count == 0 {
            return;
        }
        lines.push(Line::top(PLAIN, format!("leaves out {}", counted(count, "file"))));
        let entries = places
            .into_iter()
            .map(|((place, by), (count, only))| match count {
                1 => format!("{only} (by {by})"),
                count => format!("{place} ({count}, by {by})"),
            });
        capped(lines, entries);
    }

    fn listed<'f>(
        &self,
        lines: &mut Lines,
        style: Style,
        verb: &str,
        files: impl Iterator<Item = &'f ComposedFile>,
        more: impl Fn(&Self, &ComposedFile) -> String,
    ) {
        let paths: Vec<String> = files
            .map(|file| format!("{}{}", self.relative(&file.path), more(self, file)))
            .collect();
        match paths.as_slice() {
            [] => {}
            [one] => lines.push(Line::top(style, format!("{verb} {one}"))),
            many => {
                let text = format!("{verb} {}", counted(many.len(), "file"));
                lines.push(Line::top(style, text));
                capped(lines, many.iter().cloned());
            }
        }
    }

    /// Names the other contributors of a file.
    fn others(&self, file: &ComposedFile) -> String {
        let below = &file.from[..file.from.len() - 1];
        let mut names: Vec<String> = below.iter().map(|from| self.name_of(from.origin)).collect();
        names.dedup();
        format!(" (of {})", names.join(", "))
    }

    /// Lists the hooks and the executable files that sources have a part in.
    fn programs(&self) -> Vec<String> {
        let is_of_source = |file: &&ComposedFile| {
            let origins = file.from.iter().map(|from| from.origin);
            file.action != Action::Local && origins.clone().any(|origin| origin != Origin::Local)
        };
        let line = |file: &ComposedFile| {
            let path = self.relative(&file.path);
            let is_hook = TreePath::new(&*path).is_ok_and(|path| is_hook(&path));
            let is_executable = file.write.mode() == Some(FileMode::Executable);
            let what = match (is_hook, is_executable) {
                (true, _) => "hook",
                (false, true) => "executable",
                (false, false) => return None,
            };
            let mut of: Vec<String> = file.from.iter().map(|from| self.name_of(from.origin)).collect();
            of.dedup();
            Some(format!("{path} ({what} of {})", of.join(", ")))
        };
        self.composition
            .files
            .iter()
            .filter(is_of_source)
            .filter_map(line)
            .collect()
    }

    fn name_of(&self, origin: Origin) -> String {
        match origin {
            Origin::Source(id) => self.source_name(id),
            Origin::Local => "your own".to_owned(),
        }
    }

    fn deployments(&self) -> Vec<String> {
        let one = |(index, deployment): (usize, &crate::compose::Deployment)| {
            let by = match deployment.by {
                DeclaredBy::Source(id) => format!(", from {}", self.source_name(id)),
                DeclaredBy::Local | DeclaredBy::Image => String::new(),
            };
            let absent = if deployment.present {
                ""
            } else {
                ", no such directory: passed over"
            };
            format!(
                "{}. {} (plugin {}{by}{absent})",
                index + 1,
                deployment.name,
                deployment.plugin
            )
        };
        let mut lines: Vec<String> = self.composition.deployments.iter().enumerate().map(one).collect();
        if self.composition.generated {
            lines.push("written into the composed bitops.config.yaml".to_owned());
        }
        lines
    }

    /// Lists what merges lost.
    fn notes(&self) -> Vec<String> {
        let notes_of = |file: &ComposedFile| {
            let path = self.relative(&file.path);
            file.notes
                .iter()
                .map(move |note| format!("{path}: {note}"))
                .collect::<Vec<_>>()
        };
        self.composition.files.iter().flat_map(notes_of).collect()
    }

    fn source_name(&self, id: SourceId) -> String {
        wording::short_label(&self.sources[id.0], self.sources)
    }

    fn relative(&self, path: &TreePath) -> String {
        path.relative_to(&self.composition.environment).into_owned()
    }
}

/// Returns the top directory of a path, after any `../`, or the path itself if it is not in a
/// directory.
fn directory(path: &str) -> String {
    let depth = path.split('/').take_while(|part| *part == "..").count();
    let top: Vec<&str> = path.splitn(depth + 2, '/').collect();
    if top.len() < depth + 2 {
        path.to_owned()
    } else {
        format!("{}/", top[..=depth].join("/"))
    }
}

fn capped(lines: &mut Lines, entries: impl ExactSizeIterator<Item = String>) {
    let all = entries.len();
    let shown = if all > MOST + 1 { MOST } else { all };
    lines.extend(entries.take(shown).map(Line::below));
    if shown < all {
        lines.push(Line::below(format!("and {} more", all - shown)));
    }
}

fn warning(warning: &Diagnostic) -> Vec<String> {
    let hint = warning.hints.iter().map(|hint| format!("  hint: {hint}"));
    std::iter::once(warning.message.clone()).chain(hint).collect()
}

fn section(out: &mut StyledText, style: Style, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    out.push("\n");
    out.push_line(style, head);
    let shown = if lines.len() > MOST_IN_SECTION + 1 {
        MOST_IN_SECTION
    } else {
        lines.len()
    };
    for line in &lines[..shown] {
        out.push(&format!("  {line}\n"));
    }
    if shown < lines.len() {
        out.push(&format!("  and {} more\n", lines.len() - shown));
    }
}

/// Writes lines as a tree of two levels.
fn tree(out: &mut StyledText, lines: &[Line]) {
    for (index, line) in lines.iter().enumerate() {
        let rest = &lines[index + 1..];
        let more_here = rest
            .iter()
            .take_while(|other| other.depth >= line.depth)
            .any(|other| other.depth == line.depth);
        let branch = if more_here { "├─ " } else { "└─ " };
        let trunk = match line.depth {
            Depth::Top => "",
            Depth::Below if rest.iter().any(|other| other.depth == Depth::Top) => "│  ",
            Depth::Below => "   ",
        };
        out.push_line(line.style, &format!("{trunk}{branch}{}", line.text));
    }
}
