//! Everything that a key does, in one table. Keys, footer, help, the palette and the documentation are made of it.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::screen::View;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Goes to a numbered view.
    View(View),
    /// Moves up by a row.
    Up,
    /// Moves down by a row.
    Down,
    /// Moves up by a page.
    PageUp,
    /// Moves down by a page.
    PageDown,
    /// Moves up by half a page.
    HalfUp,
    /// Moves down by half a page.
    HalfDown,
    /// Goes to the first row.
    First,
    /// Goes to the last row.
    Last,
    /// Goes to a row by its number.
    GoTo,
    /// Folds, or shows columns at the left.
    Left,
    /// Unfolds, or shows columns at the right.
    Right,
    /// Opens what has the cursor.
    Open,
    /// Leaves: a popup, an input, a screen, a filter.
    Leave,
    /// Back to where one was before.
    Back,
    /// Forward again.
    Forward,
    /// To the next pane.
    NextPane,
    /// To the previous pane.
    PreviousPane,
    /// Divides the window the other way.
    SwapSplit,
    /// Makes the lower or right pane larger.
    Grow,
    /// Makes it smaller.
    Shrink,
    /// Says how things were coded.
    Coding,
    /// Edits the filter.
    Filter,
    /// Finds text in a tree.
    Find,
    /// The next place where the text is found.
    FindNext,
    /// The previous one.
    FindPrevious,
    /// Uses the value under the cursor as a filter.
    FilterByThis,
    /// The next failed call.
    NextError,
    /// The previous failed call.
    PreviousError,
    /// The previous call of the list.
    PreviousCall,
    /// The next call of the list.
    NextCall,
    /// Marks, or takes the mark away.
    Mark,
    /// Shows marked calls only.
    OnlyMarked,
    /// Chooses what a list is sorted by.
    Sort,
    /// Chooses the columns.
    Columns,
    /// Opens another capture.
    OpenFile,
    /// Reverses the order.
    Reverse,
    /// Chooses the byte view.
    ByteView,
    /// Copies.
    Copy,
    /// Exports calls.
    Export,
    /// A call as a conversation.
    Follow,
    /// What the capture or the bytes did not allow.
    Problems,
    /// Sorts by the column at the left.
    SortLeft,
    /// Sorts by the column at the right.
    SortRight,
    /// Shows messages as differences.
    Differences,
    /// Shows what one side sent.
    OneSide,
    /// Picks a message to be compared.
    Pick,
    /// Shows less time, in more detail.
    ZoomIn,
    /// Shows more time.
    ZoomOut,
    /// Shows all of it.
    ZoomFit,
    /// Goes to the next event of a stream.
    NextEvent,
    /// Goes to the previous event of a stream.
    PreviousEvent,
    /// Measures from here on.
    Measure,
    /// Chooses another connection.
    OtherConnection,
    /// Moves through time by itself.
    Play,
    /// Shows or hides the preview.
    Preview,
    /// Shows the next lines of the preview.
    PreviewPage,
    /// Enlarges the pane with the focus to the whole screen.
    Maximize,
    /// Chooses how times are shown.
    Times,
    /// Stays at the newest row.
    Tail,
    /// Shows the frames of the whole capture.
    AllFrames,
    /// Loads a schema.
    LoadSchema,
    /// Replays calls.
    Replay,
    /// Replays all calls that the filter shows.
    ReplayAll,
    /// Edits a message of a request, and sends it.
    EditRequest,
    /// Shows what would be sent.
    Plan,
    /// The options of a replay.
    Options,
    /// Takes the value of an option away.
    Clear,
    /// Holds a replay back, or lets it continue.
    Pause,
    /// Ends a replay.
    Stop,
    /// Sends calls again.
    Again,
    /// The next difference.
    NextDifference,
    /// The previous one.
    PreviousDifference,
    /// Ignores a field when calls are compared.
    Ignore,
    /// Shows all calls, or only those that did not come back the same.
    OnlyDifferent,
    /// Takes what was edited.
    Accept,
    /// Reveals hidden values.
    Reveal,
    /// All keys and commands.
    Help,
    /// Turns the mouse on or off.
    Mouse,
    /// Draws everything again.
    Redraw,
    /// Closes this screen, or quits.
    Quit,
    /// Quits at once.
    Interrupt,
    /// Suspends the program.
    Suspend,
}

