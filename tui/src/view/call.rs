//! One call: its tree above its bytes (beside them in a wide window), with one selection shown in both.

use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::backend::{CallReply, CallRequest, Reply, Request};
use crate::command::{Action, Context};
use crate::model::Detail;
use crate::popup::Question;
use crate::screen::{Copyable, Effect, Hub, Screen, Subject};
use crate::text::{counted, safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Bytes, Canvas, Comparison, Node, Part, Parts, TreeState, draw_bytes, draw_tree};

/// Which pane has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pane {
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
    no: u32,
    /// The pane with the focus.
    pane: Pane,
    /// The text that was sought last.
    sought: String,
    /// Only the pane with the focus is shown.
    maximized: bool,
    detail: Option<Arc<Detail>>,
    tree: TreeState,
    bytes: Bytes,
    /// The byte view that was chosen, where it is not that of the selected node.
    view: Option<usize>,
    page: u64,
}

/// The panes, as clicks name them.
const TREE: u8 = 0;
const BYTES: u8 = 1;

/// Rows of the byte pane below the tree.
const BYTE_ROWS: u16 = 7;

/// Columns from which on the bytes stand beside the tree.
const SIDE_BY_SIDE: u16 = 132;

impl CallScreen {
    /// A call; its contents are asked for.
    pub(crate) fn open(no: u32, hub: &mut Hub<'_>) -> Self {
        hub.request(Request::Call(CallRequest::Detail(no)));
        Self { no, ..Self::default() }
    }

    /// Takes what it has asked for. What was open and selected stays so where the tree is the same.
    fn take(&mut self, detail: Arc<Detail>) {
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

    /// The bytes of the selected node as hexadecimal digits.
    fn hex(&self) -> Option<String> {
        let detail = self.detail.as_ref()?;
        let (view, range) = self.node()?.bytes.clone()?;
        let bytes = detail.views.get(view)?.bytes.get(range)?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Carries out an action that concerns the panes. Whether it did.
    fn act_on_panes(&mut self, action: Action) -> bool {
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
    fn find(&mut self, backwards: bool) -> bool {
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
}

impl Screen for CallScreen {
    fn context(&self) -> Context {
        match self.pane {
            Pane::Tree => Context::Tree,
            Pane::Bytes => Context::Bytes,
        }
    }

    fn has_own_head(&self) -> bool {
        true
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.act_on_panes(action) {
            return true;
        }
        match action {
            Action::Mark => hub.session.toggle_mark(self.no),
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::Find => hub.wants(Effect::Ask(Question::Find, self.sought.clone())),
            Action::FindNext | Action::FindPrevious => {
                if !self.find(action == Action::FindPrevious) {
                    hub.say("nothing found: / begins a search");
                }
            }
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Call(CallReply::Detail(detail)) => self.take(Arc::clone(detail)),
            Reply::DecodingChanged => hub.request(Request::Call(CallRequest::Detail(self.no))),
            _ => {}
        }
    }

    fn answer(&mut self, question: Question, text: &str, hub: &mut Hub<'_>) {
        if question == Question::GoTo {
            match text.trim_start_matches('#').parse() {
                Ok(no) if u64::from(no) <= hub.progress.calls && no > 0 => {
                    self.show(Subject { call: Some(no), ..Subject::default() }, hub);
                }
                _ => hub.fail(format!("there is no call {}", safe(text.as_bytes()))),
            }
            return;
        }
        text.clone_into(&mut self.sought);
        if !self.find(false) {
            hub.fail(format!("{} is not in this call", safe(text.as_bytes())));
        }
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let comparison = self.node().and_then(|node| node.filter.clone());
        comparison.map(|comparison| (String::new(), comparison)).into_iter().collect()
    }

    fn copies(&self, hub: &Hub<'_>) -> Vec<Copyable> {
        let value = self.node().map(|node| node.copy.clone()).filter(|value| !value.is_empty());
        let filter = self.comparisons(hub).pop().map(|(_, comparison)| comparison.equal());
        let copies = [('y', "value", value), ('f', "as a filter", filter), ('h', "bytes, hexadecimal", self.hex())];
        copies.into_iter().filter_map(|(key, title, text)| Some((key, title.to_owned(), text?))).collect()
    }

    fn subject(&self, hub: &Hub<'_>) -> Subject {
        let mut subject = Subject { call: Some(self.no), ..Subject::default() };
        hub.backend.look(&mut |viewer| {
            if let Some(call) = viewer.call_by_no(self.no) {
                subject.connection = Some(call.connection().number());
                subject.at = call.start();
            }
        });
        subject
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        if let Some(no) = subject.call.filter(|&no| no != self.no) {
            *self = Self { maximized: self.maximized, sought: take(&mut self.sought), ..Self::open(no, hub) };
        }
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        if pane == TREE {
            self.pane = Pane::Tree;
            self.tree.list.move_to(row, self.tree.len());
            self.show_bytes_of_node();
        } else {
            self.pane = Pane::Bytes;
        }
    }

    /// The selected value as a filter, and its bytes.
    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
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

    fn draw(&mut self, canvas: &mut Canvas<'_>, below: Option<(u64, u64)>, _hub: &mut Hub<'_>) {
        let area = canvas.area;
        let signs = canvas.theme.signs;
        let Some(detail) = self.detail.clone() else {
            canvas.text(1, 0, area.width, &format!("Calls {} #{}", signs.into, self.no), Role::Heading);
            canvas.text(8, 3, area.width, &format!("reading {}", signs.ellipsis), Role::Quiet);
            return;
        };
        draw_head(canvas, &detail, below);
        let top = 3.min(area.height);
        let body = Rect { y: area.y + top, height: area.height - top, ..area };
        let (tree, bytes) = self.panes(body);
        if let Some(tree) = tree {
            self.draw_tree_pane(&mut canvas.pane(TREE, tree), &detail);
        }
        if let Some(bytes) = bytes {
            self.draw_bytes_pane(&mut canvas.pane(BYTES, bytes), &detail);
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
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
