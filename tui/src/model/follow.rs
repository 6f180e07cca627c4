//! A call as a conversation: what both sides sent, in the order of time, a line each.
//!
//! Made by a worker, since it decodes messages. A line holds the beginning of a message; the whole message is asked for when
//! somebody looks at it.

use rpcshark_captures::Direction;
use rpcshark_dissectors::conversation::{Change, ChangeKind, Event, EventKind, Snapshot, events};
use rpcshark_dissectors::http2::ErrorCode;
use rpcshark_dissectors::print::{Escaped, duration_text, header_text, size_text, status_text, value_text};
use rpcshark_dissectors::store::End;
use rpcshark_dissectors::view::{CallView, HeadersView, MessageView, Scratch};

use super::lines::{method_name, outcome_role, took_text};
use super::preview::one_line;
use crate::text::{counted, safe};
use crate::theme::{Role, Signs};
use crate::widget::{Part, Parts};

/// A call as a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// Its number.
    pub no: u32,
    /// Its method; safe to draw.
    pub method: String,
    /// How it ended.
    pub status: Parts,
    /// How long it took, its connection and stream.
    pub facts: String,
    /// The client's end.
    pub client: String,
    /// The server's end.
    pub server: String,
    /// Messages and their bytes by [`Direction::index`].
    pub totals: [(u64, u64); 2],
    /// What happened.
    pub items: Vec<Item>,
    /// How many more things happened.
    pub left_out: u64,
    /// Whether messages are shown as differences from those before them.
    pub differences: bool,
    /// How many decimals of a second the capture's times have.
    pub decimals: u8,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which way it went.
    pub direction: Direction,
    /// When, in nanoseconds since the call began.
    pub at_ns: Option<i64>,
    /// Its number, if it is a message.
    pub message: Option<u64>,
    /// Whether it only ends a side.
    pub is_half_close: bool,
    /// What happened, in a line.
    pub text: Parts,
    /// How a message differs from the one before in its direction.
    pub changes: Vec<Parts>,
}

/// A message of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageNo {
    /// Which way it went.
    pub direction: Direction,
    /// Its number in its direction, from 1.
    pub no: u64,
}

impl MessageNo {
    /// `↓3`.
    pub fn text(self, signs: &Signs) -> String {
        let sign = if self.direction == Direction::ToServer { signs.up } else { signs.down };
        format!("{sign}{}", self.no)
    }
}

/// How one message of a call differs from another one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageDifference {
    /// The call.
    pub no: u32,
    /// `↓1`: the older message.
    pub old: String,
    /// `↓3`: the newer one.
    pub new: String,
    /// How they differ, a line each.
    pub changes: Vec<Parts>,
}

/// Things that have a line. A stream may have millions.
const MAX_ITEMS: usize = 10_000;

/// Changes of a message that have a line.
const MAX_CHANGES: usize = 100;

/// Nodes of a message that are compared.
const MAX_NODES: usize = 20_000;

/// Characters of a value in a line about a change.
const MAX_VALUE: usize = 120;

/// Makes a call's conversation. `differences`: messages are compared with those before them.
pub fn conversation(call: &CallView<'_>, differences: bool, decimals: u8, signs: &Signs) -> Conversation {
    let mut maker = Maker { call, signs, differences, last: [None, None], scratch: Scratch::default() };
    let mut items = Vec::new();
    let mut left_out = 0;
    for event in events(call) {
        if items.len() < MAX_ITEMS {
            items.push(maker.item(&event));
        } else {
            left_out += 1;
        }
    }
    let totals = Direction::BOTH.map(|direction| {
        call.messages(direction)
            .fold((0, 0), |(count, bytes), message| (count + 1, bytes + u64::from(message.length())))
    });
    let end = |text: String| safe(text.as_bytes());
    Conversation {
        no: call.no(),
        method: method_name(call).unwrap_or_else(|| "(method not in capture)".to_owned()),
        status: vec![Part::new(status_text(call).replace('✗', signs.error), outcome_role(call.outcome()))],
        facts: format!(
            "{}   c{} stream {}",
            took_text(call, None, decimals, signs),
            call.connection().number(),
            call.stream()
        ),
        client: end(call.client().to_string()),
        server: end(call.server().to_string()),
        totals,
        items,
        left_out,
        differences,
        decimals,
    }
}

struct Maker<'m, 'a> {
    call: &'m CallView<'a>,
    signs: &'m Signs,
    differences: bool,
    /// The message before of each direction: its number and its fields.
    last: [Option<(u64, Snapshot)>; 2],
    scratch: Scratch,
}

