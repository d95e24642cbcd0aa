//! Tables that fit the terminal.

use std::os::fd::AsFd;

use compose_plan::compose::report::COLUMNS;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Masks;

/// The fewest columns that the last cell of a row gets, however narrow the terminal is.
const LEAST: usize = 8;

/// Returns the number of columns of the terminal that a stream leads to; where it leads to none, those of most terminals.
pub(crate) fn columns(stream: &impl AsFd) -> usize {
    columns_of(stream).unwrap_or(COLUMNS)
}

/// Returns the columns for a layout to which masks are applied afterwards. A text that is cut or broken is no longer what a
/// mask is about, so where there are masks nothing is.
pub(crate) fn columns_before_masks(stream: &impl AsFd) -> usize {
    if Masks::current().is_empty() {
        columns(stream)
    } else {
        usize::MAX
    }
}

/// Returns the number of columns of a stream, if it is a terminal that says how many it has.
pub(super) fn columns_of(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Formats rows with as many cells as the header. The last cell of a row is cut where the line would not fit.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], columns: usize) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let all = || std::iter::once(&header).chain(rows);
    let last = header.len().saturating_sub(1);
    let widths: Vec<usize> = (0..last)
        .map(|at| {
            all()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let before: usize = widths.iter().map(|width| width + 2).sum();
    let room = columns.saturating_sub(before).max(LEAST);
    let mut out = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        line.push_str(&cut(row.get(last).map_or("", String::as_str), room));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Cuts a text to a number of columns.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        out.push(c);
    }
    out.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_by_columns_and_cut_at_the_end() {
        let rows =
            [["日本", "a long text"], ["x", "日本日本日本"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&["NAME", "README"], &rows, 14),
            "NAME  README\n日本  a long…\nx     日本日…\n"
        );
        assert_eq!(table(&["A", "B"], &[], 80), "A  B\n");
    }
}
