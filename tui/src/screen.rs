//! What a screen is: its commands, its filter, its rows, what its keys do, and how one comes back to it.
//!
//! A screen keeps where it is scrolled to and what it received. It changes nothing but itself: what it wants of the rest of the
//! program is an `Effect` or a request that it leaves with its `Hub`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::print::Times;

use crate::backend::{Backend, Progress, Reply, Request, WhichCalls};
use crate::command::{Action, Context};
use crate::model::follow::MessageNo;
use crate::model::replay::Editable;
use crate::popup::{Menu, Question};
use crate::view::{CallsScreen, ConnectionsScreen, FramesScreen, MethodsScreen, ReplayScreen, TimelineScreen};
use crate::widget::{Canvas, Comparison, Parts};

/// A numbered view. Each keeps its state while another one is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// The list of calls.
    Calls,
    /// The frames of a connection, or of the whole capture.
    Frames,
    /// Connections and their streams.
    Connections,
    /// Calls by method.
    Methods,
    /// A connection over time.
    Timeline,
    /// Calls sent again, and compared.
    Replay,
}

impl View {
    /// Every view, in the order of their numbers.
    pub const ALL: &'static [Self] =
        &[Self::Calls, Self::Frames, Self::Connections, Self::Methods, Self::Timeline, Self::Replay];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Calls => "Calls",
            Self::Connections => "Connections",
            Self::Methods => "Methods",
            Self::Timeline => "Timeline",
            Self::Replay => "Replay",
            Self::Frames => "Frames",
        }
    }

    /// The key that goes to it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Calls => "1",
            Self::Connections => "3",
            Self::Methods => "4",
            Self::Timeline => "5",
            Self::Replay => "6",
            Self::Frames => "2",
        }
    }

    /// The view as it is when it is opened for the first time. `subject`: what had the cursor on the screen before.
    pub(crate) fn open(self, subject: Subject, hub: &mut Hub<'_>) -> Box<dyn Screen> {
        match self {
            Self::Calls => Box::new(CallsScreen::new()),
            Self::Connections => Box::new(ConnectionsScreen::open(subject, hub)),
            Self::Methods => Box::new(MethodsScreen::open(&hub.session.filter.clone(), hub)),
            Self::Timeline => Box::new(TimelineScreen::open(subject, hub)),
            Self::Frames => Box::new(FramesScreen::open(subject, hub)),
            Self::Replay => Box::new(ReplayScreen::default()),
        }
    }
}

/// A screen to go to.
#[allow(dead_code)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A numbered view. What had the cursor is shown there, too, where the view has it.
    View(View),
    /// The calls that match a filter.
    CallsWhere(String),
    /// One call, on top of the screen that is shown.
    Call(u32),
    /// A call as a conversation, on top of the screen that is shown.
    Follow(u32),
    /// The problems of the calls that are shown.
    Problems,
    /// The replay of calls, which begins with its options.
    Replay(ToReplay),
    /// A call as it was replayed, on top of the screen that is shown.
    Replayed(u32),
}

/// What is to be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ToReplay {
    /// Which calls.
    pub(crate) calls: WhichCalls,
    /// A call whose request is edited first, and which message of it, where one was selected.
    pub(crate) edit: Option<(u32, Option<u32>)>,
}

/// What has the cursor, as far as it concerns other screens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The number of a call.
    pub(crate) call: Option<u32>,
    /// The number of a connection.
    pub(crate) connection: Option<u32>,
    /// A moment.
    pub(crate) at: Option<Timestamp>,
    /// A message of the call.
    pub(crate) message: Option<MessageNo>,
}