impl<'a> Maker<'_, 'a> {
    fn item(&mut self, event: &Event<'a>) -> Item {
        let role = match event.direction {
            Direction::ToServer => Role::ToServer,
            Direction::ToClient => Role::ToClient,
        };
        let mut item = Item {
            direction: event.direction,
            at_ns: event.at.and_then(|at| self.call.since_start(at)),
            message: None,
            is_half_close: false,
            text: Vec::new(),
            changes: Vec::new(),
        };
        match event.kind {
            EventKind::Headers(headers) => {
                item.text.push(Part::new("headers", role));
                push_headers(&mut item.text, headers);
            }
            EventKind::Message { no, message } => {
                item.message = Some(no);
                self.message(&mut item, role, no, message);
            }
            EventKind::HalfClose => {
                item.is_half_close = true;
                item.text.push(Part::new("half-close", role));
            }
            EventKind::Trailers(headers) => {
                item.text.push(Part::new("trailers", role));
                if event.direction == Direction::ToClient {
                    item.text.push(Part::text("   "));
                    item.text.push(self.status());
                }
                push_headers(&mut item.text, headers);
            }
            EventKind::Reset(reset) => {
                item.text.push(Part::new("RST_STREAM ", role));
                item.text.push(Part::new(safe(ErrorCode(reset.code).name().as_bytes()), Role::Error));
            }
            EventKind::End(end) => {
                let what = match end {
                    End::Response => "response",
                    End::Goaway => "GOAWAY",
                    End::Connection => "end of the connection",
                    End::Gap => "end in a gap",
                    End::Trailers | End::Data | End::Reset => "end",
                };
                item.text.push(Part::new(what, role));
                item.text.push(Part::text("   "));
                item.text.push(self.status());
            }
        }
        item
    }

    fn status(&self) -> Part {
        let text = status_text(self.call).replace('✗', self.signs.error);
        Part::new(text, outcome_role(self.call.outcome()))
    }

    fn message(&mut self, item: &mut Item, role: Role, no: u64, message: MessageView<'a>) {
        let name = message.type_name().value().map(|name| name.rsplit('.').next().unwrap_or(name));
        let name = safe(name.unwrap_or("message").as_bytes());
        item.text.push(Part::new(format!("{no}  "), role));
        item.text.push(Part::text(format!("{name} ")));
        item.text.push(Part::quiet(format!("{}  ", size_text(message.length().into()))));
        if message.is_late() {
            item.text.push(Part::new("late ", Role::Warning));
        }
        let changes = match self.differences {
            true => self.changes(no, message),
            false => None,
        };
        match changes {
            Some((before, changes)) if changes.is_empty() => {
                item.text.push(Part::quiet(format!("= same as message {before}")));
            }
            Some((before, changes)) => {
                let count = counted(changes.len() as u64, "change");
                item.text.push(Part::quiet(format!("{count} since message {before}")));
                item.changes = change_lines(&changes, self.signs);
            }
            None => item.text.push(Part::text(format!("{{{}}}", one_line(message, &mut self.scratch)))),
        }
    }

    /// The number of the message before in its direction, and what is different in this one.
    fn changes(&mut self, no: u64, message: MessageView<'a>) -> Option<(u64, Vec<Change>)> {
        let snapshot = snapshot(message, &mut self.scratch)?;
        let slot = self.last.get_mut(message.direction().index())?;
        let changes = slot.as_ref().map(|(before, old)| (*before, snapshot.changes_since(old)));
        *slot = Some((no, snapshot));
        changes
    }
}

/// What a message holds, to be compared; `None` where it cannot be read.
fn snapshot(message: MessageView<'_>, scratch: &mut Scratch) -> Option<Snapshot> {
    let schema = message.schema();
    let body = message.body(scratch);
    let content = body.content()?;
    Some(match body.tree(MAX_NODES).filter(|_| rpcshark_dissectors::view::as_json(content).is_none()) {
        Some(nodes) => Snapshot::of(&nodes, &mut |node| value_text(schema, node).unwrap_or_default()),
        None => Snapshot::of_text(Escaped(content).to_string()),
    })
}

/// How two messages of a call differ; `None` where one of them is not there or cannot be read.
pub fn difference(call: &CallView<'_>, old: MessageNo, new: MessageNo, signs: &Signs) -> Option<MessageDifference> {
    let mut scratch = Scratch::default();
    let mut of = |wanted: MessageNo| {
        let index = usize::try_from(wanted.no.checked_sub(1)?).ok()?;
        snapshot(call.messages(wanted.direction).nth(index)?, &mut scratch)
    };
    let (before, now) = (of(old)?, of(new)?);
    let changes = change_lines(&now.changes_since(&before), signs);
    Some(MessageDifference { no: call.no(), old: old.text(signs), new: new.text(signs), changes })
}

fn change_lines(changes: &[Change], signs: &Signs) -> Vec<Parts> {
    let line = |change: &Change| {
        let path = safe(change.path.as_bytes());
        let value = |text: &str| cut(&safe(text.as_bytes()), signs);
        match &change.kind {
            ChangeKind::Added(new) => {
                vec![Part::new("+ ", Role::Ok), Part::new(path, Role::Name), Part::text(format!("  {}", value(new)))]
            }
            ChangeKind::Removed(old) => {
                vec![Part::new("- ", Role::Error), Part::new(path, Role::Name), Part::text(format!("  {}", value(old)))]
            }
            ChangeKind::Changed { old, new } => vec![
                Part::new("~ ", Role::Warning),
                Part::new(path, Role::Name),
                Part::text(format!("  {} {} {}", value(old), signs.arrow, value(new))),
            ],
        }
    };
    let mut lines: Vec<Parts> = changes.iter().take(MAX_CHANGES).map(line).collect();
    if let Some(more) = changes.len().checked_sub(MAX_CHANGES).filter(|&more| more > 0) {
        lines.push(vec![Part::quiet(format!("and {} more", counted(more as u64, "change")))]);
    }
    lines
}

fn cut(text: &str, signs: &Signs) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}{}", &text[..end], signs.ellipsis),
        None => text.to_owned(),
    }
}

/// The metadata of a header list: `name: value   name: value`.
fn push_headers(parts: &mut Parts, headers: HeadersView<'_>) {
    for field in headers.metadata() {
        let (name, value) = header_text(field);
        parts.push(Part::new(format!("   {name}"), Role::Name));
        let role = if field.value().is_hidden() { Role::Hidden } else { Role::Value };
        parts.push(Part::new(format!(": {value}"), role));
    }
}

impl Conversation {
    /// A time of it as text.
    pub fn duration(&self, nanos: i64) -> String {
        duration_text(nanos, self.decimals)
    }
}
