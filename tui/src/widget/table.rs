//! A list of any length: only the rows in view are ever asked for.
//!
//! ```text
//!  ┌ gutter: cursor, mark, note
//!  │   No ▴     Time  Method            Took  Status      the header
//! ▌●   20   0.310674  …Orders/Slow    101 ms  ✗ reset     a row
//! ```

use ratatui::layout::Rect;

use super::canvas::{Canvas, Hit, Part, Parts, parts_width};
use crate::command::Action;
use crate::text::{Keep, fit, width};
use crate::theme::Role;

/// A column of a list.
#[derive(Clone, Debug)]
pub struct Column {
    /// The field that it shows, as filters name it; empty for what no field says.
    pub field: String,
    /// Its heading.
    pub title: String,
    /// Which side its cells stand on.
    pub align: Align,
    /// How wide it is.
    pub width: Width,
    /// What is kept of a cell that does not fit.
    pub keep: Keep,
    /// When it leaves a window that is too narrow: the largest number first, 0 never.
    pub leaves: u8,
}

/// Which side of a column its cells stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// How wide a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// So many columns.
    Exact(u16),
    /// At least so many, and a share of what is left.
    Share {
        /// Columns without which it does not stay.
        least: u16,
        /// Its share, compared to other columns'.
        weight: u16,
    },
}

impl Width {
    const fn least(self) -> u16 {
        match self {
            Self::Exact(columns) | Self::Share { least: columns, .. } => columns,
        }
    }

    const fn weight(self) -> u16 {
        match self {
            Self::Exact(_) => 0,
            Self::Share { weight, .. } => weight,
        }
    }
}

/// What is in one column of one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(pub Parts);

impl Cell {
    /// A cell of one piece.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self(vec![Part::new(text, role)])
    }

    /// A cell of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text, Role::Text)
    }
}

/// A row of a list: a cell for each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What the gutter shows.
    pub gutter: Gutter,
    /// Its cells, in the order of the columns.
    pub cells: Vec<Cell>,
    /// A line across all columns in place of cells.
    pub line: Option<Parts>,
}

impl Row {
    /// A row that is not known yet: `sign` in its first column.
    pub fn waiting(columns: usize, sign: &str) -> Self {
        let mut cells = vec![Cell::default(); columns];
        if let Some(first) = cells.first_mut() {
            *first = Cell::new(sign, Role::Quiet);
        }
        Self { cells, ..Self::default() }
    }
}

/// What the gutter shows besides the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gutter {
    /// The user has marked the row.
    pub marked: bool,
    /// There are notes on it.
    pub noted: bool,
}

/// Columns of the gutter, with the blank after it.
const GUTTER: u16 = 3;

/// Where a list is scrolled to and which row has the cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListState {
    /// The row with the cursor.
    pub cursor: u64,
    /// The first row in view.
    pub top: u64,
    /// Columns skipped at the left, after the first.
    pub skipped: usize,
    /// Rows that there are, and rows that are in view: for the scrollbar.
    pub rows: (u64, u64),
}

impl ListState {
    /// Moves the cursor by `rows`, within a list of `len`.
    pub fn move_by(&mut self, rows: i64, len: u64) {
        self.cursor = self.cursor.saturating_add_signed(rows).min(len.saturating_sub(1));
    }

    /// Moves the cursor to `row`.
    pub fn move_to(&mut self, row: u64, len: u64) {
        self.cursor = row.min(len.saturating_sub(1));
    }

    /// Scrolls so that the cursor is among `height` rows of a list of `len`.
    pub fn scroll_into_view(&mut self, height: u64, len: u64) {
        self.cursor = self.cursor.min(len.saturating_sub(1));
        self.rows = (len, height);
        if height == 0 {
            return;
        }
        let lowest_top = self.cursor.saturating_sub(height - 1);
        self.top = self.top.clamp(lowest_top, self.cursor.max(lowest_top)).min(len.saturating_sub(height.min(len)));
    }

    /// Carries out a command that moves the cursor in a list of `len`, of which `page` rows are in view. Whether it is one.
    pub fn act(&mut self, action: Action, page: u64, len: u64) -> bool {
        let page = page.saturating_sub(1).clamp(1, i64::MAX as u64) as i64;
        let half = (page / 2).max(1);
        let by = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => -page,
            Action::PageDown => page,
            Action::HalfUp => -half,
            Action::HalfDown => half,
            Action::First => i64::MIN,
            Action::Last => i64::MAX,
            _ => return false,
        };
        self.move_by(by, len);
        true
    }

    /// Moves the cursor to `row` and keeps it on the same line of the screen.
    pub fn keep_line(&mut self, row: u64) {
        let line = self.cursor.saturating_sub(self.top);
        self.cursor = row;
        self.top = row.saturating_sub(line);
    }
}

/// A column as it is laid out: its index, where it begins and how wide it is.
type Placed = (usize, u16, u16);