/// Where a command is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// On every screen.
    Everywhere,
    /// In the list of calls.
    Calls,
    /// In the list of frames.
    Frames,
    /// In the list of connections.
    Connections,
    /// In the streams of a connection.
    Streams,
    /// In a call, on its tree.
    Tree,
    /// In a call, on its bytes.
    Bytes,
    /// In the table of methods.
    Methods,
    /// In the list of problems.
    Problems,
    /// In a conversation.
    Follow,
    /// In a conversation, on the fields of a message.
    FollowTree,
    /// In the timeline.
    Timeline,
    /// In a replay, on its calls.
    Replay,
    /// In a replay, on the fields of a call.
    ReplayFields,
    /// Where nothing was chosen to be replayed.
    ReplayEmpty,
    /// In the options of a replay.
    ReplayOptions,
    /// In the plan of a replay.
    ReplayPlan,
    /// In a message that is edited.
    Editor,
}

impl Context {
    /// Every context.
    pub const ALL: &'static [Self] = &[
        Self::Everywhere,
        Self::Calls,
        Self::Frames,
        Self::Connections,
        Self::Streams,
        Self::Tree,
        Self::Bytes,
        Self::Methods,
        Self::Problems,
        Self::Follow,
        Self::FollowTree,
        Self::Timeline,
        Self::Replay,
        Self::ReplayFields,
        Self::ReplayEmpty,
        Self::ReplayOptions,
        Self::ReplayPlan,
        Self::Editor,
    ];

    /// What the list of keys calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Calls => "Calls",
            Self::Frames => "Frames",
            Self::Connections => "Connections",
            Self::Streams => "Connections: streams",
            Self::Tree => "Call: tree",
            Self::Bytes => "Call: bytes",
            Self::Methods => "Methods",
            Self::Problems => "Problems",
            Self::Follow => "Follow",
            Self::FollowTree => "Follow: message",
            Self::Timeline => "Timeline",
            Self::Replay => "Replay",
            Self::ReplayFields => "Replay: fields",
            Self::ReplayEmpty => "Replay: nothing chosen",
            Self::ReplayOptions => "Replay: options",
            Self::ReplayPlan => "Replay: plan",
            Self::Editor => "Message editor",
        }
    }
}

/// A command: what it does, its keys, and where it is to be had.
#[derive(Debug)]
pub struct Command {
    /// What it does.
    pub action: Action,
    /// Its name in a configuration file.
    pub name: &'static str,
    /// A line about it.
    pub title: &'static str,
    /// Its word in the footer; empty for those that are not shown there.
    pub footer: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
    /// Where it is to be had.
    pub contexts: &'static [Context],
}

use Context::{
    Bytes, Calls, Connections, Editor, Everywhere, Follow, FollowTree, Frames, Methods, Problems, Replay, ReplayEmpty,
    ReplayFields, ReplayOptions, ReplayPlan, Streams, Timeline, Tree,
};

const fn command(
    action: Action,
    name: &'static str,
    title: &'static str,
    footer: &'static str,
    keys: &'static [&'static str],
    contexts: &'static [Context],
) -> Command {
    Command { action, name, title, footer, keys, contexts }
}

