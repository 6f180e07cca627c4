//! A tree of fields with its bytes below it, or beside it in a wide window: one selection, shown in both.

use std::ops::Range;

use ratatui::layout::Rect;

use crate::command::{Action, Context};
use crate::model::Fields;
use crate::screen::Copyable;
use crate::text::counted;
use crate::theme::Role;
use crate::widget::{Bytes, Canvas, Comparison, Hit, Node, Part, Parts, TreeState, draw_bytes, draw_tree};

/// Which pane has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    #[default]
    Tree,
    Bytes,
}

/// The panes, as clicks name them.
pub(crate) const TREE: u8 = 8;
pub(crate) const BYTES: u8 = 9;

/// The state of a tree and its bytes; the [`Fields`] themselves belong to the screen.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldsPanes {
    /// The pane with the focus.
    pub(crate) pane: Pane,
    /// Only the pane with the focus is shown.
    pub(crate) maximized: bool,
    /// The text that was sought last.
    pub(crate) sought: String,
    tree: TreeState,
    bytes: Bytes,
    /// The byte view that was chosen, where it is not that of the selected node.
    view: Option<usize>,
    /// Remarks say how things were coded.
    coding: bool,
    /// The other way to divide the window than the one that suits its width.
    swapped: bool,
    /// Rows, or columns, that the bytes have more than by default.
    more: i16,
    tree_height: u16,
    bytes_size: (u16, u16),
}

/// Rows of the byte pane below the tree.
const BYTE_ROWS: u16 = 7;

/// Columns from which on the bytes are beside the tree.
pub(crate) const SIDE_BY_SIDE: u16 = 132;

/// Columns that 16 bytes take beside a tree.
const BYTE_COLUMNS: u16 = 78;

impl FieldsPanes {
    /// Shows other fields. What was open and selected stays so where the tree is the same.
    pub(crate) fn set(&mut self, before: Option<&Fields>, fields: &Fields) {
        match before {
            Some(before) if before.tree.nodes.len() == fields.tree.nodes.len() => self.tree.refresh(&fields.tree),
            _ => self.tree = TreeState::new(&fields.tree),
        }
        self.view = None;
    }

    /// Which commands the pane with the focus has.
    pub(crate) const fn context(&self) -> Context {
        match self.pane {
            Pane::Tree => Context::Tree,
            Pane::Bytes => Context::Bytes,
        }
    }

    /// The index of the selected node.
    pub(crate) fn selected(&self) -> Option<crate::widget::NodeIx> {
        self.tree.selected()
    }

