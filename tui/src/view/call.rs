//! One call: a line about how it went, one about what happened when, and its fields with their bytes.

use std::mem::take;
use std::sync::Arc;

use ratatui::layout::Rect;

use super::fields::FieldsPanes;
use crate::backend::{CallReply, CallRequest, ReplayReply, ReplayRequest, Reply, Request};
use crate::command::{Action, Context};
use crate::model::Detail;
use crate::model::follow::MessageNo;
use crate::popup::Question;
use crate::screen::{Copyable, Effect, Hub, Screen, Subject};
use crate::text::{safe, thousands};
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Comparison, Part, Parts};

/// One call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallScreen {
    /// Its number.
    no: u32,
    /// It is shown as it was replayed, and not as it was recorded.
    is_replayed: bool,
    detail: Option<Arc<Detail>>,
    panes: FieldsPanes,
}

impl CallScreen {
    /// A call; its contents are asked for.
    pub(crate) fn open(no: u32, hub: &mut Hub<'_>) -> Self {
        hub.request(Request::Call(CallRequest::Detail(no)));
        Self { no, ..Self::default() }
    }

    /// A call as it was replayed.
    pub(crate) fn replayed(no: u32, hub: &mut Hub<'_>) -> Self {
        hub.request(Request::Replay(ReplayRequest::Detail(no)));
        Self { no, is_replayed: true, ..Self::default() }
    }

    /// The message with the cursor.
    fn selected_message(&self) -> Option<MessageNo> {
        let detail = self.detail.as_ref()?;
        let node = self.panes.selected()?;
        let index = detail.messages.partition_point(|&(root, _)| root <= node).checked_sub(1)?;
        let &(root, message) = detail.messages.get(index)?;
        detail.fields.tree.get(root).filter(|root| node < root.end).map(|_| message)
    }

    /// The list that it is in.
    const fn from(&self) -> &'static str {
        if self.is_replayed { "Replay" } else { "Calls" }
    }

    fn take(&mut self, detail: &Arc<Detail>) {
        if detail.no == self.no {
            self.panes.set(self.detail.as_ref().map(|detail| &detail.fields), &detail.fields);
            self.detail = Some(Arc::clone(detail));
        }
    }
}

impl Screen for CallScreen {
    fn context(&self) -> Context {
        self.panes.context()
    }

    fn has_own_head(&self) -> bool {
        true
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        let detail = self.detail.clone();
        let fields = detail.as_ref().map(|detail| &detail.fields);
        if fields.is_some_and(|fields| self.panes.act(action, fields)) {
            return true;
        }
        match action {
            Action::Mark => hub.session.toggle_mark(self.no),
            Action::Columns => match fields.and_then(|fields| self.panes.node(fields)?.filter.clone()) {
                Some(comparison) => hub.wants(Effect::Column(comparison.field)),
                None => hub.say("this is not a field that a column can show"),
            },
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::Find => hub.wants(Effect::Ask(Question::Find, self.panes.sought.clone())),
            Action::FindNext | Action::FindPrevious => {
                if !fields.is_some_and(|fields| self.panes.find(fields, action == Action::FindPrevious)) {
                    hub.say("nothing found: / begins a search");
                }
            }
            _ => return false,
        }
        true
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Call(CallReply::Detail(detail)) if !self.is_replayed => self.take(detail),
            Reply::Replay(ReplayReply::Detail(detail)) if self.is_replayed => self.take(detail),
            Reply::DecodingChanged if self.is_replayed => {
                hub.request(Request::Replay(ReplayRequest::Detail(self.no)));
            }
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
        text.clone_into(&mut self.panes.sought);
        let detail = self.detail.clone();
        if !detail.is_some_and(|detail| self.panes.find(&detail.fields, false)) {
            hub.fail(format!("{} is not in this call", safe(text.as_bytes())));
        }
    }

    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        self.detail.as_ref().map(|detail| self.panes.comparisons(&detail.fields)).unwrap_or_default()
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        self.detail.as_ref().map(|detail| self.panes.copies(&detail.fields)).unwrap_or_default()
    }

    fn subject(&self, hub: &Hub<'_>) -> Subject {
        let mut subject = Subject { call: Some(self.no), ..Subject::default() };
        hub.backend.look(&mut |viewer| {
            subject.message = self.selected_message();
            if let Some(call) = viewer.call_by_no(self.no) {
                subject.connection = Some(call.connection().number());
                subject.at = call.start();
            }
        });
        subject
    }

    fn show(&mut self, subject: Subject, hub: &mut Hub<'_>) {
        if let Some(no) = subject.call.filter(|&no| no != self.no) {
            let panes = take(&mut self.panes);
            let opened = if self.is_replayed { Self::replayed(no, hub) } else { Self::open(no, hub) };
            *self = Self { panes, ..opened };
        }
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        if let Some(detail) = self.detail.clone() {
            self.panes.click(pane, row, &detail.fields);
        }
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        self.detail.as_ref().map(|detail| self.panes.position(&detail.fields)).unwrap_or_default()
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, below: Option<(u64, u64)>, _hub: &mut Hub<'_>) {
        let area = canvas.area;
        let signs = canvas.theme.signs;
        let Some(detail) = self.detail.clone() else {
            canvas.text(1, 0, area.width, &format!("{} {} #{}", self.from(), signs.into, self.no), Role::Heading);
            canvas.text(8, 3, area.width, &format!("reading {}", signs.ellipsis), Role::Quiet);
            return;
        };
        draw_head(canvas, &detail, self.from(), below);
        let top = 3.min(area.height);
        let body = Rect { y: area.y + top, height: area.height - top, ..area };
        self.panes.draw(&mut canvas.part(body), &detail.fields, true);
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }
}

/// ```text
///  Calls › #42 …Checkout/PlaceOrder                          3 of 1,214   [ previous   ] next
///  ✗ UNAVAILABLE (14)  connect: connection refused   1.50 s   unary   c3 stream 9   grpc
///  ↑ headers +0   ↑ message +200 µs   ↑ end +200 µs   ↓ trailers +1.50 s
/// ```
fn draw_head(canvas: &mut Canvas<'_>, detail: &Detail, from: &str, place: Option<(u64, u64)>) {
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
    let title = [
        Part::quiet(format!(" {from} {into} ")),
        Part::new(format!("#{} {}", detail.no, detail.method), Role::Heading),
    ];
    canvas.parts(0, 0, x.saturating_sub(2), &title);
    let facts = [Part::quiet(detail.facts.clone())];
    let x = canvas.parts_right(1, width * 2 / 3, &facts);
    canvas.parts(1, 1, x.saturating_sub(3), &detail.status);
    canvas.parts(1, 2, width.saturating_sub(1), &detail.moments);
}