/// Every command. In the footer they are in this order.
pub static COMMANDS: &[Command] = &[
    command(Action::Open, "open", "Open the selected call", "open", &["Enter"], &[Streams, Calls, Frames, Timeline]),
    command(
        Action::Open,
        "open-connection",
        "Show the calls of the connection",
        "calls of this",
        &["Enter"],
        &[Connections],
    ),
    command(Action::Open, "open-method", "Show the calls of the method", "calls of this", &["Enter"], &[Methods]),
    command(
        Action::Open,
        "open-problem",
        "Show only the calls with the problem",
        "show only these",
        &["Enter"],
        &[Problems],
    ),
    command(Action::Open, "open-message", "Go to the fields of the message", "fields", &["Enter"], &[Follow]),
    command(
        Action::Open,
        "unfold",
        "Unfold or fold; go to the frame that a header field refers to",
        "",
        &["Enter"],
        &[Tree, FollowTree],
    ),
    command(Action::Open, "change-option", "Change the option", "change", &["Enter"], &[ReplayOptions]),
    command(Action::Open, "go-to-calls", "Go to Calls, to choose some", "choose calls", &["Enter"], &[ReplayEmpty]),
    command(Action::Plan, "plan", "Show what would be sent", "plan", &["p"], &[ReplayOptions]),
    command(Action::Clear, "clear-option", "Take the value away", "clear", &["Delete"], &[ReplayOptions]),
    command(Action::Open, "send", "Send the calls", "send", &["Enter"], &[ReplayPlan]),
    command(Action::Pause, "pause", "Pause the replay, or let it go on", "pause", &["Space"], &[Replay, ReplayFields]),
    command(Action::Stop, "stop", "Stop the replay", "stop", &["s"], &[Replay, ReplayFields]),
    command(
        Action::NextDifference,
        "next-difference",
        "Go to the next difference",
        "next difference",
        &["n"],
        &[Replay, ReplayFields],
    ),
    command(
        Action::PreviousDifference,
        "previous-difference",
        "Go to the previous difference",
        "",
        &["N"],
        &[Replay, ReplayFields],
    ),
    command(
        Action::Ignore,
        "ignore",
        "Ignore this field, and compare again without sending",
        "ignore",
        &["i"],
        &[Replay, ReplayFields],
    ),
    command(Action::Again, "again", "Send calls again…", "again", &["r"], &[Replay, ReplayFields]),
    command(
        Action::EditRequest,
        "edit-request",
        "Edit a message of the request, and send it",
        "edit",
        &["e"],
        &[Replay, ReplayFields],
    ),
    command(
        Action::Options,
        "replay-options",
        "Change the options of the replay",
        "options",
        &["o"],
        &[Replay, ReplayFields, ReplayPlan],
    ),
    command(
        Action::OnlyDifferent,
        "only-different",
        "Show all calls, or only those that did not come back the same",
        "only different",
        &["d"],
        &[Replay, ReplayFields],
    ),
    command(Action::Open, "open-replayed", "Open the replayed call", "open", &["Enter"], &[Replay, ReplayFields]),
    command(Action::Plan, "show-plan", "Show the plan again", "plan", &["p"], &[Replay, ReplayFields]),
    command(Action::Accept, "accept", "Take the message, and send it", "send", &["Ctrl-s"], &[Editor]),
    command(Action::SortLeft, "sort-left", "Sort by the column at the left", "", &["<"], &[Methods]),
    command(Action::SortRight, "sort-right", "Sort by the column at the right", "sort", &[">"], &[Methods]),
    command(Action::Pick, "pick", "Pick the message: two are compared", "pick two to compare", &["Space"], &[Follow]),
    command(Action::Differences, "differences", "Show messages as differences", "differences", &["d"], &[Follow]),
    command(Action::OneSide, "one-side", "Show one side only", "one side", &["u"], &[Follow]),
    command(Action::ZoomIn, "zoom-in", "Show less time, in more detail", "zoom in", &["+"], &[Timeline]),
    command(Action::ZoomOut, "zoom-out", "Show more time", "out", &["-"], &[Timeline]),
    command(Action::ZoomFit, "zoom-fit", "Show all the time of the connection", "all", &["0"], &[Timeline]),
    command(Action::NextEvent, "next-event", "Go to the next event of the stream", "next event", &["n"], &[Timeline]),
    command(Action::PreviousEvent, "previous-event", "Go to the previous event of the stream", "", &["N"], &[Timeline]),
    command(Action::Measure, "measure", "Measure from here on", "measure", &["z"], &[Timeline]),
    command(Action::OtherConnection, "connection", "Choose another connection…", "connection", &["c"], &[Timeline]),
    command(Action::Play, "play", "Move through time, or stop", "", &["Space"], &[Timeline]),
    command(Action::Right, "later", "Move to a later time", "", &["Right", "l"], &[Timeline]),
    command(Action::Left, "earlier", "Move to an earlier time", "", &["Left", "h"], &[Timeline]),
    command(
        Action::Follow,
        "follow",
        "Show the call as a conversation",
        "follow",
        &["f"],
        &[Streams, Calls, Frames, Tree, Bytes, Timeline],
    ),
    command(
        Action::Filter,
        "filter",
        "Edit the filter",
        "filter",
        &["/"],
        &[Connections, Streams, Calls, Frames, Methods, Problems],
    ),
    command(Action::AllFrames, "all-frames", "Show the frames of the whole capture", "all frames", &["A"], &[Frames]),
    command(Action::Sort, "sort", "Sort by a column…", "sort", &["s"], &[Connections, Calls]),
    command(
        Action::FilterByThis,
        "filter-by-this",
        "Use the value under the cursor as a filter…",
        "by this",
        &["="],
        &[Connections, Streams, Calls, Frames, Tree, Methods, Problems, FollowTree, Timeline],
    ),
    command(
        Action::NextError,
        "next-error",
        "Go to the next failed call or problem",
        "next error",
        &["e"],
        &[Connections, Streams, Calls, Frames],
    ),
    command(
        Action::PreviousError,
        "previous-error",
        "Go to the previous failed call or problem",
        "",
        &["E"],
        &[Connections, Streams, Calls, Frames],
    ),
    command(
        Action::Mark,
        "mark",
        "Mark the call, or remove its mark",
        "mark",
        &["m"],
        &[Calls, Tree, Follow, Timeline],
    ),
    command(
        Action::Replay,
        "replay-calls",
        "Replay the marked calls, or this one…",
        "replay",
        &["r"],
        &[Calls, Tree, Bytes, Follow, Timeline],
    ),
    command(
        Action::EditRequest,
        "edit-call",
        "Edit a message of the request, and send the call…",
        "edit",
        &["e"],
        &[Tree, Bytes, Follow],
    ),
    command(Action::ReplayAll, "replay-all", "Replay all calls that the filter shows…", "", &["R"], &[Calls]),
    command(Action::OnlyMarked, "only-marked", "Show marked calls only", "", &["M"], &[Calls]),
    command(Action::Columns, "columns", "Choose the columns…", "", &["c"], &[Calls]),
    command(Action::Columns, "column", "Show this field as a column of Calls", "", &["c"], &[Tree]),
    command(Action::PreviewPage, "preview-page", "Show more of the preview", "", &["Space"], &[Calls]),
    command(Action::Reverse, "reverse", "Reverse the order", "", &["o"], &[Connections, Calls, Methods]),
    command(Action::Preview, "preview", "Show or hide the preview", "", &["p"], &[Connections, Streams, Calls, Frames]),
    command(Action::Tail, "tail", "Stay at the newest call", "", &["F"], &[Calls, Replay]),
    command(
        Action::Right,
        "right",
        "Unfold; in lists, show columns at the right",
        "",
        &["Right", "l"],
        &[Connections, Streams, Calls, Frames, Tree, Bytes, Methods, FollowTree],
    ),
    command(
        Action::Left,
        "left",
        "Fold; in lists, show columns at the left",
        "",
        &["Left", "h"],
        &[Connections, Streams, Calls, Frames, Tree, Bytes, Methods, FollowTree],
    ),
    command(
        Action::NextPane,
        "next-pane",
        "Go to the next pane",
        "pane",
        &["Tab"],
        &[Connections, Streams, Frames, Tree, Bytes, Follow, FollowTree, Replay, ReplayFields],
    ),
    command(
        Action::PreviousPane,
        "previous-pane",
        "Go to the previous pane",
        "",
        &["Shift-Tab"],
        &[Connections, Streams, Frames, Tree, Bytes],
    ),
    command(
        Action::ByteView,
        "byte-view",
        "Show other bytes: frame, message, inflated",
        "bytes",
        &["b"],
        &[Tree, Bytes],
    ),
    command(Action::Find, "find", "Find text", "find", &["/"], &[Tree, Follow]),
    command(Action::FindNext, "find-next", "Go to the next place where the text is found", "", &["n"], &[Tree, Follow]),
    command(
        Action::FindPrevious,
        "find-previous",
        "Go to the previous place where the text is found",
        "",
        &["N"],
        &[Tree, Follow],
    ),
    command(Action::PreviousCall, "previous-call", "Go to the previous call of the list", "", &["["], &[Tree, Bytes]),
    command(Action::NextCall, "next-call", "Go to the next call of the list", "", &["]"], &[Tree, Bytes]),
    command(
        Action::Copy,
        "copy",
        "Copy…",
        "copy",
        &["y"],
        &[
            Connections,
            Streams,
            Calls,
            Frames,
            Tree,
            Methods,
            Problems,
            Follow,
            FollowTree,
            Timeline,
            Replay,
            ReplayFields,
            ReplayPlan,
        ],
    ),
    command(Action::Maximize, "maximize", "Enlarge the pane to the whole screen", "", &["\\"], &[Tree, Bytes]),
    command(Action::SwapSplit, "swap-split", "Put the panes beside or below each other", "", &["|"], &[Tree, Bytes]),
    command(Action::Grow, "grow", "Make the lower or right pane larger", "", &["Ctrl-Up", "Ctrl-Left"], &[Tree, Bytes]),
    command(
        Action::Shrink,
        "shrink",
        "Make the lower or right pane smaller",
        "",
        &["Ctrl-Down", "Ctrl-Right"],
        &[Tree, Bytes],
    ),
    command(Action::Coding, "coding", "Say how each field was coded", "", &["i"], &[Tree, Bytes]),
    command(Action::Leave, "leave", "Leave: a popup, an input, a screen, the filter", "", &["Esc"], &[Everywhere]),
    command(Action::Up, "up", "Move up", "", &["Up", "k"], &[Everywhere]),
    command(Action::Down, "down", "Move down", "", &["Down", "j"], &[Everywhere]),
    command(Action::PageUp, "page-up", "Move up by a page", "", &["PageUp"], &[Everywhere]),
    command(Action::PageDown, "page-down", "Move down by a page", "", &["PageDown"], &[Everywhere]),
    command(Action::HalfUp, "half-page-up", "Move up by half a page", "", &["Ctrl-u"], &[Everywhere]),
    command(Action::HalfDown, "half-page-down", "Move down by half a page", "", &["Ctrl-d"], &[Everywhere]),
    command(Action::First, "first", "Go to the first row", "", &["Home", "g"], &[Everywhere]),
    command(Action::Last, "last", "Go to the last row", "", &["End", "G"], &[Everywhere]),
    command(Action::GoTo, "go-to", "Go to a number…", "", &["#"], &[Everywhere]),
    command(Action::Back, "back", "Go back to where you were", "", &["Backspace", "Alt-Left"], &[Everywhere]),
    command(Action::Forward, "forward", "Go forward again", "", &["Alt-Right"], &[Everywhere]),
    command(Action::View(View::Calls), "calls", "Go to Calls", "", &["1"], &[Everywhere]),
    command(Action::View(View::Connections), "connections", "Go to Connections", "", &["3"], &[Everywhere]),
    command(Action::View(View::Methods), "methods", "Go to Methods", "", &["4"], &[Everywhere]),
    command(Action::View(View::Timeline), "timeline", "Go to Timeline", "", &["5"], &[Everywhere]),
    command(Action::View(View::Replay), "replay", "Go to Replay", "", &["6"], &[Everywhere]),
    command(
        Action::View(View::Timeline),
        "timeline-here",
        "Show the connection of this over time",
        "",
        &["t"],
        &[Connections, Streams, Calls, Frames, Tree, Bytes, Follow],
    ),
    command(Action::Export, "export", "Export calls…; in Replay, write a report", "", &["x"], &[Everywhere]),
    command(Action::Problems, "problems", "Show the problems, by kind", "", &["!"], &[Everywhere]),
    command(
        Action::View(View::Frames),
        "frames",
        "Go to Frames: those of the selected call's connection",
        "",
        &["2"],
        &[Everywhere],
    ),
    command(
        Action::Times,
        "times",
        "Show times differently: since the start, since the previous row, local time, UTC",
        "",
        &["T"],
        &[Everywhere],
    ),
    command(Action::OpenFile, "open-file", "Open another capture…", "", &["O"], &[Everywhere]),
    command(Action::LoadSchema, "load-schema", "Load a schema…", "", &["S"], &[Everywhere]),
    command(Action::Reveal, "reveal", "Reveal hidden values, or hide them again", "", &["v"], &[Everywhere]),
    command(Action::Mouse, "mouse", "Turn the mouse on or off", "", &[], &[Everywhere]),
    command(Action::Redraw, "redraw", "Draw the screen again", "", &["Ctrl-l"], &[Everywhere]),
    command(Action::Quit, "quit", "Close this screen, or quit", "", &["q"], &[Everywhere]),
    command(Action::Interrupt, "interrupt", "Quit at once", "", &["Ctrl-c"], &[Everywhere]),
    command(Action::Suspend, "suspend", "Suspend the program", "", &["Ctrl-z"], &[Everywhere]),
    command(Action::Help, "help", "All keys and commands", "all keys", &["?", "F1", ":"], &[Everywhere]),
];