/// Decides which columns are shown in `width` and where. `skipped` columns after the first are left out at the left.
pub fn lay_out(columns: &[Column], width: u16, skipped: usize) -> Vec<Placed> {
    let mut shown: Vec<usize> = (0..columns.len())
        .filter(|&index| index == 0 || index > skipped.min(columns.len().saturating_sub(2)))
        .collect();
    let least = |shown: &[usize]| -> u16 {
        let widths = shown.iter().filter_map(|&index| columns.get(index)).map(|column| column.width.least());
        widths.fold(GUTTER, |sum, width| sum.saturating_add(width).saturating_add(GAP)).saturating_sub(GAP)
    };
    while least(&shown) > width {
        let leaving = |&&index: &&usize| columns.get(index).map_or(0, |column| column.leaves);
        let Some(&first) = shown.iter().max_by_key(leaving).filter(|index| leaving(index) > 0) else { break };
        shown.retain(|&index| index != first);
    }
    let spare = width.saturating_sub(least(&shown));
    let weights: u16 = shown.iter().filter_map(|&index| columns.get(index)).map(|column| column.width.weight()).sum();
    let mut left = spare;
    let mut weights_left = weights;
    let mut x = GUTTER;
    let mut placed = Vec::with_capacity(shown.len());
    for index in shown {
        let Some(column) = columns.get(index) else { continue };
        let weight = column.width.weight();
        let share = match weights_left {
            0 => 0,
            all => (u32::from(left) * u32::from(weight) / u32::from(all)) as u16,
        };
        left -= share;
        weights_left -= weight;
        let columns = column.width.least() + share;
        if x >= width {
            break;
        }
        placed.push((index, x, columns.min(width - x)));
        x += columns + GAP;
    }
    placed
}

/// Blank columns between two columns.
const GAP: u16 = 2;

/// Draws a list: its header in the first row, then the rows in view, and a scrollbar where there are more. `sorted`: the column
/// that the list is sorted by, and whether downwards.
pub fn draw_table(
    canvas: &mut Canvas<'_>,
    columns: &[Column],
    sorted: Option<(usize, bool)>,
    state: ListState,
    focused: bool,
    rows: &[Row],
) {
    draw_scrollbar(canvas, state, &[]);
    let area = canvas.area;
    let canvas = &mut canvas.part(Rect { width: area.width.saturating_sub(SCROLLBAR), ..area });
    let placed = lay_out(columns, canvas.area.width, state.skipped);
    for &(index, x, wide) in &placed {
        let Some(column) = columns.get(index) else { continue };
        let mut title = column.title.clone();
        if let Some((_, down)) = sorted.filter(|&(by, _)| by == index) {
            title = format!("{title} {}", canvas.theme.signs.sorted[usize::from(down)]);
        }
        let title = fit(&title, wide.into(), Keep::Start, canvas.theme.signs.ellipsis).into_owned();
        let x = match column.align {
            Align::Left => x,
            Align::Right => x + wide - width(&title) as u16,
        };
        canvas.text(x, 0, wide, &title, Role::Heading);
        if !column.field.is_empty() {
            canvas.zone(x, 0, wide, Hit::Heading { pane: canvas.pane, field: column.field.clone() });
        }
    }
    for (line, row) in (1..canvas.area.height).zip(rows) {
        let index = state.top + u64::from(line - 1);
        let has_cursor = index == state.cursor;
        canvas.zone(0, line, canvas.area.width, Hit::Row { pane: canvas.pane, row: index });
        draw_row(canvas, columns, &placed, line, row, has_cursor && focused);
        if has_cursor {
            canvas.text(0, line, 1, canvas.theme.signs.cursor, Role::Heading);
        }
    }
}

/// Columns at the right that the scrollbar takes, with a blank before it, also where there is none: nothing moves when rows are added.
const SCROLLBAR: u16 = 2;

/// Draws the scrollbar of a list that has more rows than are in view, beside its rows. `failed`: rows with problems, ascending.
pub(crate) fn draw_scrollbar(canvas: &mut Canvas<'_>, state: ListState, failed: &[u32]) {
    let (len, shown) = state.rows;
    let lines = u64::from(canvas.area.height.saturating_sub(1));
    if len <= shown || lines == 0 || canvas.area.width < 2 {
        return;
    }
    // The rows that a line stands for.
    let first_of = |line: u64| (u128::from(line) * u128::from(len) / u128::from(lines)) as u64;
    let x = canvas.area.width - 1;
    for line in 0..lines {
        let (from, to) = (first_of(line), first_of(line + 1).max(first_of(line) + 1));
        let in_view = from < state.top + shown && to > state.top;
        let next = failed.partition_point(|&row| u64::from(row) < from);
        let has_failed = failed.get(next).is_some_and(|&row| u64::from(row) < to);
        let [thumb, mark, both] = canvas.theme.signs.scrollbar;
        let (sign, role) = match (in_view, has_failed) {
            (false, false) => continue,
            (true, false) => (thumb, Role::Quiet),
            (false, true) => (mark, Role::Error),
            (true, true) => (both, Role::Error),
        };
        canvas.text(x, line as u16 + 1, 1, sign, role);
    }
}

