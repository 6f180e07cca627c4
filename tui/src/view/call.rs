//! One call: its tree above its bytes (beside them in a wide window), with one selection shown in both.

use std::ops::Range;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::backend::{Backend, Request};
use crate::command::Action;
use crate::model::Detail;
use crate::text::{counted, thousands};
use crate::theme::Role;
use crate::widget::{Bytes, Canvas, Comparison, LineInput, Node, Part, Parts, TreeState, draw_bytes, draw_tree};

/// Which pane has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The tree.
    #[default]
    Tree,
    /// The bytes.
    Bytes,
}

/// One call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallScreen {
    /// Its number.
    pub(crate) no: u32,
    /// The pane with the focus.
    pub(crate) pane: Pane,
    /// The text that was sought last.
    pub(crate) sought: String,
    /// Only the pane with the focus is shown.
    pub(crate) maximized: bool,
    detail: Option<Arc<Detail>>,
    tree: TreeState,
    bytes: Bytes,
    /// The byte view that was chosen, where it is not that of the selected node.
    view: Option<usize>,
    page: u64,
}

/// Rows of the byte pane below the tree.
const BYTE_ROWS: u16 = 7;

/// Columns from which on the bytes stand beside the tree.
const SIDE_BY_SIDE: u16 = 132;

impl CallScreen {
    /// A call; its contents are asked for.
    pub(crate) fn open(no: u32, backend: &dyn Backend) -> Self {
        backend.request(Request::Detail(no));
        Self { no, ..Self::default() }
    }

    /// Takes what it has asked for. What was open and selected stays so where the tree is the same.
    pub(crate) fn take(&mut self, detail: Arc<Detail>) {
        if detail.no != self.no {
            return;
        }
        match &self.detail {
            Some(before) if before.tree.nodes.len() == detail.tree.nodes.len() => self.tree.refresh(&detail.tree),
            _ => self.tree = TreeState::new(&detail.tree),
        }
        self.detail = Some(detail);
    }

    fn node(&self) -> Option<&Node> {
        self.detail.as_ref()?.tree.get(self.tree.selected()?)
    }

    /// The comparison that the selected node offers.
    pub(crate) fn comparison(&self) -> Option<Comparison> {
        self.node()?.filter.clone()
    }

    /// The value of the selected node.
    pub(crate) fn value(&self) -> Option<String> {
        self.node().map(|node| node.copy.clone()).filter(|value| !value.is_empty())
    }