/// What a screen, a key or a line of a menu wants the program to do.
#[allow(dead_code)]
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Goes to a screen. Where one was is remembered.
    Go(Place),
    /// Leaves the screen, back to the one below it.
    Close,
    /// Carries out a command.
    Act(Action),
    /// Applies a filter to the screen, or, where it has none, to the list of calls.
    Filter(String),
    /// Offers what can be done with a comparison.
    Combine(Comparison),
    /// Sorts the list by a field; the other way round where it is sorted by it already.
    Sort(String),
    /// Opens a menu.
    Menu(Menu),
    /// Asks for a line of text, which is this at first. The screen is given it.
    Ask(Question, String),
    /// The same with another prompt, which comes last.
    AskWith(Question, String, String),
    /// Opens a message to be edited; with what is wrong with what was written.
    Edit(Arc<Editable>, Option<String>),
    /// Asks something of the program.
    Request(Request),
    /// Shows or hides secrets.
    Reveal(bool),
    /// Shows a field as a column of the list of calls.
    Column(String),
    /// Gives the screen the number of its own that a line of a menu has.
    Pick(u32),
    /// Says something in the last line but one.
    Say {
        /// What.
        text: String,
        /// Whether something went wrong.
        error: bool,
    },
    /// Nothing.
    Nothing,
}

/// What a screen can copy: a key, a title, the text.
pub(crate) type Copyable = (char, String, String);

/// What all screens share.
#[derive(Debug)]
pub(crate) struct Session {
    /// The numbers of the marked calls.
    pub(crate) marks: BTreeSet<u32>,
    /// How times are shown.
    pub(crate) times: TimeForm,
    /// Whether secrets are shown.
    pub(crate) revealed: bool,
    /// The filter of the calls that were shown last: other views of calls begin with it.
    pub(crate) filter: String,
}

impl Session {
    /// Marks a call, or takes its mark away.
    pub(crate) fn toggle_mark(&mut self, no: u32) {
        if !self.marks.remove(&no) {
            self.marks.insert(no);
        }
    }
}

/// How times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeForm {
    SinceStart,
    SincePrevious,
    Local,
    Utc,
}

impl TimeForm {
    /// The next form.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::SinceStart => Self::SincePrevious,
            Self::SincePrevious => Self::Local,
            Self::Local => Self::Utc,
            Self::Utc => Self::SinceStart,
        }
    }

    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SinceStart => "since the start",
            Self::SincePrevious => "since the previous row",
            Self::Local => "local time",
            Self::Utc => "UTC",
        }
    }

    fn times(self, first: Option<Timestamp>) -> Times {
        match self {
            Self::SinceStart => Times::Since(first.unwrap_or_default()),
            Self::SincePrevious => Times::Delta,
            Self::Local => Times::Zone(TimeZone::system()),
            Self::Utc => Times::Utc,
        }
    }
}

/// What a screen is given while it works: what it reads, and where it leaves what it wants.
pub(crate) struct Hub<'a> {
    /// The program.
    pub(crate) backend: &'a dyn Backend,
    /// How far reading has come.
    pub(crate) progress: Progress,
    /// What all screens share.
    pub(crate) session: &'a mut Session,
    /// The window's width and height.
    pub(crate) window: (u16, u16),
    /// What is wanted, in this order.
    pub(crate) effects: Vec<Effect>,
}

impl Hub<'_> {
    /// Leaves something to be done when the screen is done.
    pub(crate) fn wants(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Says something in the last line but one.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.wants(Effect::Say { text: text.into(), error: false });
    }

    /// Says that something went wrong.
    pub(crate) fn fail(&mut self, text: impl Into<String>) {
        self.wants(Effect::Say { text: text.into(), error: true });
    }

    /// Asks something of the program, at once.
    pub(crate) fn request(&self, request: Request) {
        self.backend.request(request);
    }

    /// How times are shown.
    pub(crate) fn times(&self) -> Times {
        self.session.times.times(self.progress.first)
    }
}

/// A screen.
pub(crate) trait Screen: Debug {
    /// Which commands it has; with panes, that of the pane with the focus.
    fn context(&self) -> Context;

    /// Whether it draws its own first lines, in place of the line of views and the filter line.
    fn has_own_head(&self) -> bool {
        false
    }

