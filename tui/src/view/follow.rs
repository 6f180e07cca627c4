//! A call as a conversation: the client's side at the left, the server's at the right, with times and differences.
//!
//! ```text
//!  Calls › #58 Cart/Watch › follow                             ↑ 1 message 24 B   ↓ 37 messages 8.8 KiB
//!  OK   1.21 s   c5 stream 13
//! ── ▌Conversation ──────────────────────────────────────────────────────────── both sides ──
//!        at        Δ   client 10.0.0.9:55120                                  server 10.0.1.2:443
//!      0 ms            headers   authorization: ‹hidden›   ────────────────────────────────────►
//! ▌   13 ms    +1 ms   ◄─────────────────────────────  1  CartState {items: [2], total: {units: 41…
//! ── Message ↓1 ───────────────────────────────────────────────────── CartState   96 B → 211 B ──
//! ```

use std::sync::Arc;

use ratatui::layout::Rect;
use rpcshark_captures::Direction;

use crate::backend::{ConversationReply, ConversationRequest, Reply, Request};
use crate::command::{Action, Context};
use crate::model::Detail;
use crate::model::follow::{Conversation, Item, MessageDifference, MessageNo};
use crate::popup::Question;
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject};
use crate::text::{counted, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Comparison, Hit, ListState, Node, Part, Parts, TreeState, draw_tree, parts_width};
use rpcshark_dissectors::print::size_text;

/// A call as a conversation.
#[derive(Clone, Debug)]
pub(crate) struct FollowScreen {
    no: u32,
    conversation: Option<Arc<Conversation>>,
    /// What is shown: an item, and of it the line (0) or one of its changes (from 1 on).
    lines: Vec<(usize, usize)>,
    list: ListState,
    only: Option<Direction>,
    differences: bool,
    /// Messages that were picked to be compared, at most two.
    picked: Vec<MessageNo>,
    difference: Option<Arc<MessageDifference>>,
    /// The message that was asked for, and what came of it.
    asked: Option<MessageNo>,
    message: Option<(MessageNo, Arc<Detail>)>,
    tree: TreeState,
    in_tree: bool,
    sought: String,
    height: u64,
    tree_height: u64,
}

/// The panes, for the mouse.
const CONVERSATION: u8 = 0;
const MESSAGE: u8 = 1;

/// Columns before what happened: the time, and the time since the line before.
const TIMES: u16 = 23;

/// The least height at which the message stands below the conversation.
const LEAST_WITH_PANE: u16 = 18;

impl FollowScreen {
    /// The conversation of call `no`.
    pub(crate) fn open(no: u32, hub: &mut Hub<'_>) -> Self {
        let screen = Self {
            no,
            conversation: None,
            lines: Vec::new(),
            list: ListState::default(),
            only: None,
            differences: false,
            picked: Vec::new(),
            difference: None,
            asked: None,
            message: None,
            tree: TreeState::default(),
            in_tree: false,
            sought: String::new(),
            height: 1,
            tree_height: 1,
        };
        screen.ask(hub);
        screen
    }

    fn ask(&self, hub: &Hub<'_>) {
        let request = ConversationRequest::Conversation { no: self.no, differences: self.differences };
        hub.request(Request::Conversation(request));
    }

    /// Decides which lines are shown. The item with the cursor keeps it.
    fn lay_out(&mut self) {
        let Some(conversation) = self.conversation.clone() else { return };
        let selected = self.lines.get(self.list.cursor as usize).map(|&(item, _)| item);
        self.lines.clear();
        for (index, item) in conversation.items.iter().enumerate() {
            if self.only.is_some_and(|only| only != item.direction) {
                continue;
            }
            self.lines.extend((0..=item.changes.len()).map(|line| (index, line)));
        }
        let row = selected.map_or(0, |selected| self.lines.partition_point(|&(item, _)| item < selected));
        self.list.keep_line((row as u64).min(self.len().saturating_sub(1)));
    }

    fn len(&self) -> u64 {
        self.lines.len() as u64
    }

    fn item(&self) -> Option<&Item> {
        let &(item, _) = self.lines.get(self.list.cursor as usize)?;
        self.conversation.as_ref()?.items.get(item)
    }

    /// The message with the cursor.
    fn selected(&self) -> Option<MessageNo> {
        let item = self.item()?;
        Some(MessageNo { direction: item.direction, no: item.message? })
    }

