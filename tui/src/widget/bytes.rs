//! Bytes as hexadecimal and text, with the bytes of the selected field marked.
//!
//! ```text
//!  0030  6e 20 56 69 65 77 1a 02  43 41 22 02 55 53[28 db   n View..CA".US(.
//!  0040  de 05]2a 13 73 6f 6d 65  6f 6e 65 40 65 78 61 6d   ..*.someone@exam
//! ```

use std::ops::Range;
use std::sync::Arc;

use super::canvas::{Canvas, Hit};
use crate::theme::Role;

/// One way to look at the bytes of a message or frame.
#[derive(Clone, Debug)]
pub struct ByteView {
    /// What it is: "message", "frame", "inflated".
    pub name: String,
    /// What the bytes belong to, for the title: "↑ message 1, 118 B".
    pub title: String,
    /// Views of one group show the same thing in other forms.
    pub group: u32,
    /// The bytes.
    pub bytes: Arc<[u8]>,
    /// How many more there are that are not shown.
    pub omitted: u64,
}

/// Where a byte view is scrolled to, and its cursor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bytes {
    /// The byte with the cursor.
    pub cursor: usize,
    /// The first row in view.
    pub top: usize,
}

impl Bytes {
    /// Bytes in a row of a pane that is `width` columns wide.
    pub const fn per_row(width: u16) -> usize {
        // Address, hexadecimal in groups of eight, text.
        if width >= 76 { 16 } else { 8 }
    }

    /// Moves the cursor by `bytes` in a view of `len` bytes.
    pub fn move_by(&mut self, bytes: isize, len: usize) {
        self.cursor = self.cursor.saturating_add_signed(bytes).min(len.saturating_sub(1));
    }

    /// Scrolls so that `at` is in a pane of `height` rows.
    pub fn scroll_to(&mut self, at: usize, width: u16, height: u16) {
        let row = at / Self::per_row(width);
        let height = usize::from(height.max(1));
        if row < self.top {
            self.top = row;
        } else if row >= self.top + height {
            self.top = row + 1 - height;
        }
    }
}

/// Draws `view` with the bytes of `selected` marked and those of `parent` underlined.
pub fn draw_bytes(
    canvas: &mut Canvas<'_>,
    view: &ByteView,
    state: Bytes,
    selected: Option<Range<usize>>,
    parent: Option<Range<usize>>,
    focused: bool,
) {
    let parent = parent.unwrap_or(0..0);
    let per_row = Bytes::per_row(canvas.area.width);
    let selected = selected.unwrap_or(0..0);
    let brackets = canvas.theme.brackets();
    for y in 0..canvas.area.height {
        let first = (state.top + usize::from(y)) * per_row;
        let Some(bytes) = view.bytes.get(first..).filter(|bytes| !bytes.is_empty()) else {
            if first >= view.bytes.len() && first < view.bytes.len() + per_row && view.omitted > 0 {
                canvas.text(
                    1,
                    y,
                    canvas.area.width,
                    &format!("{} more bytes are not shown", view.omitted),
                    Role::Quiet,
                );
            }
            break;
        };
        let bytes = &bytes[..bytes.len().min(per_row)];
        canvas.zone(0, y, canvas.area.width, Hit::Row { pane: canvas.pane, row: (first / per_row) as u64 });
        canvas.text(1, y, 8, &format!("{first:04x}"), Role::Quiet);
        let hex_at = 7;
        let text_at = hex_at + (per_row * 3 + per_row / 8) as u16;
        for (index, &byte) in bytes.iter().enumerate() {
            let at = first + index;
            let x = hex_at + (index * 3 + index / 8) as u16;
            let role = if selected.contains(&at) { Role::SelectedBytes } else { Role::Text };
            canvas.text(x, y, 2, &format!("{byte:02x}"), role);
            canvas.text(text_at + index as u16, y, 1, &printable(byte), role);
            if role == Role::Text && parent.contains(&at) {
                canvas.restyle(x, y, 2, Role::ParentBytes);
            }
            if focused && at == state.cursor {
                canvas.restyle(x, y, 2, Role::Focus);
                canvas.restyle(x, y, 2, Role::SelectedBytes);
            }
            // The gap between two selected bytes of a row belongs to the selection.
            if role == Role::SelectedBytes && selected.contains(&(at + 1)) && index + 1 < per_row && !brackets {
                canvas.restyle(x + 2, y, 1 + u16::from(index % 8 == 7), Role::SelectedBytes);
            }
            if brackets && at == selected.start && !selected.is_empty() {
                canvas.text(x - 1, y, 1, "[", Role::Text);
            }
            if brackets && at + 1 == selected.end {
                canvas.text(x + 2, y, 1, "]", Role::Text);
            }
        }
    }
}

fn printable(byte: u8) -> String {
    if (b' '..=b'~').contains(&byte) { char::from(byte).to_string() } else { ".".to_owned() }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::theme::Theme;

    fn drawn(width: u16, selected: Range<usize>) -> Vec<String> {
        let area = Rect::new(0, 0, width, 3);
        let mut buffer = Buffer::empty(area);
        let theme = Theme::new(false, true);
        let bytes: Arc<[u8]> = (0x30..0x4f).collect();
        let view = ByteView { name: "message".into(), title: String::new(), group: 0, bytes, omitted: 5 };
        let mut zones = crate::widget::Zones::default();
        let mut canvas = Canvas::new(&mut buffer, &theme, &mut zones);
        draw_bytes(&mut canvas, &view, Bytes::default(), Some(selected), None, false);
        let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        (0..3).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn selected_bytes_stand_in_brackets_across_rows() {
        let rows = drawn(80, 14..18);
        assert_eq!(rows[0], " 0000  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d[3e 3f  0123456789:;<=>?");
        assert_eq!(rows[1], " 0010  40 41]42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e     @ABCDEFGHIJKLMN");
        assert_eq!(rows[2], " 5 more bytes are not shown");
    }

    #[test]
    fn a_narrow_pane_has_eight_bytes_a_row() {
        assert_eq!(drawn(60, 0..0)[1], " 0008  38 39 3a 3b 3c 3d 3e 3f  89:;<=>?");
    }

    #[test]
    fn scrolling_shows_the_byte_that_is_asked_for() {
        let mut state = Bytes::default();
        state.scroll_to(1000, 80, 5);
        assert_eq!(state.top, 1000 / 16 - 4);
        state.scroll_to(0, 80, 5);
        assert_eq!(state.top, 0);
    }
}