    /// The bytes of the selected node as hexadecimal digits.
    pub(crate) fn hex(&self) -> Option<String> {
        let detail = self.detail.as_ref()?;
        let (view, range) = self.node()?.bytes.clone()?;
        let bytes = detail.views.get(view)?.bytes.get(range)?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Carries out an action that concerns the panes. Whether it did.
    pub(crate) fn act(&mut self, action: Action) -> bool {
        let Some(detail) = self.detail.clone() else { return false };
        match self.pane {
            Pane::Tree => self.act_on_tree(action, &detail),
            Pane::Bytes => self.act_on_bytes(action, &detail),
        }
    }

    fn act_on_tree(&mut self, action: Action, detail: &Detail) -> bool {
        let len = self.tree.len();
        let page = self.page.max(2) as i64;
        match action {
            Action::Up => self.tree.list.move_by(-1, len),
            Action::Down => self.tree.list.move_by(1, len),
            Action::PageUp => self.tree.list.move_by(1 - page, len),
            Action::PageDown => self.tree.list.move_by(page - 1, len),
            Action::HalfUp => self.tree.list.move_by(-page / 2, len),
            Action::HalfDown => self.tree.list.move_by(page / 2, len),
            Action::First => self.tree.list.move_to(0, len),
            Action::Last => self.tree.list.move_to(u64::MAX, len),
            Action::Left => self.tree.fold(&detail.tree),
            Action::Right => self.tree.unfold(&detail.tree),
            Action::Open => self.tree.toggle(&detail.tree),
            _ => return self.act_on_both(action, detail),
        }
        self.show_bytes_of_node();
        true
    }

    /// The byte pane shows the bytes of the selected node.
    fn show_bytes_of_node(&mut self) {
        self.view = None;
        if let Some((_, range)) = self.node().and_then(|node| node.bytes.clone()) {
            self.bytes.cursor = range.start;
        }
    }

    fn act_on_bytes(&mut self, action: Action, detail: &Detail) -> bool {
        let Some(view) = self.shown_view() else { return self.act_on_both(action, detail) };
        let Some(len) = detail.views.get(view).map(|view| view.bytes.len()) else { return false };
        let row = Bytes::per_row(self.page as u16) as isize;
        match action {
            Action::Up => self.bytes.move_by(-row, len),
            Action::Down => self.bytes.move_by(row, len),
            Action::Left => self.bytes.move_by(-1, len),
            Action::Right => self.bytes.move_by(1, len),
            Action::PageUp => self.bytes.move_by(-row * isize::from(BYTE_ROWS as i16), len),
            Action::PageDown => self.bytes.move_by(row * isize::from(BYTE_ROWS as i16), len),
            Action::First => self.bytes.move_by(isize::MIN, len),
            Action::Last => self.bytes.move_by(isize::MAX, len),
            _ => return self.act_on_both(action, detail),
        }
        // The smallest field that covers the byte is selected in the tree.
        if let Some(node) = detail.tree.covering(view, self.bytes.cursor) {
            self.tree.select(&detail.tree, node);
        }
        self.view = Some(view);
        true
    }

    fn act_on_both(&mut self, action: Action, detail: &Detail) -> bool {
        match action {
            Action::NextPane => {
                self.pane = match self.pane {
                    Pane::Tree => Pane::Bytes,
                    Pane::Bytes => Pane::Tree,
                };
            }
            Action::Maximize => self.maximized = !self.maximized,
            Action::ByteView => {
                let title = self.shown_view().and_then(|view| detail.views.get(view)).map(|view| &view.title);
                let Some(current) = self.shown_view() else { return true };
                let subject = title.and_then(|title| title.split(',').next()).unwrap_or_default().to_owned();
                let number = subject.rsplit(' ').next().unwrap_or_default().to_owned();
                let sign = subject.split(' ').next().unwrap_or_default().to_owned();
                let same = |index: &usize| {
                    detail.views.get(*index).is_some_and(|view| {
                        view.title.starts_with(&sign)
                            && view.title.split(',').next().and_then(|head| head.rsplit(' ').next()) == Some(&*number)
                    })
                };
                let count = detail.views.len();
                self.view = (1..=count).map(|step| (current + step) % count).find(same);
                self.bytes = Bytes::default();
            }
            _ => return false,
        }
        true
    }

    /// Finds text in the tree.
    pub(crate) fn find(&mut self, backwards: bool) -> bool {
        let Some(detail) = self.detail.clone() else { return false };
        let found = !self.sought.is_empty() && self.tree.find(&detail.tree, &self.sought, backwards);
        self.show_bytes_of_node();
        found
    }

    fn shown_view(&self) -> Option<usize> {
        let detail = self.detail.as_ref()?;
        let of_node = self.node().and_then(|node| node.bytes.as_ref()).map(|&(view, _)| view);
        self.view.or(of_node).filter(|&view| view < detail.views.len())
    }

    /// Draws the whole screen but its last two lines. `place`: where the call stands in its list.
    pub(crate) fn draw(&mut self, canvas: &mut Canvas<'_>, place: Option<(u64, u64)>) {
        let area = canvas.area;
        let signs = canvas.theme.signs;
        let Some(detail) = self.detail.clone() else {
            canvas.text(1, 0, area.width, &format!("Calls {} #{}", signs.into, self.no), Role::Heading);
            canvas.text(8, 3, area.width, &format!("reading {}", signs.ellipsis), Role::Quiet);
            return;
        };
        draw_head(canvas, &detail, place);
        let top = 3.min(area.height);
        let body = Rect { y: area.y + top, height: area.height - top, ..area };
        let (tree, bytes) = self.panes(body);
        if let Some(tree) = tree {
            self.draw_tree_pane(&mut canvas.part(tree), &detail);
        }
        if let Some(bytes) = bytes {
            self.draw_bytes_pane(&mut canvas.part(bytes), &detail);
        }
    }

    /// Where the panes stand.
    fn panes(&self, body: Rect) -> (Option<Rect>, Option<Rect>) {
        if self.maximized || body.height < BYTE_ROWS + 8 {
            return match self.pane {
                Pane::Tree => (Some(body), None),
                Pane::Bytes => (None, Some(body)),
            };
        }
        if body.width >= SIDE_BY_SIDE {
            // 16 bytes a row take 76 columns.
            let width = body.width - 78;
            let left = Rect { width, ..body };
            let right = Rect { x: body.x + width, width: 78, ..body };
            return (Some(left), Some(right));
        }
        let rows = BYTE_ROWS + 1;
        let upper = Rect { height: body.height - rows, ..body };
        let lower = Rect { y: body.y + upper.height, height: rows, ..body };
        (Some(upper), Some(lower))
    }

    fn draw_tree_pane(&mut self, canvas: &mut Canvas<'_>, detail: &Detail) {
        let focused = self.pane == Pane::Tree;
        canvas.rule(0, &[pane_title("Tree", focused, canvas.theme.signs.cursor)], &[]);
        let area = canvas.area;
        let mut inner = canvas.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        self.page = inner.area.height.into();
        self.tree.list.scroll_into_view(inner.area.height.into(), self.tree.len());
        draw_tree(&mut inner, &detail.tree, &self.tree, focused);
    }

    fn draw_bytes_pane(&mut self, canvas: &mut Canvas<'_>, detail: &Detail) {
        let focused = self.pane == Pane::Bytes;
        let shown = self.shown_view();
        let view = shown.and_then(|view| detail.views.get(view));
        let title = pane_title("Bytes", focused, canvas.theme.signs.cursor);
        let of = Part::text(view.map(|view| format!("  {}", view.title)).unwrap_or_default());
        let name = view.map(|view| format!("b: [{}]", view.name)).unwrap_or_default();
        canvas.rule(0, &[title, of], &[Part::quiet(name)]);
        let (Some(view), Some(index)) = (view, shown) else { return };
        let area = canvas.area;
        let mut inner = canvas.part(Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area });
        let selected: Option<Range<usize>> =
            self.node().and_then(|node| node.bytes.clone()).filter(|(of, _)| *of == index).map(|(_, range)| range);
        let at = if focused { self.bytes.cursor } else { selected.as_ref().map_or(0, |range| range.start) };
        // All bytes of the field are in view, or, where they are too many, the first ones.
        if let Some(last) = selected.as_ref().and_then(|range| range.end.checked_sub(1)).filter(|_| !focused) {
            self.bytes.scroll_to(last.max(at), inner.area.width, inner.area.height);
        }
        self.bytes.scroll_to(at, inner.area.width, inner.area.height);
        draw_bytes(&mut inner, view, self.bytes, selected, focused);
    }

