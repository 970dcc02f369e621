//! Tables for reading.

use std::fmt::Write as _;

use crate::report::text::visible;

/// The widest a column gets; JSON has everything.
const WIDEST: usize = 48;

/// A text that may stand in a cell: on one line and not too long.
pub(super) fn cell(text: &str) -> String {
    let text = visible(text);
    if text.chars().count() <= WIDEST {
        return text.into_owned();
    }
    let start: String = text.chars().take(WIDEST - 1).collect();
    format!("{start}…")
}

/// Cells in columns, each as wide as its widest cell.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let wide = |cell: &String| cell.chars().count();
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(wide(cell));
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_on_one_line_and_columns_line_up() {
        assert_eq!(cell("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
        assert_eq!(cell(&"ä".repeat(60)).chars().count(), WIDEST);
        let rows = [["A", "B"], ["long", "x"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "A     B\nlong  x\n");
    }
}