    /// The node with the cursor.
    pub(crate) fn node<'f>(&self, fields: &'f Fields) -> Option<&'f Node> {
        fields.tree.get(self.tree.selected()?)
    }

    /// The comparison that the selected node offers.
    pub(crate) fn comparisons(&self, fields: &Fields) -> Vec<(String, Comparison)> {
        let comparison = self.node(fields).and_then(|node| node.filter.clone());
        comparison.map(|comparison| (String::new(), comparison)).into_iter().collect()
    }

    /// What of the selected node can be copied.
    pub(crate) fn copies(&self, fields: &Fields) -> Vec<Copyable> {
        let node = self.node(fields);
        let value = node.map(|node| node.copy.clone()).filter(|value| !value.is_empty());
        let filter = node.and_then(|node| node.filter.as_ref()).map(Comparison::equal);
        let copies =
            [('y', "value", value), ('f', "as a filter", filter), ('h', "bytes, hexadecimal", self.hex(fields))];
        copies.into_iter().filter_map(|(key, title, text)| Some((key, title.to_owned(), text?))).collect()
    }

    /// The bytes of the selected node as hexadecimal digits.
    fn hex(&self, fields: &Fields) -> Option<String> {
        let (view, range) = self.node(fields)?.bytes.clone()?;
        let bytes = fields.views.get(view)?.bytes.get(range)?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Carries out an action that concerns the panes. Whether it did.
    pub(crate) fn act(&mut self, action: Action, fields: &Fields) -> bool {
        match self.pane {
            Pane::Tree => self.act_on_tree(action, fields),
            Pane::Bytes => self.act_on_bytes(action, fields),
        }
    }

    fn act_on_tree(&mut self, action: Action, fields: &Fields) -> bool {
        let page = u64::from(self.tree_height);
        if !self.tree.list.act(action, page, self.tree.len()) {
            match action {
                Action::Left => self.tree.fold(&fields.tree),
                Action::Right => self.tree.unfold(&fields.tree),
                Action::Open => self.tree.toggle(&fields.tree),
                _ => return self.act_on_both(action, fields),
            }
        }
        self.show_bytes_of_node(fields);
        true
    }

    /// The byte pane shows the bytes of the selected node.
    fn show_bytes_of_node(&mut self, fields: &Fields) {
        self.view = None;
        if let Some((_, range)) = self.node(fields).and_then(|node| node.bytes.clone()) {
            self.bytes.cursor = range.start;
        }
    }

    fn act_on_bytes(&mut self, action: Action, fields: &Fields) -> bool {
        let Some(view) = self.shown_view(fields) else { return self.act_on_both(action, fields) };
        let Some(len) = fields.views.get(view).map(|view| view.bytes.len()) else { return false };
        let row = Bytes::per_row(self.bytes_size.0) as isize;
        let page = row * isize::from(self.bytes_size.1.clamp(1, 1000) as i16);
        match action {
            Action::Up => self.bytes.move_by(-row, len),
            Action::Down => self.bytes.move_by(row, len),
            Action::Left => self.bytes.move_by(-1, len),
            Action::Right => self.bytes.move_by(1, len),
            Action::PageUp | Action::HalfUp => self.bytes.move_by(-page, len),
            Action::PageDown | Action::HalfDown => self.bytes.move_by(page, len),
            Action::First => self.bytes.move_by(isize::MIN, len),
            Action::Last => self.bytes.move_by(isize::MAX, len),
            _ => return self.act_on_both(action, fields),
        }
        self.select_covering(view, fields);
        true
    }

    /// The smallest field that covers the byte with the cursor is selected in the tree.
    fn select_covering(&mut self, view: usize, fields: &Fields) {
        if let Some(node) = fields.tree.covering(view, self.bytes.cursor) {
            self.tree.select(&fields.tree, node);
        }
        self.view = Some(view);
    }

    fn act_on_both(&mut self, action: Action, fields: &Fields) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane => {
                self.pane = match self.pane {
                    Pane::Tree => Pane::Bytes,
                    Pane::Bytes => Pane::Tree,
                };
            }
            Action::Maximize => self.maximized = !self.maximized,
            Action::SwapSplit => self.swapped = !self.swapped,
            Action::Grow => self.more = (self.more + 2).min(200),
            Action::Shrink => self.more = (self.more - 2).max(-200),
            Action::Coding => self.coding = !self.coding,
            Action::ByteView => {
                let Some(current) = self.shown_view(fields) else { return true };
                let group = fields.views.get(current).map(|view| view.group);
                let count = fields.views.len();
                let next = (1..=count).map(|step| (current + step) % count);
                self.view = next.into_iter().find(|&at| fields.views.get(at).map(|view| view.group) == group);
                self.bytes = Bytes::default();
            }
            _ => return false,
        }
        true
    }

    /// Finds text in the tree.
    pub(crate) fn find(&mut self, fields: &Fields, backwards: bool) -> bool {
        let found = !self.sought.is_empty() && self.tree.find(&fields.tree, &self.sought, backwards);
        self.show_bytes_of_node(fields);
        found
    }

    /// A click on a row of one of the panes. Whether it is one of these.
    pub(crate) fn click(&mut self, pane: u8, row: u64, fields: &Fields) -> bool {
        match pane {
            TREE => {
                self.pane = Pane::Tree;
                self.tree.list.move_to(row, self.tree.len());
                self.show_bytes_of_node(fields);
            }
            BYTES => {
                self.pane = Pane::Bytes;
                let per_row = Bytes::per_row(self.bytes_size.0);
                if let Some(view) = self.shown_view(fields) {
                    self.bytes.cursor = row as usize * per_row;
                    self.select_covering(view, fields);
                }
            }
            _ => return false,
        }
        true
    }

    fn shown_view(&self, fields: &Fields) -> Option<usize> {
        let of_node = self.node(fields).and_then(|node| node.bytes.as_ref()).map(|&(view, _)| view);
        self.view.or(of_node).or(Some(0)).filter(|&view| view < fields.views.len())
    }

    /// Draws both panes, or the one with the focus. `focused`: one of them has the focus of the screen.
    pub(crate) fn draw(&mut self, canvas: &mut Canvas<'_>, fields: &Fields, focused: bool) {
        let (tree, bytes) = self.place(canvas.area);
        if let Some(tree) = tree {
            self.draw_tree(&mut canvas.pane(TREE, tree), fields, focused && self.pane == Pane::Tree);
        }
        if let Some(bytes) = bytes {
            self.draw_bytes(&mut canvas.pane(BYTES, bytes), fields, focused && self.pane == Pane::Bytes);
        }
    }

    /// Where the panes stand.
    fn place(&self, body: Rect) -> (Option<Rect>, Option<Rect>) {
        let beside = (body.width >= SIDE_BY_SIDE) != self.swapped && body.width >= 100;
        if self.maximized || !beside && body.height < 8 {
            return match self.pane {
                Pane::Tree => (Some(body), None),
                Pane::Bytes => (None, Some(body)),
            };
        }
        let size = |default: u16, least: u16, most: u16| -> u16 {
            default.saturating_add_signed(self.more).clamp(least.min(most), most)
        };
        if beside {
            let right = size(BYTE_COLUMNS.min(body.width / 2), 42, body.width.saturating_sub(40));
            let left = Rect { width: body.width - right, ..body };
            return (Some(left), Some(Rect { x: body.x + left.width, width: right, ..body }));
        }
        // The tree has at least as much as the bytes.
        let lower = size((BYTE_ROWS + 1).min(body.height / 2), 2, body.height.saturating_sub(3));
        let upper = Rect { height: body.height - lower, ..body };
        (Some(upper), Some(Rect { y: body.y + upper.height, height: lower, ..body }))
    }

    fn draw_tree(&mut self, canvas: &mut Canvas<'_>, fields: &Fields, focused: bool) {
        let remark = if self.coding { vec![Part::quiet("i: how it was coded")] } else { Parts::new() };
        canvas.rule(0, &[pane_title("Tree", focused, canvas.theme.signs.cursor)], &remark);
        let area = canvas.area;
        let mut inner = canvas.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        self.tree_height = inner.area.height;
        self.tree.list.scroll_into_view(inner.area.height.into(), self.tree.len());
        draw_tree(&mut inner, &fields.tree, &self.tree, self.coding, focused);
    }

    fn draw_bytes(&mut self, canvas: &mut Canvas<'_>, fields: &Fields, focused: bool) {
        let shown = self.shown_view(fields);
        let view = shown.and_then(|view| fields.views.get(view));
        let title = pane_title("Bytes", focused, canvas.theme.signs.cursor);
        let of = Part::text(view.map(|view| format!("  {}", view.title)).unwrap_or_default());
        canvas.rule(0, &[title, of], &view_names(fields, shown));
        if canvas.area.width > 20 {
            let width = canvas.area.width;
            canvas.zone(width / 2, 0, width - width / 2, Hit::Button(Action::ByteView));
        }
        let area = canvas.area;
        let mut inner = canvas.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        self.bytes_size = (inner.area.width, inner.area.height);
        let (Some(view), Some(index)) = (view, shown) else { return };
        let of_node = |node: &Node| node.bytes.clone().filter(|(of, _)| *of == index).map(|(_, range)| range);
        let selected: Option<Range<usize>> = self.node(fields).and_then(of_node);
        let parent = self.tree.selected().and_then(|index| fields.tree.parent(index));
        let parent = parent.and_then(|parent| fields.tree.get(parent)).and_then(of_node);
        let at = if focused { self.bytes.cursor } else { selected.as_ref().map_or(0, |range| range.start) };
        // All bytes of the field are in view, or, where they are too many, the first ones.
        if let Some(last) = selected.as_ref().and_then(|range| range.end.checked_sub(1)).filter(|_| !focused) {
            self.bytes.scroll_to(last.max(at), inner.area.width, inner.area.height);
        }
        self.bytes.scroll_to(at, inner.area.width, inner.area.height);
        draw_bytes(&mut inner, view, self.bytes, selected, parent, focused);
    }

    /// The selected value as a filter, and its bytes.
    pub(crate) fn position(&self, fields: &Fields) -> Parts {
        let Some(node) = self.node(fields) else { return Vec::new() };
        let mut parts = Vec::new();
        if let Some(filter) = &node.filter {
            parts.push(Part::text(format!(" {}", filter.equal())));
        }
        if let Some((_, range)) = &node.bytes {
            let last = range.end.saturating_sub(1).max(range.start);
            let text = match range.len() {
                0 => format!("   no bytes at 0x{:02x}", range.start),
                1 => format!("   byte 0x{:02x}", range.start),
                _ => format!("   bytes 0x{:02x} to 0x{last:02x}, {}", range.start, counted(range.len() as u64, "byte")),
            };
            parts.push(Part::quiet(text));
        }
        parts
    }
}

/// `b: frame · [message] · inflated`: the forms in which the bytes can be seen.
fn view_names(fields: &Fields, shown: Option<usize>) -> Parts {
    let group = shown.and_then(|view| fields.views.get(view)).map(|view| view.group);
    let mut parts = vec![Part::new("b", Role::Key), Part::quiet(": ")];
    let views = fields.views.iter().enumerate().filter(|(_, view)| Some(view.group) == group);
    for (place, (index, view)) in views.enumerate() {
        if place > 0 {
            parts.push(Part::quiet(" / "));
        }
        parts.push(match Some(index) == shown {
            true => Part::text(format!("[{}]", view.name)),
            false => Part::quiet(view.name.clone()),
        });
    }
    if parts.len() > 2 { parts } else { Parts::new() }
}

/// The title of a pane, with a sign where it has the focus.
pub(crate) fn pane_title(name: &str, focused: bool, cursor: &str) -> Part {
    match focused {
        true => Part::new(format!("{cursor}{name}"), Role::Focus),
        false => Part::text(name.to_owned()),
    }
}