    fn detail(&self) -> Option<&Arc<Detail>> {
        let selected = self.selected()?;
        self.message.as_ref().filter(|(of, _)| *of == selected).map(|(_, detail)| detail)
    }

    fn node(&self) -> Option<&Node> {
        self.detail()?.fields.tree.get(self.tree.selected()?)
    }

    /// Picks the message with the cursor to be compared, or picks it no more. With the second one they are compared.
    fn pick(&mut self, hub: &mut Hub<'_>) {
        let Some(selected) = self.selected() else { return hub.say("only messages can be compared") };
        self.difference = None;
        if let Some(at) = self.picked.iter().position(|picked| *picked == selected) {
            self.picked.remove(at);
            return;
        }
        if self.picked.len() >= 2 {
            self.picked.clear();
        }
        self.picked.push(selected);
        if let [old, new] = self.picked[..] {
            let request = ConversationRequest::Difference { no: self.no, old, new };
            hub.request(Request::Conversation(request));
        }
    }

    /// Moves the cursor to the next line that contains what is sought, from the top again at the end. Whether there is one.
    fn find(&mut self, backwards: bool) -> bool {
        let Some(conversation) = &self.conversation else { return false };
        let sought = self.sought.to_lowercase();
        let contains = |&(item, line): &(usize, usize)| {
            let Some(item) = conversation.items.get(item) else { return false };
            let parts = if line == 0 { Some(&item.text) } else { item.changes.get(line - 1) };
            let text: String = parts.into_iter().flatten().map(|part| part.text.as_str()).collect();
            text.to_lowercase().contains(&sought)
        };
        let count = self.lines.len();
        let from = self.list.cursor as usize;
        let at = |step: usize| if backwards { (from + count - step % count) % count } else { (from + step) % count };
        let found = (1..=count).map(at).find(|&row| self.lines.get(row).is_some_and(contains));
        if let Some(row) = found.filter(|_| !sought.is_empty()) {
            self.list.move_to(row as u64, self.lines.len() as u64);
            return true;
        }
        false
    }

    fn act_on_tree(&mut self, action: Action) -> bool {
        let Some(detail) = self.detail().cloned() else { return false };
        let len = self.tree.len();
        if self.tree.list.act(action, self.tree_height, len) {
            return true;
        }
        match action {
            Action::Left => self.tree.fold(&detail.fields.tree),
            Action::Right => self.tree.unfold(&detail.fields.tree),
            Action::Open => self.tree.toggle(&detail.fields.tree),
            Action::Leave => self.in_tree = false,
            _ => return false,
        }
        true
    }

    fn draw_conversation(&mut self, canvas: &mut Canvas<'_>) {
        let Some(conversation) = self.conversation.clone() else { return };
        let signs = canvas.theme.signs;
        let title = match self.in_tree {
            false => Part::new(format!("{}Conversation", signs.cursor), Role::Focus),
            true => Part::text("Conversation"),
        };
        let side = match self.only {
            None => "both sides",
            Some(Direction::ToServer) => "the client's side only",
            Some(Direction::ToClient) => "the server's side only",
        };
        let mode = if self.differences { "differences   " } else { "" };
        canvas.rule(0, &[title], &[Part::quiet(format!("{mode}{side}"))]);
        let width = canvas.area.width;
        let delta = if signs.ascii { "gap" } else { "Δ" };
        canvas.text(1, 1, TIMES, &format!("{:>9} {:>9}", "at", delta), Role::Heading);
        let (client, server) = (format!("client {}", conversation.client), format!("server {}", conversation.server));
        let x = canvas.parts_right(1, width / 2, &[Part::new(server, Role::Heading), Part::text(" ")]);
        canvas.text(TIMES, 1, x.saturating_sub(TIMES + 2), &client, Role::Heading);
        self.height = canvas.area.height.saturating_sub(2).into();
        self.list.scroll_into_view(self.height, self.len());
        let top = self.list.top as usize;
        let mut before = self
            .lines
            .get(..top)
            .and_then(|lines| lines.iter().rev().find_map(|&(item, _)| conversation.items.get(item)?.at_ns));
        for (y, row) in (2..canvas.area.height).zip(top..) {
            let Some(&(index, line)) = self.lines.get(row) else { break };
            let Some(item) = conversation.items.get(index) else { break };
            if line == 0 {
                draw_times(canvas, y, &conversation, item, before);
                before = item.at_ns.or(before);
                draw_item(canvas, y, item);
                if self.picked.iter().any(|of| of.direction == item.direction && Some(of.no) == item.message) {
                    canvas.text(1, y, 1, signs.mark, Role::Mark);
                }
            } else if let Some(change) = item.changes.get(line - 1) {
                draw_change(canvas, y, item.direction, change);
            }
            canvas.zone(0, y, width, Hit::Row { pane: CONVERSATION, row: row as u64 });
            if row as u64 == self.list.cursor {
                canvas.text(0, y, 1, signs.cursor, Role::Heading);
                if !self.in_tree {
                    canvas.restyle(2, y, width.saturating_sub(2), Role::Selected);
                }
            }
        }
    }