fn draw_row(canvas: &mut Canvas<'_>, columns: &[Column], placed: &[Placed], y: u16, row: &Row, selected: bool) {
    if row.gutter.marked {
        canvas.text(1, y, 1, canvas.theme.signs.mark, Role::Mark);
    }
    if row.gutter.noted {
        canvas.text(2, y, 1, "!", Role::Warning);
    }
    if let Some(line) = &row.line {
        canvas.parts(GUTTER, y, canvas.area.width, line);
    }
    for &(index, x, wide) in placed {
        let (Some(column), Some(cell)) = (columns.get(index), row.cells.get(index)) else { continue };
        draw_cell(canvas, column, x, y, wide, &cell.0);
    }
    if selected {
        let width = canvas.area.width.saturating_sub(GUTTER);
        canvas.restyle(GUTTER, y, width, Role::Selected);
    }
}

/// Columns of a piece that is cut at its beginning, at the least.
const LEAST_CUT: usize = 4;

fn draw_cell(canvas: &mut Canvas<'_>, column: &Column, x: u16, y: u16, wide: u16, parts: &[Part]) {
    let taken = parts_width(parts);
    if taken <= usize::from(wide) {
        let x = match column.align {
            Align::Left => x,
            Align::Right => x + wide - taken as u16,
        };
        canvas.parts(x, y, wide, parts);
        return;
    }
    match (column.keep, parts) {
        // The first piece is cut at its beginning, as long as enough of it is left.
        (Keep::End, [first, rest @ ..]) if parts_width(rest) + LEAST_CUT <= wide.into() => {
            let room = usize::from(wide) - parts_width(rest);
            let text = fit(&first.text, room, Keep::End, canvas.theme.signs.ellipsis).into_owned();
            let at = canvas.text(x, y, wide, &text, first.role);
            canvas.parts(at, y, (x + wide).saturating_sub(at), rest);
        }
        _ => {
            canvas.parts(x, y, wide, parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &str, width: Width, leaves: u8) -> Column {
        Column { field: String::new(), title: title.to_owned(), align: Align::Left, width, keep: Keep::Start, leaves }
    }

    fn columns() -> Vec<Column> {
        vec![
            column("No", Width::Exact(6), 0),
            column("Time", Width::Exact(10), 1),
            column("Method", Width::Share { least: 12, weight: 1 }, 0),
            column("Bytes", Width::Exact(8), 3),
            column("Status", Width::Share { least: 10, weight: 1 }, 0),
        ]
    }

    #[test]
    fn columns_leave_by_their_order_and_the_rest_share_the_width() {
        let columns = columns();
        let shown = |width| lay_out(&columns, width, 0).iter().map(|placed| placed.0).collect::<Vec<_>>();
        assert_eq!(shown(80), [0, 1, 2, 3, 4]);
        assert_eq!(shown(50), [0, 1, 2, 4]);
        assert_eq!(shown(45), [0, 2, 4]);
        let placed = lay_out(&columns, 80, 0);
        let (_, x, wide) = placed[placed.len() - 1];
        assert_eq!(x + wide, 80);
        assert!(placed.windows(2).all(|pair| pair[0].1 + pair[0].2 + GAP == pair[1].1));
    }

    #[test]
    fn no_width_makes_the_layout_leave_the_window() {
        let columns = columns();
        for width in 0..200 {
            for skipped in 0..6 {
                for (_, x, wide) in lay_out(&columns, width, skipped) {
                    assert!(x + wide <= width);
                }
            }
        }
    }

    #[test]
    fn the_cursor_stays_in_view_and_in_the_list() {
        let mut state = ListState::default();
        state.move_by(100, 50);
        state.scroll_into_view(10, 50);
        assert_eq!((state.cursor, state.top), (49, 40));
        state.move_by(-45, 50);
        state.scroll_into_view(10, 50);
        assert_eq!((state.cursor, state.top), (4, 4));
        state.scroll_into_view(10, 3);
        assert_eq!((state.cursor, state.top), (2, 0));
        state.scroll_into_view(10, 0);
        assert_eq!((state.cursor, state.top), (0, 0));
    }

    #[test]
    fn a_row_that_moves_in_its_list_keeps_its_line_on_the_screen() {
        let mut state = ListState { cursor: 30, top: 25, ..ListState::default() };
        state.keep_line(100);
        assert_eq!((state.cursor, state.top), (100, 95));
        state.keep_line(2);
        assert_eq!((state.cursor, state.top), (2, 0));
    }
}