    /// What the line below the panes says: the selected value as a filter, and its bytes.
    pub(crate) fn position(&self) -> Parts {
        let Some(node) = self.node() else { return Vec::new() };
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

    /// The line in which text to find is typed begins with this.
    pub(crate) fn find_input(&self) -> LineInput {
        LineInput::new(&self.sought)
    }
}

fn pane_title(name: &str, focused: bool, cursor: &str) -> Part {
    match focused {
        true => Part::new(format!("{cursor}{name}"), Role::Focus),
        false => Part::text(name.to_owned()),
    }
}

/// ```text
///  Calls › #42 …Checkout/PlaceOrder                          3 of 1,214   [ previous   ] next
///  ✗ UNAVAILABLE (14)  connect: connection refused   1.50 s   unary   c3 stream 9   grpc
///  ↑ headers +0   ↑ message +200 µs   ↑ end +200 µs   ↓ trailers +1.50 s
/// ```
fn draw_head(canvas: &mut Canvas<'_>, detail: &Detail, place: Option<(u64, u64)>) {
    let width = canvas.area.width;
    let into = canvas.theme.signs.into;
    let mut right = Vec::new();
    if let Some((at, of)) = place {
        right.push(Part::quiet(format!("{} of {}   ", thousands(at), thousands(of))));
    }
    right.extend([
        Part::new("[", Role::Key),
        Part::quiet(" previous   "),
        Part::new("]", Role::Key),
        Part::quiet(" next"),
    ]);
    let x = canvas.parts_right(0, width / 2, &right);
    let title =
        [Part::quiet(format!(" Calls {into} ")), Part::new(format!("#{} {}", detail.no, detail.method), Role::Heading)];
    canvas.parts(0, 0, x.saturating_sub(2), &title);
    let facts = [Part::quiet(detail.facts.clone())];
    let x = canvas.parts_right(1, width * 2 / 3, &facts);
    canvas.parts(1, 1, x.saturating_sub(3), &detail.status);
    canvas.parts(1, 2, width.saturating_sub(1), &detail.moments);
}