    fn draw_pane(&mut self, canvas: &mut Canvas<'_>) {
        let signs = canvas.theme.signs;
        let area = canvas.area;
        let inner = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        self.tree_height = inner.height.into();
        if let Some(difference) = self.difference.clone().filter(|difference| difference.no == self.no) {
            let title = format!("{} {} {}", difference.old, signs.arrow, difference.new);
            let count = counted(difference.changes.len() as u64, "difference");
            canvas.rule(0, &[Part::new(title, Role::Heading)], &[Part::quiet(count)]);
            if difference.changes.is_empty() {
                canvas.text(2, 1, area.width, "the messages are the same", Role::Quiet);
            }
            let mut inner = canvas.part(inner);
            for (y, change) in (0..inner.area.height).zip(&difference.changes) {
                inner.parts(2, y, area.width.saturating_sub(2), change);
            }
            return;
        }
        let Some(selected) = self.selected() else {
            canvas.rule(0, &[Part::quiet("Message")], &[]);
            let text = match self.item() {
                Some(item) => item.text.clone(),
                None => Vec::new(),
            };
            canvas.parts(2, 1, area.width.saturating_sub(2), &text);
            return;
        };
        let title = format!("Message {}", selected.text(signs));
        let title = match self.in_tree {
            true => Part::new(format!("{}{title}", signs.cursor), Role::Focus),
            false => Part::text(title),
        };
        let Some(detail) = self.detail().cloned() else {
            canvas.rule(0, &[title], &[]);
            canvas.text(2, 1, 1, signs.ellipsis, Role::Quiet);
            return;
        };
        canvas.rule(0, &[title], &[Part::quiet(detail.facts.clone())]);
        self.tree.list.scroll_into_view(self.tree_height, self.tree.len());
        draw_tree(&mut canvas.part(inner), &detail.fields.tree, &self.tree, false, self.in_tree);
    }

    fn draw_head(&self, canvas: &mut Canvas<'_>, below: Option<(u64, u64)>) {
        let signs = canvas.theme.signs;
        let width = canvas.area.width;
        let Some(conversation) = &self.conversation else {
            canvas.text(
                1,
                0,
                width,
                &format!("Calls {} #{} {} follow", signs.into, self.no, signs.into),
                Role::Heading,
            );
            canvas.text(8, 3, width, &format!("reading {}", signs.ellipsis), Role::Quiet);
            return;
        };
        let mut totals = Vec::new();
        let sides = [(signs.up, Role::ToServer), (signs.down, Role::ToClient)];
        for ((sign, role), (count, bytes)) in sides.into_iter().zip(conversation.totals) {
            totals.push(Part::new(format!("   {sign} "), role));
            totals.push(Part::text(format!("{} {}", counted(count, "message"), size_text(bytes))));
        }
        totals.push(Part::text(" "));
        let x = canvas.parts_right(0, width * 2 / 3, &totals);
        let title = [
            Part::quiet(format!(" Calls {} ", signs.into)),
            Part::new(format!("#{} {}", conversation.no, conversation.method), Role::Heading),
            Part::quiet(format!(" {} follow", signs.into)),
        ];
        canvas.parts(0, 0, x.saturating_sub(1), &title);
        let mut facts = vec![Part::quiet(conversation.facts.clone())];
        if let Some((at, of)) = below {
            facts.push(Part::quiet(format!("   {} of {}", thousands(at), thousands(of))));
        }
        facts.push(Part::text(" "));
        let x = canvas.parts_right(1, width / 2, &facts);
        canvas.parts(1, 1, x.saturating_sub(2), &conversation.status);
    }
}

