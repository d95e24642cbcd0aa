//! Lays conflicts out for people: grouped by directory and sides, each side once, what they disagree
//! on as a table, and the remedies with the places and the text to change.
//!
//! Every output that shows conflicts to people uses this one.

use std::collections::BTreeSet;

use compose_model::{
    StyledText, styled,
    text::{self, counted},
};

use super::{
    cells,
    columns::{table, width, wrapped},
    letters::{Lettered, letter, lettered, small_letter},
};
use crate::{
    compose::{
        composition::{Composition, Conflict, ConflictGroup},
        names::Names,
    },
    layer::{Origin, Source},
};

/// The number of rows in a table, and of sides of a group. Further ones are only counted.
const MOST: usize = 20;
/// The number of groups that are laid out. Further ones have a line each.
const MOST_GROUPS: usize = 5;
/// The number of sides that have a column of their own.
const MOST_COLUMNS: usize = 4;

/// Returns the number of conflicts in words, or `None` if there are none.
pub fn count(composition: &Composition) -> Option<String> {
    let count = composition.conflicts.len() + composition.more_conflicts;
    (count > 0).then(|| counted(count, "conflict"))
}

/// Returns all conflicts by group, each group after an empty line.
pub fn conflicts(composition: &Composition, sources: &[Source], columns: usize) -> StyledText {
    let all: Vec<&Conflict> = composition.conflicts.iter().collect();
    let mut out = some(composition, sources, &all, columns);
    if let Some(more) = more(composition) {
        out.push("\n");
        out.push_line(styled::ERROR, &more);
    }
    out
}

/// Returns some of the conflicts by group, each group after an empty line.
pub(in crate::compose) fn some(
    composition: &Composition,
    sources: &[Source],
    conflicts: &[&Conflict],
    columns: usize,
) -> StyledText {
    let names = Names {
        environment: &composition.environment,
        sources,
    };
    let mut out = StyledText::new();
    let (mut laid_out, mut others) = (0, Vec::new());
    for (index, group) in composition.groups.iter().enumerate() {
        let own: Vec<&Conflict> = conflicts
            .iter()
            .filter(|conflict| conflict.group == index)
            .copied()
            .collect();
        if !own.is_empty() && laid_out == MOST_GROUPS {
            others.push((group, own.len()));
        } else if !own.is_empty() {
            laid_out += 1;
            let layout = Layout {
                names,
                group,
                conflicts: own,
                columns,
            };
            out.push("\n");
            layout.write(&mut out);
        }
    }
    rest(names, &others, columns, &mut out);
    out
}

/// Lists the groups that are not laid out, one per line.
fn rest(names: Names<'_>, groups: &[(&ConflictGroup, usize)], columns: usize, out: &mut StyledText) {
    if groups.is_empty() {
        return;
    }
    out.push("\n");
    let head = match groups.len() {
        1 => "and in 1 more directory:".to_owned(),
        count => format!("and in {count} more directories:"),
    };
    out.push_line(styled::ERROR, &head);
    for (group, conflicts) in &groups[..shown(groups.len())] {
        let sides: Vec<String> = group.sides.iter().map(|side| names.side(*side)).collect();
        let line = format!(
            "{}: {}{} {}",
            text::escape(&group.directory, 200),
            counted(*conflicts, "conflict"),
            preposition(group),
            sides.join(" and ")
        );
        push_lines(out, wrapped(&line, "  ", 4, columns));
    }
    if shown(groups.len()) < groups.len() {
        let more = groups.len() - shown(groups.len());
        out.push(&format!("  and {more} more\n"));
    }
    // A command is not broken.
    out.push(&format!(
        "  all of them, with their remedies:\n    bitops-compose plan {} --format json\n",
        names.environment
    ));
}

struct Layout<'a> {
    names: Names<'a>,
    group: &'a ConflictGroup,
    conflicts: Vec<&'a Conflict>,
    columns: usize,
}

