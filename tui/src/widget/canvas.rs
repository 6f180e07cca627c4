//! Drawing styled text into a rectangle of the terminal's buffer, without ever leaving it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::command::Action;
use crate::text::{Keep, fit, width};
use crate::theme::{Role, Theme};

/// A piece of text with its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What is shown; safe to draw.
    pub text: String,
    /// What it is.
    pub role: Role,
}

/// A line of text in pieces.
pub type Parts = Vec<Part>;

impl Part {
    /// A piece of text.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role }
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text, Role::Text)
    }

    /// Text of less weight.
    pub fn quiet(text: impl Into<String>) -> Self {
        Self::new(text, Role::Quiet)
    }
}

/// Columns that a line takes.
pub fn parts_width(parts: &[Part]) -> usize {
    parts.iter().map(|part| width(&part.text)).sum()
}

/// A rectangle of the buffer to draw into.
pub struct Canvas<'a> {
    /// The terminal's buffer.
    pub buffer: &'a mut Buffer,
    /// The part of it that may be drawn on.
    pub area: Rect,
    /// How things look.
    pub theme: &'a Theme,
    /// The pane that is drawn: by which a click on it is recognised.
    pub pane: u8,
    zones: &'a mut Zones,
}

/// What a place on the screen is for the mouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A row of a pane, by its index in the whole list.
    Row {
        /// The pane.
        pane: u8,
        /// The row.
        row: u64,
    },
    /// The heading of a column.
    Heading {
        /// The pane.
        pane: u8,
        /// The column's field.
        field: String,
    },
    /// A button that carries out a command.
    Button(Action),
}

/// What lies where on the screen, for the mouse; what was drawn last lies on top.
#[derive(Clone, Debug, Default)]
pub struct Zones(Vec<(Rect, Hit)>);

impl Zones {
    /// What lies at a place.
    pub fn at(&self, x: u16, y: u16) -> Option<&Hit> {
        self.0.iter().rev().find(|(area, _)| area.contains((x, y).into())).map(|(_, hit)| hit)
    }

    /// Forgets everything: the screen is drawn anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<'a> Canvas<'a> {
    /// A canvas on the whole of `buffer`. What the mouse can hit is added to `zones`.
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme, zones: &'a mut Zones) -> Self {
        Self { area: buffer.area, buffer, theme, pane: 0, zones }
    }

    /// A canvas on a part of this one; `area` is cut to what this one has.
    pub fn part(&mut self, area: Rect) -> Canvas<'_> {
        let area = area.intersection(self.area);
        Canvas { buffer: self.buffer, area, theme: self.theme, pane: self.pane, zones: self.zones }
    }

    /// A canvas on a part of this one that is another pane.
    pub fn pane(&mut self, pane: u8, area: Rect) -> Canvas<'_> {
        Canvas { pane, ..self.part(area) }
    }

    /// Says what `columns` cells from `x` on in row `y` are for the mouse.
    pub fn zone(&mut self, x: u16, y: u16, columns: u16, hit: Hit) {
        let area = Rect { x: self.area.x + x, y: self.area.y + y, width: columns, height: 1 }.intersection(self.area);
        if !area.is_empty() {
            self.zones.0.push((area, hit));
        }
    }

    /// Draws `text` from column `x` of row `y` on (both from the area's corner), at most `columns` wide, cut with an
    /// ellipsis. Returns the column after it.
    pub fn text(&mut self, x: u16, y: u16, columns: u16, text: &str, role: Role) -> u16 {
        let columns = columns.min(self.area.width.saturating_sub(x));
        if y >= self.area.height || columns == 0 {
            return x;
        }
        let text = if self.theme.signs.ascii { crate::text::ascii(text) } else { text.into() };
        let shown = fit(&text, columns.into(), Keep::Start, self.theme.signs.ellipsis);
        // What lay there before (a rule) leaves nothing of its style.
        let style = Style::reset().patch(self.theme.style(role));
        self.buffer.set_stringn(self.area.x + x, self.area.y + y, &*shown, columns.into(), style);
        x + width(&shown) as u16
    }

    /// Draws a line in pieces from column `x` of row `y` on. Returns the column after it.
    pub fn parts(&mut self, x: u16, y: u16, columns: u16, parts: &[Part]) -> u16 {
        let end = x.saturating_add(columns).min(self.area.width);
        let mut at = x;
        for (index, part) in parts.iter().enumerate() {
            if at >= end {
                // Nothing is cut without a sign, also between two pieces.
                let is_text = |part: &Part| !part.text.trim().is_empty();
                if end > x && parts.iter().skip(index).any(is_text) {
                    self.text(end - 1, y, 1, self.theme.signs.ellipsis, Role::Quiet);
                }
                break;
            }
            at = self.text(at, y, end - at, &part.text, part.role);
        }
        at
    }

    /// Draws a line in pieces so that it ends at the right border of row `y`; cut at its beginning where it does not fit in
    /// `columns`. Returns the column at which it begins.
    pub fn parts_right(&mut self, y: u16, columns: u16, parts: &[Part]) -> u16 {
        let width = parts_width(parts).min(columns.min(self.area.width).into()) as u16;
        let x = self.area.width - width;
        self.parts(x, y, width, parts);
        x
    }

    /// Gives `columns` cells from `x` on in row `y` another style on top of the one that they have.
    pub fn restyle(&mut self, x: u16, y: u16, columns: u16, role: Role) {
        let area = Rect { x: self.area.x + x, y: self.area.y + y, width: columns, height: 1 }.intersection(self.area);
        self.buffer.set_style(area, self.theme.style(role));
    }

    /// Blanks the area: what is drawn on top of a screen hides what lies below it.
    pub fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Draws a horizontal rule in row `y` with a title at its left and a remark at its right.
    pub fn rule(&mut self, y: u16, title: &[Part], remark: &[Part]) {
        if y >= self.area.height {
            return;
        }
        let rule = self.theme.signs.rule.repeat(self.area.width.into());
        self.text(0, y, self.area.width, &rule, Role::Quiet);
        if !title.is_empty() {
            let at = self.text(2, y, self.area.width, " ", Role::Quiet);
            let room = self.area.width.saturating_sub(at + 2);
            let at = self.parts(at, y, room, title);
            self.text(at, y, 1, " ", Role::Quiet);
        }
        if !remark.is_empty() {
            let taken = parts_width(title) as u16 + 8;
            let width = parts_width(remark) as u16;
            if let Some(x) = self.area.width.checked_sub(width + 4).filter(|&x| x >= taken) {
                self.text(x, y, 1, " ", Role::Quiet);
                let at = self.parts(x + 1, y, width, remark);
                self.text(at, y, 1, " ", Role::Quiet);
            }
        }
    }
}