fn draw_times(canvas: &mut Canvas<'_>, y: u16, conversation: &Conversation, item: &Item, before: Option<i64>) {
    let Some(at) = item.at_ns else { return };
    let gap = before.map(|before| at - before).filter(|&gap| gap != 0);
    let gap = gap.map_or(String::new(), |gap| {
        let sign = if gap > 0 { "+" } else { "" };
        format!("{sign}{}", conversation.duration(gap))
    });
    canvas.text(2, y, 9, &format!("{:>8}", conversation.duration(at)), Role::Text);
    canvas.text(11, y, 10, &format!("{gap:>10}"), Role::Quiet);
}

/// `1  WatchRequest {…}  ─────►` or `◄─────  1  CartState {…}`.
fn draw_item(canvas: &mut Canvas<'_>, y: u16, item: &Item) {
    let signs = canvas.theme.signs;
    let room = canvas.area.width.saturating_sub(TIMES + 1);
    let (left, right) = if signs.ascii { ("<", ">") } else { ("◄", "►") };
    let rule = match (item.is_half_close, signs.ascii) {
        (true, true) => ".",
        (true, false) => "·",
        (false, _) => signs.rule,
    };
    // The arrow is at least so long, and a blank is on either side of the text.
    let longest = room.saturating_sub(8);
    let taken = (parts_width(&item.text) as u16).min(longest);
    let arrow = room.saturating_sub(taken + 3);
    let line = rule.repeat(arrow.into());
    match item.direction {
        Direction::ToServer => {
            canvas.parts(TIMES, y, taken, &item.text);
            canvas.text(TIMES + taken + 2, y, arrow, &line, Role::Quiet);
            canvas.text(TIMES + taken + 2 + arrow, y, 1, right, Role::ToServer);
        }
        Direction::ToClient => {
            canvas.text(TIMES, y, 1, left, Role::ToClient);
            canvas.text(TIMES + 1, y, arrow, &line, Role::Quiet);
            canvas.parts(TIMES + 1 + arrow + 2, y, taken, &item.text);
        }
    }
}

fn draw_change(canvas: &mut Canvas<'_>, y: u16, direction: Direction, change: &[Part]) {
    let room = canvas.area.width.saturating_sub(TIMES + 1);
    let x = match direction {
        Direction::ToServer => TIMES + 3,
        Direction::ToClient => TIMES + (room / 3).min(room.saturating_sub(parts_width(change) as u16)),
    };
    let room = canvas.area.width.saturating_sub(x + 1);
    canvas.parts(x, y, room, change);
}

impl Screen for FollowScreen {
    fn context(&self) -> Context {
        if self.in_tree { Context::FollowTree } else { Context::Follow }
    }

    fn has_own_head(&self) -> bool {
        true
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.in_tree && self.act_on_tree(action) {
            return true;
        }
        let len = self.len();
        if self.list.act(action, self.height, len) {
            return true;
        }
        match action {
            Action::Open => match self.selected() {
                Some(_) => self.in_tree = true,
                None => hub.wants(Effect::Go(Place::Call(self.no))),
            },
            Action::NextPane => self.in_tree = !self.in_tree && self.selected().is_some(),
            Action::Differences => {
                self.differences = !self.differences;
                self.ask(hub);
            }
            Action::OneSide => {
                self.only = match self.only {
                    None => Some(Direction::ToServer),
                    Some(Direction::ToServer) => Some(Direction::ToClient),
                    Some(Direction::ToClient) => None,
                };
                self.lay_out();
            }
            Action::Pick => self.pick(hub),
            Action::Find => hub.wants(Effect::Ask(Question::Find, self.sought.clone())),
            Action::FindNext | Action::FindPrevious => {
                if !self.find(action == Action::FindPrevious) {
                    hub.say("nothing found: / begins a search");
                }
            }
            Action::Mark => {
                if !hub.session.marks.remove(&self.no) {
                    hub.session.marks.insert(self.no);
                }
            }
            Action::Leave if self.difference.is_some() || !self.picked.is_empty() => {
                self.difference = None;
                self.picked.clear();
            }
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Conversation(ConversationReply::Conversation(conversation))
                if conversation.no == self.no && conversation.differences == self.differences =>
            {
                self.conversation = Some(Arc::clone(conversation));
                self.lay_out();
            }
            Reply::Conversation(ConversationReply::Message(message, detail)) if detail.no == self.no => {
                let same = self.message.as_ref().is_some_and(|(of, _)| of == message);
                match &self.message {
                    Some((_, before)) if same && before.fields.tree.nodes.len() == detail.fields.tree.nodes.len() => {
                        self.tree.refresh(&detail.fields.tree);
                    }
                    _ => self.tree = TreeState::new(&detail.fields.tree),
                }
                self.message = Some((*message, Arc::clone(detail)));
            }
            Reply::Conversation(ConversationReply::Difference(difference)) if difference.no == self.no => {
                self.difference = Some(Arc::clone(difference));
            }
            Reply::DecodingChanged => {
                self.asked = None;
                self.difference = None;
                self.ask(hub);
            }
            _ => {}
        }
    }