impl Layout<'_> {
    fn write(&self, out: &mut StyledText) {
        let head = format!(
            "{}: {}{}",
            text::escape(&self.group.directory, 200),
            counted(self.conflicts.len(), "conflict"),
            preposition(self.group)
        );
        out.push_line(styled::ERROR, &head);
        push_lines(out, self.sides());
        let remedies = lettered(&self.conflicts);
        out.push("\n");
        self.table(out, &remedies);
        if !remedies.is_empty() {
            out.push("\n");
            out.push_line(styled::HEADING, &format!("  {}", self.remedies_head(&remedies)));
        }
        for remedy in &remedies {
            push_lines(
                out,
                remedy.lines(self.names, &|side| self.letter(side), self.columns),
            );
        }
    }

    fn letter(&self, side: Origin) -> String {
        let position = self.group.sides.iter().position(|other| *other == side);
        position.map_or_else(|| self.names.side(side), letter)
    }

    /// Names each side once, with the entry that brings it.
    fn sides(&self) -> Vec<String> {
        let shown = &self.group.sides[..shown(self.group.sides.len())];
        let names: Vec<String> = shown.iter().map(|side| self.names.side(*side)).collect();
        let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (side, name) in shown.iter().zip(names) {
            let mut line = format!("  {}  {name}", self.letter(*side));
            let indent = width(&line) - width(&name);
            if let Origin::Source(id) = side {
                let mut places: Vec<String> = vec![self.names.entry(*id)];
                let source = &self.names.sources[id.0];
                let root = source.via.first().map(|via| self.names.entry(*via));
                let root = root.filter(|root| split_place(root).0 != &*source.place.file);
                if let Some(root) = root {
                    places.insert(0, format!("{root}, by way of"));
                }
                let column = indent + widest + 3;
                let fits = places.iter().all(|place| column + width(place) <= self.columns);
                if fits {
                    line.push_str(&" ".repeat(column - width(&line)));
                    line.push_str(&places.join(&format!("\n{}", " ".repeat(column))));
                } else {
                    for place in places {
                        line.push_str(&format!("\n{}{place}", " ".repeat(indent + 2)));
                    }
                }
            }
            lines.extend(line.lines().map(str::to_owned));
        }
        let more = self.group.sides.len() - shown.len();
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
        lines
    }

    fn table(&self, out: &mut StyledText, remedies: &[Lettered]) {
        let sides = &self.group.sides;
        let has_columns = sides.len() <= MOST_COLUMNS;
        let has_letters = remedies.len() > 1 && !remedies.iter().all(|one| self.settles_all(one));
        let shown = &self.conflicts[..shown(self.conflicts.len())];
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (at, conflict) in shown.iter().enumerate() {
            let file = cells::file(conflict, self.group);
            let mut row = vec![file, cells::what(conflict)];
            let cells: Vec<String> = sides
                .iter()
                .map(|side| cells::side(conflict, *side, self.group, self.names))
                .collect();
            if has_columns && cells.iter().all(|cell| cell == cells::DIFFERS) {
                // Every side has a part in it, and nothing more to say.
                row.extend(cells.iter().map(|_| String::new()));
            } else if has_columns {
                row.extend(cells);
            } else {
                let taking_part = sides.iter().zip(&cells).filter(|(_, cell)| !cell.is_empty());
                let taking_part = taking_part.map(|(side, cell)| match cell.as_str() {
                    cells::DIFFERS => self.letter(*side),
                    cell if cell.starts_with(':') => format!("{}{cell}", self.letter(*side)),
                    cell => format!("{} {cell}", self.letter(*side)),
                });
                row.push(taking_part.collect::<Vec<_>>().join(", "));
            }
            if has_letters {
                let letters = remedies.iter().enumerate();
                let letters = letters.filter(|(_, remedy)| remedy.settles.contains(&at));
                row.push(
                    letters
                        .map(|(at, _)| small_letter(at))
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
            rows.push(row);
        }
        let says_nothing = |row: &Vec<String>| row[2..2 + sides.len()].iter().all(String::is_empty);
        let mut header = vec!["FILE".to_owned(), "WHAT".to_owned()];
        if has_columns && rows.iter().all(says_nothing) {
            rows.iter_mut()
                .for_each(|row| drop(row.drain(2..2 + sides.len())));
        } else if has_columns {
            header.extend(sides.iter().map(|side| self.letter(*side)));
        } else {
            header.push("IN".to_owned());
        }
        if has_letters {
            header.push("SETTLED BY".to_owned());
        }
        rows.insert(0, header);
        push_lines(out, table(&rows, 2, 2, self.columns));
        let more = self.conflicts.len() - shown.len();
        if more > 0 {
            out.push(&format!("  and {more} more\n"));
        }
        let notes: BTreeSet<String> = shown
            .iter()
            .filter_map(|conflict| cells::note(conflict))
            .collect();
        for note in notes {
            push_lines(out, wrapped(&note, "  ", 4, self.columns));
        }
    }

    fn settles_all(&self, remedy: &Lettered) -> bool {
        remedy.settles.len() == self.conflicts.len()
    }

    fn remedies_head(&self, remedies: &[Lettered]) -> &'static str {
        let is_one = self.conflicts.len() == 1;
        match (remedies.len(), remedies.iter().all(|one| self.settles_all(one))) {
            (1, true) if is_one => "This settles it:",
            (1, true) => "This settles all of them:",
            (_, true) if is_one => "Any one of these settles it:",
            (_, true) => "Any one of these settles all of them:",
            (1, false) => "This settles some of them:",
            (_, false) => "Each is settled by any one of the letters beside it:",
        }
    }
}

fn split_place(place: &str) -> (&str, &str) {
    place.rsplit_once(':').unwrap_or((place, ""))
}

/// Returns the word between the number of conflicts and their sides.
fn preposition(group: &ConflictGroup) -> &'static str {
    match group.sides.len() {
        0 => "",
        1 => " in",
        _ => " between",
    }
}

fn push_lines(out: &mut StyledText, lines: Vec<String>) {
    for line in lines {
        out.push(&line);
        out.push("\n");
    }
}

/// Returns the line that counts the conflicts that are not listed, if there are any.
pub(super) fn more(composition: &Composition) -> Option<String> {
    match composition.more_conflicts {
        0 => None,
        1 => Some("and 1 more conflict".to_owned()),
        count => Some(format!("and {count} more conflicts")),
    }
}

fn shown(count: usize) -> usize {
    if count > MOST + 1 { MOST } else { count }
}
