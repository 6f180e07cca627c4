//! What is printed about each call.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::Arc;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::grpc::Status;
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::print::{Escaped, duration_text, rfc3339};

use crate::signals::Stop;

/// Prints a line for each call that is over, and counts.
pub(crate) struct Log {
    out: RefCell<Box<dyn Write>>,
    json: bool,
    stop: Arc<Stop>,
    counts: Cell<Counts>,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Connections.
    pub(crate) connections: u64,
    /// Calls that are over.
    pub(crate) calls: u64,
    /// Of these, those whose request is not in the recording.
    pub(crate) misses: u64,
    /// Those that the client cancelled or left, before the recorded end.
    pub(crate) left: u64,
    /// Those that could not be answered for another reason.
    pub(crate) failed: u64,
}

/// A call that is over.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(crate) no: u64,
    /// The number of its connection, from 0.
    pub(crate) connection: u32,
    /// When it began.
    pub(crate) at: Timestamp,
    /// The client's end.
    pub(crate) client: String,
    /// `grpc` or `ttrpc`.
    pub(crate) protocol: &'static str,
    /// `/service/method`.
    pub(crate) path: String,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The recording that answered it.
    pub(crate) recorded: Option<u32>,
    /// Its status, where it has one.
    pub(crate) status: Option<Status>,
    /// Messages that came, and that were sent.
    pub(crate) messages: [u64; 2],
    /// How long it took.
    pub(crate) nanos: i64,
    /// Why, where the outcome does not say all.
    pub(crate) why: Option<String>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered to its recorded end.
    Answered,
    /// By the server itself: reflection or health.
    BuiltIn,
    /// Its request is not in the recording.
    Miss,
    /// The client cancelled it or left, before its recorded end or because there is none.
    Left,
    /// It could not be answered.
    Failed,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::BuiltIn => "built-in",
            Self::Miss => "miss",
            Self::Left => "left",
            Self::Failed => "failed",
        }
    }
}

impl Log {
    /// Prints to `out`; raises `stop` when nobody reads it any more.
    pub(crate) fn new(out: Box<dyn Write>, json: bool, stop: Arc<Stop>) -> Self {
        Self { out: RefCell::new(out), json, stop, counts: Cell::default() }
    }

    /// What there was so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// A client has connected.
    pub(crate) fn connected(&self) {
        let counts = self.counts.get();
        self.counts.set(Counts { connections: counts.connections + 1, ..counts });
    }

    /// A call is over.
    pub(crate) fn call(&self, line: &Line) {
        let mut counts = self.counts.get();
        counts.calls += 1;
        match line.outcome {
            Outcome::Answered | Outcome::BuiltIn => {}
            Outcome::Miss => counts.misses += 1,
            Outcome::Left => counts.left += 1,
            Outcome::Failed => counts.failed += 1,
        }
        self.counts.set(counts);
        let text = if self.json { line.json() } else { line.text() };
        let mut out = self.out.borrow_mut();
        if out.write_all(&text).and_then(|()| out.flush()).is_err() {
            self.stop.raise();
        }
    }
}

impl Line {
    fn text(&self) -> Vec<u8> {
        let status = match self.outcome {
            Outcome::Left => "left".into(),
            _ => self.status.map_or_else(|| "-".into(), |status| status.name()),
        };
        let source = match (self.outcome, self.recorded) {
            (Outcome::Miss, _) => "miss".to_owned(),
            (Outcome::BuiltIn, _) => "built-in".to_owned(),
            (_, Some(no)) => format!("call {no}"),
            (_, None) => "-".to_owned(),
        };
        let took = duration_text(self.nanos, 9);
        let path = Escaped(self.path.trim_start_matches('/').as_bytes());
        let mut text = format!("{:>5}  {source:<10}  {status:<20}  {took:>10}  {path}", self.no);
        if let Some(why) = &self.why {
            text.push_str(&format!(": {}", Escaped(why.as_bytes())));
        }
        text.push('\n');
        text.into_bytes()
    }

    fn json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut json = Writer::new(&mut out);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("no").unsigned(self.no);
        json.key("connection").unsigned(self.connection.into());
        json.key("client").string(&self.client);
        json.key("protocol").string(self.protocol);
        json.key("path").string(&self.path);
        json.key("start").string(&rfc3339(self.at));
        json.key("duration_ns").unsigned(self.nanos.max(0).cast_unsigned());
        json.key("outcome").string(self.outcome.name());
        match self.recorded {
            Some(no) => json.key("recorded").unsigned(no.into()),
            None => json.key("recorded").null(),
        };
        match self.status {
            Some(status) => {
                json.key("status").begin_object();
                json.key("code").unsigned(status.0.into());
                json.key("name").string(&status.name());
                json.end_object();
            }
            None => json.key("status").null(),
        }
        json.key("messages").begin_object();
        json.key("request").unsigned(self.messages[0]);
        json.key("response").unsigned(self.messages[1]);
        json.end_object();
        match &self.why {
            Some(why) => json.key("why").string(why),
            None => json.key("why").null(),
        };
        json.end_object();
        out.push(b'\n');
        out
    }
}