    fn answer(&mut self, question: Question, text: &str, hub: &mut Hub<'_>) {
        if question == Question::Find {
            text.clone_into(&mut self.sought);
            if !self.find(false) {
                hub.fail(format!("{} is not in this conversation", crate::text::safe(text.as_bytes())));
            }
        }
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        let node = if self.in_tree { self.node() } else { None };
        node.and_then(|node| node.filter.clone()).map(|filter| ("Field".to_owned(), filter)).into_iter().collect()
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        let mut copies = Vec::new();
        let node = if self.in_tree { self.node() } else { None };
        if let Some(node) = node.filter(|node| !node.copy.is_empty()) {
            copies.push(('y', "value".to_owned(), node.copy.clone()));
        }
        if let Some(filter) = node.and_then(|node| node.filter.as_ref()) {
            copies.push(('f', "as a filter".to_owned(), filter.equal()));
        }
        if let (None, Some(item)) = (node, self.item()) {
            let text: String = item.text.iter().map(|part| part.text.as_str()).collect();
            copies.push(('y', "line".to_owned(), text));
        }
        copies
    }

    fn subject(&self, _hub: &Hub<'_>) -> Subject {
        Subject { call: Some(self.no), message: self.selected(), ..Subject::default() }
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        self.in_tree = pane == MESSAGE;
        match self.in_tree {
            true => self.tree.list.move_to(row, self.tree.len()),
            false => self.list.move_to(row, self.len()),
        }
    }

    fn position(&self, _hub: &Hub<'_>, theme: &Theme) -> Parts {
        let len = self.len();
        let at = if len == 0 { 0 } else { self.list.cursor + 1 };
        let mut parts = vec![Part::text(format!(" line {} of {}", thousands(at), thousands(len)))];
        if let Some(conversation) = self.conversation.as_ref().filter(|conversation| conversation.left_out > 0) {
            let more = counted(conversation.left_out, "event");
            parts.push(Part::new(format!("   {more} more are not shown"), Role::Warning));
        }
        if let [one] = self.picked[..] {
            let text = format!(
                "   {} {} picked: Space on another message compares them",
                theme.signs.mark,
                one.text(theme.signs)
            );
            parts.push(Part::new(text, Role::Mark));
        }
        if let Some(filter) = self.node().filter(|_| self.in_tree).and_then(|node| node.filter.as_ref()) {
            parts.push(Part::text(format!("   {}", filter.equal())));
        }
        parts
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        let selected = self.selected();
        if let Some(message) = selected.filter(|_| self.asked != selected) {
            self.asked = selected;
            hub.request(Request::Conversation(ConversationRequest::Message { no: self.no, message }));
        }
        let area = canvas.area;
        self.draw_head(canvas, below);
        if self.conversation.is_none() {
            return;
        }
        let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
        let (upper, lower) = match area.height >= LEAST_WITH_PANE {
            true => (body.height - body.height / 3, body.height / 3),
            false if self.in_tree => (0, body.height),
            false => (body.height, 0),
        };
        if upper > 0 {
            self.draw_conversation(&mut canvas.pane(CONVERSATION, Rect { height: upper, ..body }));
        }
        if lower > 0 {
            self.draw_pane(&mut canvas.pane(MESSAGE, Rect { y: body.y + upper, height: lower, ..body }));
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        if self.conversation.is_none() {
            self.ask(hub);
        }
    }
}