impl Command {
    /// Whether it is to be had in `context`.
    pub fn is_for(&self, context: Context) -> bool {
        self.contexts.contains(&context) || self.contexts.contains(&Everywhere)
    }
}

/// Which keys run which commands: those of [`COMMANDS`], unless a configuration file names others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    /// The keys of each command, in the order of [`COMMANDS`].
    keys: Vec<Vec<String>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let keys = |command: &Command| command.keys.iter().map(|key| (*key).to_owned()).collect();
        Self { keys: COMMANDS.iter().map(keys).collect() }
    }
}

impl Keymap {
    /// Gives the command named `command` these keys, and no others.
    ///
    /// # Errors
    ///
    /// Why that cannot be.
    pub fn set(&mut self, command: &str, keys: Vec<String>) -> Result<(), String> {
        let at = COMMANDS.iter().position(|known| known.name == command);
        let own = at.and_then(|at| self.keys.get_mut(at)).ok_or_else(|| format!("there is no command {command}"))?;
        if let Some(wrong) = keys.iter().find(|key| parse_key(key).is_none()) {
            return Err(format!("{wrong} is not a key; keys are called q, Q, Ctrl-q, Alt-Left, F1, PageUp, Space"));
        }
        *own = keys;
        Ok(())
    }

    /// Whether each key has one command in each place.
    ///
    /// # Errors
    ///
    /// Which key has two.
    pub fn check(&self) -> Result<(), String> {
        for &context in Context::ALL {
            let mut seen = std::collections::HashMap::new();
            for command in COMMANDS.iter().filter(|command| command.is_for(context)) {
                for key in self.keys_of(command) {
                    if let Some(other) = seen.insert(parse_key(key), command.name) {
                        let place = context.name();
                        return Err(format!("{key} has two commands, {other} and {} ({place})", command.name));
                    }
                }
            }
        }
        Ok(())
    }