    /// The filter that it shows; `None` where it has no filter line.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// What its filter selects.
    fn target(&self) -> Target {
        Target::Calls
    }

    /// Shows what `filter` leaves. It is valid; empty for everything.
    fn set_filter(&mut self, _filter: &str, _hub: &mut Hub<'_>) {}

    /// Carries out a command. `false` where it does not concern this screen.
    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool;

    /// Takes an answer of the program. All screens are given all answers.
    fn reply(&mut self, _reply: &Reply, _hub: &mut Hub<'_>) {}

    /// Lets time pass. Whether something changed.
    fn pass(&mut self, _time: Duration, _hub: &mut Hub<'_>) -> bool {
        false
    }

    /// Takes the answer to a question that it asked.
    fn answer(&mut self, _question: Question, _text: &str, _hub: &mut Hub<'_>) {}

    /// Takes the number of its own that a line of a menu has ([`Effect::Pick`]).
    fn picked(&mut self, _pick: u32, _hub: &mut Hub<'_>) {}

    /// Replays calls: its options are shown first.
    fn replay(&mut self, _what: &ToReplay, _hub: &mut Hub<'_>) {}

    /// Whether something is under way that ends with the program: then it asks before it quits.
    fn is_busy(&self) -> bool {
        false
    }

    /// Sorts by a field; the other way round where it is sorted by it already.
    fn sort(&mut self, _field: &str, _hub: &mut Hub<'_>) {}

    /// Shows these fields as columns, where the screen has a list with columns to choose.
    fn set_columns(&mut self, _fields: &[String], _hub: &mut Hub<'_>) {}

    /// Shows one more field as a column.
    fn add_column(&mut self, _field: &str, _hub: &mut Hub<'_>) {}

    /// The comparisons that what has the cursor offers, with titles; the most useful one first.
    fn comparisons(&self, _hub: &Hub<'_>) -> Vec<(String, Comparison)> {
        Vec::new()
    }

    /// What can be copied.
    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        Vec::new()
    }

    /// What has the cursor.
    fn subject(&self, _hub: &Hub<'_>) -> Subject {
        Subject::default()
    }

    /// Shows `subject`, where it has it: a view that was opened before is gone to from another screen.
    fn show(&mut self, _subject: Subject, _hub: &mut Hub<'_>) {}

    /// Moves the cursor of a list of calls and returns the call that it is on then.
    fn neighbour(&mut self, _by: i64, _hub: &mut Hub<'_>) -> Option<u32> {
        None
    }

    /// Where the cursor of its list is, and how many rows there are.
    fn place(&self, _hub: &Hub<'_>) -> Option<(u64, u64)> {
        None
    }

    /// A click on a row of a pane: the pane has the focus then, and the row the cursor.
    fn click(&mut self, _pane: u8, _row: u64, _hub: &mut Hub<'_>) {}

    /// A click on the heading of a column.
    fn click_heading(&mut self, _pane: u8, field: &str, hub: &mut Hub<'_>) {
        self.sort(field, hub);
    }

    /// What the filter line says at its right: how much is shown.
    fn remark(&self, _hub: &Hub<'_>, _theme: &crate::Theme) -> Parts {
        Parts::new()
    }

    /// What the line below the panes says.
    fn position(&self, _hub: &Hub<'_>, _theme: &crate::Theme) -> Parts {
        Parts::new()
    }

    /// Draws everything between the head and the last two lines, and asks for what it lacks. `below`: where the call stands
    /// in the list below this screen.
    fn draw(&mut self, canvas: &mut Canvas<'_>, below: Option<(u64, u64)>, hub: &mut Hub<'_>);

    /// A copy to come back to.
    fn keep(&self) -> Box<dyn Screen>;

    /// It is shown again after one went back to it: calls may have come meanwhile.
    fn resumed(&mut self, _hub: &mut Hub<'_>) {}
}

/// A number for the next list or job: no two of the program have the same, however often one goes back to an older screen.
pub(crate) fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
