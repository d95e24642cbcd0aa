//! Text in columns: tables that fit a width, and lines that are broken between words.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns where no terminal says otherwise.
pub const COLUMNS: usize = 80;
/// The fewest columns that a cell is cut to.
const LEAST: usize = 6;
/// The space between two cells.
const GAP: usize = 2;

/// Returns the lines of a table without trailing spaces, each after an indent. Cells of the first
/// `cuttable` columns are cut first where a line would not fit, then the others.
pub(super) fn table(rows: &[Vec<String>], cuttable: usize, indent: usize, columns: usize) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..count)
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    let room = columns.saturating_sub(indent + GAP * count.saturating_sub(1));
    for first in [0..cuttable.min(count), 0..count] {
        let mut excess = widths.iter().sum::<usize>().saturating_sub(room);
        while excess > 0 {
            let widest = first.clone().max_by_key(|at| widths[*at]);
            let Some(widest) = widest.filter(|at| widths[*at] > LEAST) else {
                break;
            };
            widths[widest] -= 1;
            excess -= 1;
        }
    }
    let line = |row: &Vec<String>| {
        let mut line = " ".repeat(indent);
        for (cell, width) in row.iter().zip(&widths) {
            let cell = cut(cell, *width);
            line.push_str(&cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + GAP));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Cuts a text in its middle to a number of columns.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(1);
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut used = 0;
        let fits = |c: &char| {
            used += c.width().unwrap_or(0);
            used <= room
        };
        chars.take_while(fits).collect::<Vec<char>>()
    };
    let start: String = take(&mut text.chars(), room / 2).into_iter().collect();
    let end: String = take(&mut text.chars().rev(), room - room / 2)
        .into_iter()
        .rev()
        .collect();
    format!("{start}…{end}")
}

/// Breaks a text between words. Words that do not fit a line are not cut.
pub(super) fn wrapped(text: &str, first: &str, indent: usize, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut is_empty) = (first.to_owned(), true);
    for word in text.split(' ') {
        if !is_empty && line.width() + 1 + word.width() > columns {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// Returns the number of columns of a text.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_cut_in_the_middle_where_a_line_would_not_fit() {
        let rows = [
            ["FILE", "WHAT", "A"],
            ["a/long/path/to/main.tf", "日本日本日本日本", ":1"],
        ]
        .map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&rows, 2, 2, 80),
            [
                "  FILE                    WHAT              A",
                "  a/long/path/to/main.tf  日本日本日本日本  :1"
            ]
        );
        let narrow = table(&rows, 2, 2, 30);
        assert_eq!(narrow[1], "  a/lon…in.tf  日本…日本    :1");
        assert!(narrow.iter().all(|line| width(line) <= 30), "{narrow:?}");
        assert_eq!(table(&rows, 2, 2, 1)[1], "  a/….tf  日…本   :1");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(
            wrapped("one two three averylongword x", "  a) ", 5, 14),
            ["  a) one two", "     three", "     averylongword", "     x"]
        );
    }
}
