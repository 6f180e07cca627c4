//! A box on top of a screen: lines, one of which may have the cursor, scrolled when there are more than fit.

use ratatui::layout::Rect;

use super::canvas::{Canvas, Part, Parts, parts_width};
use super::table::ListState;
use crate::theme::Role;

/// What a box shows.
#[derive(Clone, Debug, Default)]
pub struct Popup {
    /// Its title.
    pub title: String,
    /// What is at the right of the title.
    pub remark: String,
    /// Its lines; the second part is at the right.
    pub lines: Vec<(Parts, Parts)>,
    /// What its lower border says.
    pub footer: String,
}

/// Where a box stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the middle.
    Middle,
    /// With its upper left corner at a position, moved where it would leave the window.
    At(u16, u16),
}

/// Draws a box in the middle of the canvas; `state`: the line with the cursor, if one has it. Returns the area of its
/// lines.
pub fn draw_popup(canvas: &mut Canvas<'_>, popup: &Popup, state: Option<&mut ListState>) -> Rect {
    draw_popup_at(canvas, popup, state, Place::Middle, 0)
}

/// Draws a box at `place`, at least `least` columns wide.
pub(crate) fn draw_popup_at(
    canvas: &mut Canvas<'_>,
    popup: &Popup,
    state: Option<&mut ListState>,
    place: Place,
    least: u16,
) -> Rect {
    let all = canvas.area;
    let widest = popup.lines.iter().map(|(left, right)| parts_width(left) + parts_width(right) + 2).max().unwrap_or(0);
    let titles = crate::text::width(&popup.title) + crate::text::width(&popup.remark) + 6;
    let inner = widest.max(titles).max(crate::text::width(&popup.footer) + 4).max(least.into());
    let width = (inner as u16).saturating_add(4).min(all.width);
    let height = (popup.lines.len() as u16).saturating_add(2).min(all.height);
    let (x, y) = match place {
        Place::Middle => ((all.width - width) / 2, (all.height - height) / 2),
        Place::At(x, y) => (x.min(all.width - width), y.min(all.height - height)),
    };
    let area = Rect { x: all.x + x, y: all.y + y, width, height };
    let mut canvas = canvas.part(area);
    canvas.clear();
    draw_border(&mut canvas, popup);
    let inside = Rect {
        x: area.x + 2.min(width),
        y: area.y + 1.min(height),
        width: width.saturating_sub(4),
        height: height.saturating_sub(2),
    };
    let (top, cursor) = match state {
        Some(state) => {
            state.scroll_into_view(inside.height.into(), popup.lines.len() as u64);
            (state.top as usize, Some(state.cursor as usize))
        }
        None => (0, None),
    };
    let mut lines = canvas.part(inside);
    for (y, (index, (left, right))) in (0..inside.height).zip(popup.lines.iter().enumerate().skip(top)) {
        let remark = parts_width(right) as u16;
        lines.parts(0, y, inside.width.saturating_sub(remark + u16::from(remark > 0)), left);
        lines.parts_right(y, inside.width, right);
        if cursor == Some(index) {
            lines.restyle(0, y, inside.width, Role::Selected);
        }
    }
    inside
}

fn draw_border(canvas: &mut Canvas<'_>, popup: &Popup) {
    let (width, height) = (canvas.area.width, canvas.area.height);
    let signs = canvas.theme.signs;
    if width < 2 || height < 2 {
        return;
    }
    let rule = signs.rule.repeat(usize::from(width) - 2);
    let [top_left, top_right, bottom_left, bottom_right] = signs.corners;
    for (y, left, right) in [(0, top_left, top_right), (height - 1, bottom_left, bottom_right)] {
        canvas.text(0, y, 1, left, Role::Quiet);
        canvas.text(1, y, width - 2, &rule, Role::Quiet);
        canvas.text(width - 1, y, 1, right, Role::Quiet);
    }
    for y in 1..height - 1 {
        canvas.text(0, y, 1, signs.vertical, Role::Quiet);
        canvas.text(width - 1, y, 1, signs.vertical, Role::Quiet);
    }
    let title = |text: &str| [Part::quiet(" "), Part::new(text, Role::Heading), Part::quiet(" ")];
    if !popup.title.is_empty() {
        canvas.parts(1, 0, width - 2, &title(&popup.title));
    }
    if !popup.remark.is_empty() {
        let remark = [Part::quiet(format!(" {} ", popup.remark))];
        let wide = parts_width(&remark) as u16;
        if let Some(x) = width.checked_sub(wide + 2) {
            canvas.parts(x, 0, wide, &remark);
        }
    }
    if !popup.footer.is_empty() {
        canvas.parts(1, height - 1, width - 2, &[Part::quiet(format!(" {} ", popup.footer))]);
    }
}
