//! Tables whose columns are as wide as what is in them, and that fit a terminal.

use unicode_width::UnicodeWidthStr;

use super::fit::{self, MIN_WIDTH};
use super::line::{Line, Tone};

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableColumn {
    heading: &'static str,
    right: bool,
    /// Columns with higher numbers are left out first where a terminal is narrow; 0: never.
    drop: u8,
    shorten: Shorten,
}

/// How a cell is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shorten {
    Never,
    /// From the left, but the name of a method stays whole.
    Method,
    /// From the right.
    Right,
}

/// A cell.
#[derive(Clone, Debug, Default)]
pub(super) struct TableCell {
    tone: Tone,
    text: String,
}

/// Columns of a shortened cell at least.
const MIN_METHOD: usize = 24;
const MIN_CUT: usize = 12;

/// What is between columns.
const BETWEEN: usize = 2;

impl TableColumn {
    /// A column of text.
    pub(super) const fn left(heading: &'static str) -> Self {
        Self { heading, right: false, drop: 0, shorten: Shorten::Never }
    }

    /// A column of numbers.
    pub(super) const fn right(heading: &'static str) -> Self {
        Self { right: true, ..Self::left(heading) }
    }

    /// A column of methods, or of something as long.
    pub(super) const fn method(heading: &'static str) -> Self {
        Self { shorten: Shorten::Method, ..Self::left(heading) }
    }

    /// A column whose text may be cut off.
    pub(super) const fn cut(heading: &'static str) -> Self {
        Self { shorten: Shorten::Right, ..Self::left(heading) }
    }

    /// The same column, left out on narrow terminals: the higher the number, the earlier.
    pub(super) const fn drop(self, drop: u8) -> Self {
        Self { drop, ..self }
    }
}

impl TableCell {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }
}

impl<T: Into<String>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<TableColumn>,
    headings: Vec<String>,
    rows: Vec<Vec<TableCell>>,
}

impl Table {
    pub(super) fn new(columns: &[TableColumn]) -> Self {
        let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
        Self { columns: columns.to_vec(), headings, rows: Vec::new() }
    }

    /// Puts another text above the column that is called `name`.
    pub(super) fn rename(&mut self, name: &str, heading: impl Into<String>) {
        if let Some(at) = self.headings.iter().position(|known| known == name) {
            self.headings[at] = heading.into();
        }
    }

    /// Adds a row: a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<TableCell>) {
        self.rows.push(cells);
    }

    /// The heading and the rows, each in at most `width` columns if there is a width.
    pub(super) fn lines(&self, width: Option<usize>) -> Vec<Line> {
        let (shown, widths) = self.layout(width.map(|width| width.max(MIN_WIDTH)));
        let mut lines = Vec::with_capacity(self.rows.len() + 1);
        let headings = self.headings.iter().map(|heading| TableCell::new(Tone::Heading, heading.as_str()));
        let headings: Vec<TableCell> = headings.collect();
        lines.push(self.line(&headings, &shown, &widths, Tone::Heading));
        lines.extend(self.rows.iter().map(|row| self.line(row, &shown, &widths, Tone::Plain)));
        lines
    }

    fn line(&self, cells: &[TableCell], shown: &[usize], widths: &[usize], between: Tone) -> Line {
        let mut line = Line::default();
        let mut pending = 0;
        for &at in shown {
            let (Some(column), Some(cell), Some(&width)) = (self.columns.get(at), cells.get(at), widths.get(at)) else {
                continue;
            };
            let text = column.shortened(&cell.text, width);
            let space = width.saturating_sub(text.width());
            let (before, after) = if column.right { (space, 0) } else { (0, space) };
            if !text.is_empty() {
                line.push(between, " ".repeat(pending + before));
                line.push(cell.tone, text);
                pending = after + BETWEEN;
            } else {
                pending += width + BETWEEN;
            }
        }
        line
    }

    /// Which columns are shown, and the width of each column.
    fn layout(&self, width: Option<usize>) -> (Vec<usize>, Vec<usize>) {
        let whole = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.text.width());
            cells.chain(self.headings.get(at).map(|heading| heading.width())).max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(whole).collect();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = width else { return (shown, widths) };
        loop {
            let least = |&at: &usize| self.columns[at].least(widths[at]);
            let needed: usize = shown.iter().map(least).sum::<usize>() + BETWEEN * shown.len().saturating_sub(1);
            let droppable = shown.iter().copied().filter(|&at| self.columns[at].drop > 0);
            match droppable.max_by_key(|&at| self.columns[at].drop) {
                Some(at) if needed > width => shown.retain(|&other| other != at),
                _ => break,
            }
        }
        let mut excess = shown.iter().map(|&at| widths[at]).sum::<usize>() + BETWEEN * shown.len().saturating_sub(1);
        excess = excess.saturating_sub(width);
        // What is cut off from the right gives way first, then methods do.
        for shorten in [Shorten::Right, Shorten::Method] {
            for &at in shown.iter().filter(|&&at| self.columns[at].shorten == shorten) {
                let spare = (widths[at] - self.columns[at].least(widths[at])).min(excess);
                widths[at] -= spare;
                excess -= spare;
            }
        }
        (shown, widths)
    }
}

impl TableColumn {
    /// Columns that it needs at least, where its longest text has `whole`.
    fn least(&self, whole: usize) -> usize {
        match self.shorten {
            Shorten::Never => whole,
            Shorten::Method => whole.min(MIN_METHOD),
            Shorten::Right => whole.min(MIN_CUT),
        }
    }

    fn shortened(&self, text: &str, width: usize) -> String {
        match self.shorten {
            Shorten::Never => text.to_owned(),
            Shorten::Method => fit::method(text, width, width).into_owned(),
            Shorten::Right => {
                let mut cut = text.as_bytes().to_vec();
                fit::cut_right(&mut cut, 0, width);
                String::from_utf8_lossy(&cut).into_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(table: &Table, width: Option<usize>) -> Vec<String> {
        table.lines(width).iter().map(Line::text).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_text_and_give_way_on_narrow_terminals() {
        let mut table = Table::new(&[
            TableColumn::method("Method"),
            TableColumn::right("Calls"),
            TableColumn::right("Bytes").drop(1),
            TableColumn::cut("Status").drop(2),
        ]);
        table.row(vec!["a.b/C".into(), "1".into(), "20 B".into(), "OK".into()]);
        assert_eq!(texts(&table, None), ["Method  Calls  Bytes  Status", "a.b/C       1   20 B  OK"]);
        let long = "very.long.package.of.a.Service/WithAMethod".repeat(2);
        table.row(vec![long.into(), "1".into(), "1".into(), "x".repeat(60).into()]);
        for width in [80, 100, 120, 200] {
            let lines = texts(&table, Some(width));
            assert!(lines.iter().all(|line| line.width() <= width), "{lines:#?}");
            assert!(lines[0].contains("Status"), "{lines:#?}");
        }
        let wide: Vec<TableColumn> = (0..12).map(|at| TableColumn::right("A number").drop(at)).collect();
        let lines = texts(&Table::new(&wide), Some(80));
        assert_eq!(lines[0].matches("A number").count(), 8, "{lines:#?}");
    }
}