    /// The keys of a command, the one for the footer first.
    pub fn keys_of(&self, command: &Command) -> &[String] {
        let at = COMMANDS.iter().position(|known| known.name == command.name);
        at.and_then(|at| self.keys.get(at)).map_or(&[], Vec::as_slice)
    }

    /// The command that `key` runs in `context`: the context's own before those that are everywhere.
    pub fn command_for(&self, key: KeyEvent, context: Context) -> Option<&'static Command> {
        let bound = |command: &&Command| self.keys_of(command).iter().any(|name| parse_key(name) == Some(normal(key)));
        let own = COMMANDS.iter().filter(|command| command.contexts.contains(&context)).find(bound);
        own.or_else(|| COMMANDS.iter().filter(|command| command.contexts.contains(&Everywhere)).find(bound))
    }
}

/// What tells keys apart: a letter's case says whether shift was held.
fn normal(key: KeyEvent) -> (KeyCode, KeyModifiers) {
    if key.code == KeyCode::BackTab {
        return (KeyCode::Tab, KeyModifiers::SHIFT);
    }
    let ignored = match key.code {
        KeyCode::Char(_) => KeyModifiers::SHIFT,
        _ => KeyModifiers::empty(),
    };
    (key.code, key.modifiers - ignored)
}

/// A key by its name: `q`, `Ctrl-u`, `Alt-Left`, `F1`, `PageUp`.
pub fn parse_key(name: &str) -> Option<(KeyCode, KeyModifiers)> {
    if name.chars().count() == 1 {
        return name.chars().next().map(|c| (KeyCode::Char(c), KeyModifiers::NONE));
    }
    for (prefix, modifier) in
        [("Ctrl-", KeyModifiers::CONTROL), ("Alt-", KeyModifiers::ALT), ("Shift-", KeyModifiers::SHIFT)]
    {
        if let Some(rest) = name.strip_prefix(prefix) {
            return parse_key(rest).map(|(code, modifiers)| (code, modifiers | modifier));
        }
    }
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Backspace" => KeyCode::Backspace,
        "Space" => KeyCode::Char(' '),
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Delete" => KeyCode::Delete,
        _ => KeyCode::F(name.strip_prefix('F')?.parse().ok().filter(|no| (1..=12).contains(no))?),
    };
    Some((code, KeyModifiers::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_name_that_is_understood() {
        for command in COMMANDS {
            for key in command.keys {
                assert!(parse_key(key).is_some(), "{}: {key}", command.name);
            }
        }
    }

    #[test]
    fn no_key_does_two_things_in_one_place() {
        for &context in Context::ALL {
            let mut seen = std::collections::BTreeMap::new();
            for command in COMMANDS.iter().filter(|command| command.is_for(context)) {
                for key in command.keys {
                    assert_eq!(seen.insert(*key, command.name), None, "{key} in {context:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
    }

    #[test]
    fn a_context_goes_before_everywhere() {
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let action = |code, context| Keymap::default().command_for(key(code), context).map(|command| command.action);
        assert_eq!(action(KeyCode::Char('/'), Calls), Some(Action::Filter));
        assert_eq!(action(KeyCode::Char('/'), Tree), Some(Action::Find));
        assert_eq!(action(KeyCode::Char('q'), Bytes), Some(Action::Quit));
        assert_eq!(action(KeyCode::Char('Z'), Bytes), None);
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(Keymap::default().command_for(shifted, Calls).map(|command| command.action), Some(Action::Last));
    }
}
