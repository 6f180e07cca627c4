//! The program's state between two events: which screen is shown, what lies on top of it, and where one can go back to.
//!
//! An event goes to what is on top: an input, a popup, the screen. [`App`] draws into a buffer and knows no terminal.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::print::Times;

use crate::backend::{Backend, Progress, Reply, Request, Sort};
use crate::command::{Action, COMMANDS, Context, command_for};
use crate::filter_bar::{Edited, FilterBar};
use crate::model::calls::CallColumn;
use crate::text::{counted, safe};
use crate::theme::{Role, Theme};
use crate::view::{CallScreen, CallsScreen, KeyList, Order, Pane};
use crate::widget::{Canvas, Comparison, LineInput, ListState, Part, Parts, Popup, draw_input, draw_popup};

/// The program's state.
pub struct App {
    theme: Theme,
    file: String,
    calls: CallsScreen,
    call: Option<CallScreen>,
    filter: FilterBar,
    /// How long nothing has been typed since the filter changed.
    quiet_for: Option<Duration>,
    overlay: Option<Overlay>,
    marks: BTreeSet<u32>,
    times: TimeForm,
    message: Option<(String, bool)>,
    revealed: bool,
    mouse: bool,
    back: Vec<Visited>,
    forward: Vec<Visited>,
    last_click: Option<(u16, u64)>,
    list_area: Rect,
}

/// What lies on top of a screen.
#[derive(Debug)]
enum Overlay {
    Keys(KeyList),
    Menu(Menu),
    Ask(Question, LineInput),
}

/// A choice among few, each with a key.
#[derive(Debug)]
struct Menu {
    title: String,
    items: Vec<MenuItem>,
    list: ListState,
}

#[derive(Clone, Debug)]
struct MenuItem {
    key: char,
    title: String,
    remark: String,
    choice: Choice,
}

/// What a menu offers.
#[derive(Clone, Debug)]
enum Choice {
    /// Takes this filter.
    Filter(String),
    /// Offers what may be done with a comparison.
    Combine(Comparison),
    /// Sorts by this column.
    Sort(CallColumn),
    /// Copies this.
    Copy(String),
    /// Shows hidden values.
    Reveal,
    /// Does nothing.
    Nothing,
}

/// What is asked for in a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// The number of a call.
    GoTo,
    /// Text to find.
    Find,
    /// A schema's file or directory.
    Schema,
}

impl Question {
    const fn prompt(self) -> &'static str {
        match self {
            Self::GoTo => "call number: ",
            Self::Find => "find: ",
            Self::Schema => "schema file or directory: ",
        }
    }
}

/// Somewhere one has been.
#[derive(Clone, Debug)]
struct Visited {
    filter: String,
    order: Order,
    list: ListState,
    sort: Option<Sort>,
    call: Option<CallScreen>,
}

/// How times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeForm {
    SinceStart,
    SincePrevious,
    Local,
    Utc,
}

/// What the caller has to do after an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Draw again.
    pub draw: bool,
}

/// How long typing has to pause before a filter is applied by itself.
const PAUSE: Duration = Duration::from_millis(150);

/// Places that one can go back to.
const VISITED: usize = 100;

/// The smallest window in which anything is shown.
const SMALLEST: (u16, u16) = (60, 12);

impl App {
    /// The state at the start: the list of all calls of `file`, or those that `filter` leaves.
    pub fn new(theme: Theme, file: &str, filter: &str, backend: &dyn Backend) -> Self {
        let mut app = Self {
            theme,
            file: safe(file.as_bytes()),
            calls: CallsScreen::new(),
            call: None,
            filter: FilterBar::default(),
            quiet_for: None,
            overlay: None,
            marks: BTreeSet::new(),
            times: TimeForm::SinceStart,
            message: None,
            revealed: false,
            mouse: true,
            back: Vec::new(),
            forward: Vec::new(),
            last_click: None,
            list_area: Rect::ZERO,
        };
        if !filter.is_empty() {
            app.filter.set(filter);
            app.calls.ask(filter, backend);
        }
        app
    }

    /// Whether the program captures the mouse.
    pub const fn wants_mouse(&self) -> bool {
        self.mouse
    }

    /// Turns the mouse on or off.
    pub const fn set_mouse(&mut self, on: bool) {
        self.mouse = on;
    }

    /// Keeps the list at the newest call until the user moves.
    pub const fn set_tail(&mut self, on: bool) {
        self.calls.tail = on;
    }

    const fn context(&self) -> Context {
        match &self.call {
            Some(call) => match call.pane {
                Pane::Tree => Context::Tree,
                Pane::Bytes => Context::Bytes,
            },
            None => Context::Calls,
        }
    }

    /// Handles an event of the terminal.
    pub fn event(&mut self, event: &Event, backend: &dyn Backend) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(*key, backend),
            Event::Mouse(mouse) => self.mouse(*mouse, backend),
            Event::Paste(text) if self.filter.editing => {
                self.filter.paste(text, backend);
                self.quiet_for = Some(Duration::ZERO);
            }
            Event::Paste(text) => {
                if let Some(Overlay::Ask(_, input)) = &mut self.overlay {
                    input.paste(text);
                }
            }
            _ => {}
        }
    }

    /// Lets time pass: a filter is applied when typing has paused. Whether something changed.
    pub fn pass(&mut self, time: Duration, backend: &dyn Backend) -> bool {
        let Some(quiet_for) = &mut self.quiet_for else { return false };
        *quiet_for += time;
        if *quiet_for < PAUSE {
            return false;
        }
        self.quiet_for = None;
        let Some(filter) = self.filter.quick().map(str::to_owned) else { return false };
        self.filter.applied.clone_from(&filter);
        self.calls.ask(filter.trim(), backend);
        true
    }

    /// Takes an answer of the program.
    pub fn reply(&mut self, reply: Reply, backend: &dyn Backend) {
        match reply {
            Reply::List(part) => self.calls.take(part, backend),
            Reply::Preview(preview) => self.calls.take_preview(preview),
            Reply::Detail(detail) => {
                if let Some(call) = &mut self.call {
                    call.take(detail);
                }
            }
            Reply::SchemaChanged => {
                self.calls.forget_preview();
                if let Some(call) = &self.call {
                    backend.request(Request::Detail(call.no));
                }
            }
            Reply::Say { text, error } => self.message = Some((safe(text.as_bytes()), error)),
        }
    }

    fn key(&mut self, key: KeyEvent, backend: &dyn Backend) {
        self.message = None;
        let interrupt = command_for(key, Context::Calls).is_some_and(|command| command.action == Action::Interrupt);
        if interrupt {
            return backend.request(Request::Quit);
        }
        if self.filter.editing {
            return self.edit_filter(key, backend);
        }
        match self.overlay.take() {
            Some(overlay) => self.overlay_key(overlay, key, backend),
            None => {
                if let Some(command) = command_for(key, self.context()) {
                    self.act(command.action, backend);
                }
            }
        }
    }

    fn edit_filter(&mut self, key: KeyEvent, backend: &dyn Backend) {
        match self.filter.key(key, backend) {
            Edited::Nothing => {}
            Edited::Changed => self.quiet_for = Some(Duration::ZERO),
            Edited::Apply(filter) => {
                self.quiet_for = None;
                self.apply(&filter, backend);
            }
        }
    }

    /// Shows the calls that match `filter`.
    fn apply(&mut self, filter: &str, backend: &dyn Backend) {
        let same = self.calls_filter() == filter && !self.calls.only_marked;
        if !same {
            self.remember();
        }
        self.call = None;
        let asked = self.filter.applied == filter;
        self.filter.set(filter);
        if !(same && asked) {
            self.calls.ask(filter, backend);
        }
    }

    fn calls_filter(&self) -> &str {
        &self.filter.applied
    }

    fn overlay_key(&mut self, overlay: Overlay, key: KeyEvent, backend: &dyn Backend) {
        match overlay {
            Overlay::Keys(keys) => self.keys_key(keys, key, backend),
            Overlay::Menu(menu) => self.menu_key(menu, key, backend),
            Overlay::Ask(question, input) => self.ask_key(question, input, key, backend),
        }
    }

    fn keys_key(&mut self, mut keys: KeyList, key: KeyEvent, backend: &dyn Backend) {
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => match keys.chosen() {
                Some(action) => return self.act(action, backend),
                None => self.message = Some(("that command is not available here".to_owned(), false)),
            },
            KeyCode::Down => keys.list.move_by(1, keys.len()),
            KeyCode::Up => keys.list.move_by(-1, keys.len()),
            KeyCode::PageDown => keys.list.move_by(10, keys.len()),
            KeyCode::PageUp => keys.list.move_by(-10, keys.len()),
            _ => {
                if keys.input.key(key) {
                    keys.list = ListState::default();
                }
            }
        }
        self.overlay = Some(Overlay::Keys(keys));
    }

    fn menu_key(&mut self, mut menu: Menu, key: KeyEvent, backend: &dyn Backend) {
        let len = menu.items.len() as u64;
        let by_key = |c: char| menu.items.iter().find(|item| item.key == c).map(|item| item.choice.clone());
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => {
                let choice = menu.items.get(menu.list.cursor as usize).map(|item| item.choice.clone());
                return self.choose(choice.unwrap_or(Choice::Nothing), backend);
            }
            KeyCode::Down => menu.list.move_by(1, len),
            KeyCode::Up => menu.list.move_by(-1, len),
            KeyCode::Char(c) => match by_key(c) {
                Some(choice) => return self.choose(choice, backend),
                None if c == 'j' => menu.list.move_by(1, len),
                None if c == 'k' => menu.list.move_by(-1, len),
                None => {}
            },
            _ => {}
        }
        self.overlay = Some(Overlay::Menu(menu));
    }

    fn choose(&mut self, choice: Choice, backend: &dyn Backend) {
        match choice {
            Choice::Filter(filter) => self.apply(&filter, backend),
            Choice::Combine(comparison) => self.overlay = Some(Overlay::Menu(self.combine_menu(&comparison))),
            Choice::Sort(column) => {
                let same = self.calls.sort.as_ref().is_some_and(|sort| sort.field == column.field());
                let down =
                    if same { !self.calls.sort.as_ref().is_some_and(|sort| sort.down) } else { sorts_down(column) };
                self.remember();
                self.calls.sort =
                    (column != CallColumn::No || down).then(|| Sort { field: column.field().to_owned(), down });
                self.calls.list = ListState::default();
                let filter = self.filter.applied.clone();
                self.calls.ask(&filter, backend);
            }
            Choice::Copy(text) => backend.request(Request::Copy { text, to_file: false }),
            Choice::Reveal => {
                self.revealed = true;
                backend.request(Request::Reveal(true));
            }
            Choice::Nothing => {}
        }
    }

    fn ask_key(&mut self, question: Question, mut input: LineInput, key: KeyEvent, backend: &dyn Backend) {
        match key.code {
            KeyCode::Esc => return,
            KeyCode::Enter => return self.answer(question, input.text(), backend),
            _ => {
                input.key(key);
            }
        }
        self.overlay = Some(Overlay::Ask(question, input));
    }

    fn answer(&mut self, question: Question, text: &str, backend: &dyn Backend) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        match question {
            Question::GoTo => match text.trim_start_matches('#').parse() {
                Ok(no) if no <= backend.progress().calls as u32 && no > 0 => {
                    self.call = None;
                    self.calls.go_to(no, &backend.progress());
                }
                _ => self.message = Some((format!("there is no call {}", safe(text.as_bytes())), true)),
            },
            Question::Find => {
                if let Some(call) = &mut self.call {
                    text.clone_into(&mut call.sought);
                    if !call.find(false) {
                        self.message = Some((format!("{} is not in this call", safe(text.as_bytes())), true));
                    }
                }
            }
            Question::Schema => backend.request(Request::LoadSchema(PathBuf::from(text))),
        }
    }

    /// Keeps where one is, so that one can come back.
    fn remember(&mut self) {
        self.back.push(self.here());
        if self.back.len() > VISITED {
            self.back.remove(0);
        }
        self.forward.clear();
    }

    fn here(&self) -> Visited {
        Visited {
            filter: self.filter.applied.clone(),
            order: self.calls.order.clone(),
            list: self.calls.list,
            sort: self.calls.sort.clone(),
            call: self.call.clone(),
        }
    }

    fn go(&mut self, visited: Visited, backend: &dyn Backend) {
        let changed = self.filter.applied != visited.filter || self.calls.sort != visited.sort;
        self.filter.set(&visited.filter);
        self.calls.sort = visited.sort;
        self.calls.show(visited.order, backend);
        self.calls.list = visited.list;
        self.call = visited.call;
        if changed && !backend.progress().finished {
            // Calls have come meanwhile.
            let filter = self.filter.applied.clone();
            self.calls.ask(&filter, backend);
        }
    }

    fn act(&mut self, action: Action, backend: &dyn Backend) {
        if let Some(call) = &mut self.call
            && call.act(action)
        {
            return;
        }
        match action {
            Action::Help => self.overlay = Some(Overlay::Keys(KeyList::new(self.context()))),
            Action::Suspend => backend.request(Request::Suspend),
            Action::Redraw => backend.request(Request::Redraw),
            Action::Interrupt => backend.request(Request::Quit),
            Action::Mouse => self.mouse = !self.mouse,
            Action::Times => self.times = self.times.next(),
            Action::LoadSchema => self.ask(Question::Schema, ""),
            Action::GoTo => self.ask(Question::GoTo, ""),
            Action::Reveal => self.reveal(backend),
            Action::Back => {
                if let Some(visited) = self.back.pop() {
                    self.forward.push(self.here());
                    self.go(visited, backend);
                }
            }
            Action::Forward => {
                if let Some(visited) = self.forward.pop() {
                    self.back.push(self.here());
                    self.go(visited, backend);
                }
            }
            Action::Calls => {
                if self.call.is_some() {
                    self.remember();
                    self.call = None;
                }
            }
            _ if self.call.is_some() => self.act_in_call(action, backend),
            _ => self.act_in_calls(action, backend),
        }
    }

    fn act_in_call(&mut self, action: Action, backend: &dyn Backend) {
        match action {
            Action::Leave | Action::Quit => self.call = None,
            Action::PreviousCall | Action::NextCall => {
                let by = if action == Action::NextCall { 1 } else { -1 };
                self.neighbour(by, backend);
            }
            Action::Mark => {
                if let Some(call) = &self.call {
                    toggle(&mut self.marks, call.no);
                }
            }
            Action::Find => {
                if let Some(call) = &self.call {
                    self.overlay = Some(Overlay::Ask(Question::Find, call.find_input()));
                }
            }
            Action::FindNext | Action::FindPrevious => {
                let found = self.call.as_mut().is_some_and(|call| call.find(action == Action::FindPrevious));
                if !found {
                    self.message = Some(("nothing found: / begins a search".to_owned(), false));
                }
            }
            Action::FilterByThis => match self.call.as_ref().and_then(CallScreen::comparison) {
                Some(comparison) => self.overlay = Some(Overlay::Menu(self.combine_menu(&comparison))),
                None => self.message = Some(("no filter selects this: choose a field with a value".to_owned(), false)),
            },
            Action::Copy => self.copy_menu(),
            _ => {}
        }
    }

    /// The call before or behind this one in the list.
    fn neighbour(&mut self, by: i64, backend: &dyn Backend) {
        let progress = backend.progress();
        let len = self.calls.len(&progress);
        self.calls.list.move_by(by, len);
        if let Some(no) = self.calls.selected(&progress)
            && self.call.as_ref().is_some_and(|call| call.no != no)
        {
            self.call = Some(CallScreen::open(no, backend));
        }
    }

    fn act_in_calls(&mut self, action: Action, backend: &dyn Backend) {
        let progress = backend.progress();
        let len = self.calls.len(&progress);
        let page = i64::from(self.list_area.height.saturating_sub(2).max(1));
        let moved = match action {
            Action::Up => Some(-1),
            Action::Down => Some(1),
            Action::PageUp => Some(-page),
            Action::PageDown => Some(page),
            Action::HalfUp => Some(-(page / 2).max(1)),
            Action::HalfDown => Some((page / 2).max(1)),
            Action::First => Some(i64::MIN),
            Action::Last => Some(i64::MAX),
            _ => None,
        };
        if let Some(by) = moved {
            self.calls.list.move_by(by, len);
            self.calls.tail = false;
            return;
        }
        match action {
            Action::Open => {
                if let Some(no) = self.calls.selected(&progress) {
                    self.remember();
                    self.call = Some(CallScreen::open(no, backend));
                }
            }
            Action::Filter => self.filter.edit(backend),
            Action::Left => self.calls.list.skipped = self.calls.list.skipped.saturating_sub(1),
            Action::Right => self.calls.list.skipped = (self.calls.list.skipped + 1).min(CallColumn::ALL.len() - 2),
            Action::Mark => {
                if let Some(no) = self.calls.selected(&progress) {
                    toggle(&mut self.marks, no);
                    self.calls.list.move_by(1, len);
                }
            }
            Action::OnlyMarked => {
                let filter = self.filter.applied.clone();
                self.calls.show_marked(&self.marks, &filter, backend);
            }
            Action::NextError | Action::PreviousError => {
                let found = self.calls.next_failed(action == Action::PreviousError, backend);
                let which = if action == Action::NextError { "below" } else { "above" };
                self.message = (!found).then(|| (format!("no failed call {which} this one"), false));
            }
            Action::Sort => self.sort_menu(),
            Action::Reverse => self.reverse(backend),
            Action::Preview => self.calls.preview_wanted = !self.calls.preview_wanted,
            Action::Tail => self.calls.tail = !self.calls.tail,
            Action::FilterByThis => self.column_menu(backend),
            Action::Copy => self.copy_row_menu(backend),
            Action::Leave => self.leave(backend),
            Action::Quit => backend.request(Request::Quit),
            _ => {}
        }
    }

    /// Esc on the list: what was chosen goes, one step at a time.
    fn leave(&mut self, backend: &dyn Backend) {
        if self.calls.only_marked {
            let filter = self.filter.applied.clone();
            self.calls.ask(&filter, backend);
        } else if !self.filter.applied.is_empty() {
            self.apply("", backend);
        }
    }

    fn ask(&mut self, question: Question, text: &str) {
        self.overlay = Some(Overlay::Ask(question, LineInput::new(text)));
    }

    fn reveal(&mut self, backend: &dyn Backend) {
        if self.revealed {
            self.revealed = false;
            return backend.request(Request::Reveal(false));
        }
        let item = |key, title: &str, choice| MenuItem { key, title: title.to_owned(), remark: String::new(), choice };
        self.overlay = Some(Overlay::Menu(Menu {
            title: "Show hidden values?".to_owned(),
            items: vec![
                item('y', "show authorization, cookies, tokens and other hidden values", Choice::Reveal),
                item('n', "keep them hidden", Choice::Nothing),
            ],
            list: ListState { cursor: 1, ..ListState::default() },
        }));
    }

    fn reverse(&mut self, backend: &dyn Backend) {
        let sort = self.calls.sort.take().unwrap_or(Sort { field: CallColumn::No.field().to_owned(), down: false });
        let down = !sort.down;
        self.calls.sort = (sort.field != CallColumn::No.field() || down).then_some(Sort { down, ..sort });
        let filter = self.filter.applied.clone();
        self.calls.ask(&filter, backend);
    }

    fn sort_menu(&mut self) {
        let columns = [
            (CallColumn::No, 'n'),
            (CallColumn::Time, 't'),
            (CallColumn::Connection, 'c'),
            (CallColumn::Method, 'm'),
            (CallColumn::Messages, 'g'),
            (CallColumn::Bytes, 'b'),
            (CallColumn::Took, 'd'),
            (CallColumn::Status, 's'),
        ];
        let item = |(column, key): (CallColumn, char)| MenuItem {
            key,
            title: column.column(0).title,
            remark: column.field().to_owned(),
            choice: Choice::Sort(column),
        };
        let items = columns.into_iter().map(item).collect();
        self.overlay =
            Some(Overlay::Menu(Menu { title: "s  sort by…".to_owned(), items, list: ListState::default() }));
    }

    /// `=` on a row: every column's value. The method comes first, so that `==` shows only the calls of this method.
    fn column_menu(&mut self, backend: &dyn Backend) {
        let mut comparisons = self.calls.comparisons(backend);
        comparisons.sort_by_key(|(title, _)| title != "Method");
        let keys = "=123456789".chars();
        let items: Vec<MenuItem> = comparisons
            .into_iter()
            .zip(keys)
            .map(|((title, comparison), key)| MenuItem {
                key,
                title,
                remark: comparison.equal(),
                choice: match key {
                    '=' => Choice::Filter(comparison.equal()),
                    _ => Choice::Combine(comparison),
                },
            })
            .collect();
        if items.is_empty() {
            self.message = Some(("no call is selected".to_owned(), false));
            return;
        }
        self.overlay =
            Some(Overlay::Menu(Menu { title: "=  filter by…".to_owned(), items, list: ListState::default() }));
    }

    /// What may be done with a comparison: alone, without, and with the filter that there is.
    fn combine_menu(&self, comparison: &Comparison) -> Menu {
        let filter = &self.filter.applied;
        let (equal, without) = (comparison.equal(), comparison.without());
        let item = |key, title: &str, text: String| MenuItem {
            key,
            title: title.to_owned(),
            remark: text.clone(),
            choice: Choice::Filter(text),
        };
        let mut items = vec![item('=', "only these", equal.clone()), item('-', "without these", without)];
        if !filter.is_empty() {
            items.push(item('a', "and the filter", format!("({filter}) && {equal}")));
            items.push(item('o', "or the filter", format!("({filter}) || {equal}")));
        }
        Menu { title: "=  filter by this…".to_owned(), items, list: ListState::default() }
    }

    fn copy_menu(&mut self) {
        let Some(call) = &self.call else { return };
        let mut items = Vec::new();
        let mut add = |key, title: &str, text: Option<String>| {
            if let Some(text) = text {
                items.push(MenuItem { key, title: title.to_owned(), remark: text.clone(), choice: Choice::Copy(text) });
            }
        };
        add('y', "value", call.value());
        add('f', "as a filter", call.comparison().map(|comparison| comparison.equal()));
        add('h', "bytes, hexadecimal", call.hex());
        self.open_copy_menu(items);
    }

    fn copy_row_menu(&mut self, backend: &dyn Backend) {
        let mut items = Vec::new();
        for ((title, comparison), key) in self.calls.comparisons(backend).into_iter().zip("y123456789".chars()) {
            let text = comparison.value.trim_matches('"').to_owned();
            items.push(MenuItem { key, title, remark: text.clone(), choice: Choice::Copy(text) });
        }
        self.open_copy_menu(items);
    }

    fn open_copy_menu(&mut self, items: Vec<MenuItem>) {
        if items.is_empty() {
            self.message = Some(("there is nothing to copy here".to_owned(), false));
            return;
        }
        self.overlay = Some(Overlay::Menu(Menu { title: "y  copy…".to_owned(), items, list: ListState::default() }));
    }

    fn mouse(&mut self, mouse: MouseEvent, backend: &dyn Backend) {
        if self.overlay.is_some() || self.filter.editing {
            return;
        }
        let action = match mouse.kind {
            MouseEventKind::ScrollUp => Some(Action::Up),
            MouseEventKind::ScrollDown => Some(Action::Down),
            _ => None,
        };
        if let Some(action) = action {
            for _ in 0..3 {
                self.act(action, backend);
            }
            return;
        }
        let area = self.list_area;
        let row = mouse.row.checked_sub(area.y + 1).filter(|_| mouse.row < area.bottom());
        if let (None, MouseEventKind::Down(MouseButton::Left), Some(row)) = (&self.call, mouse.kind, row) {
            let progress = backend.progress();
            let at = self.calls.list.top + u64::from(row);
            if at >= self.calls.len(&progress) {
                return;
            }
            let double = self.last_click == Some((mouse.row, at)) && self.calls.list.cursor == at;
            self.calls.list.move_to(at, self.calls.len(&progress));
            self.calls.tail = false;
            self.last_click = Some((mouse.row, at));
            if double {
                self.last_click = None;
                self.act(Action::Open, backend);
            }
        }
    }

    /// Draws everything; gives back where the terminal's cursor stands, if it is shown.
    pub fn draw(&mut self, buffer: &mut Buffer, backend: &dyn Backend) -> Option<(u16, u16)> {
        let theme = self.theme.clone();
        let area = buffer.area;
        let mut canvas = Canvas { buffer, area, theme: &theme };
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let text = format!("make the window larger: {} by {} at least", SMALLEST.0, SMALLEST.1);
            canvas.text(0, 0, area.width, &text, Role::Text);
            return None;
        }
        let progress = backend.progress();
        let cursor = match &mut self.call {
            Some(call) => {
                let place = (self.calls.list.cursor + 1, self.calls.len(&progress));
                let upper = Rect { height: area.height - 2, ..area };
                call.draw(&mut canvas.part(upper), Some(place));
                None
            }
            None => self.draw_calls(&mut canvas, &progress, backend),
        };
        self.draw_footer(&mut canvas, &progress);
        let cursor = self.draw_overlay(&mut canvas).or(cursor);
        if self.call.is_none() {
            self.filter.draw_completions(&mut canvas, 2);
        }
        cursor
    }

    fn draw_calls(
        &mut self,
        canvas: &mut Canvas<'_>,
        progress: &Progress,
        backend: &dyn Backend,
    ) -> Option<(u16, u16)> {
        let area = canvas.area;
        self.draw_title(canvas, progress);
        let remark = self.calls.remark(&self.filter.applied, progress, canvas.theme);
        let cursor = self.filter.draw(canvas, 1, &remark);
        let body = Rect { y: area.y + 2, height: area.height - 4, ..area };
        self.list_area = body;
        let times = self.times.times(progress.first);
        let filter = self.filter.applied.clone();
        self.calls.draw(&mut canvas.part(body), &times, &self.marks, &filter, area, backend);
        cursor
    }

    /// The views, the file, and how far it has been read.
    fn draw_title(&self, canvas: &mut Canvas<'_>, progress: &Progress) {
        let width = canvas.area.width;
        let x = canvas.parts(1, 0, width, &[Part::new("1", Role::Key), Part::new(" Calls", Role::Focus)]);
        let signs = canvas.theme.signs;
        let mut right: Parts = vec![Part::text(self.file.clone())];
        if !progress.finished {
            match progress.size {
                Some(size) if size > 0 => {
                    let percent = (progress.read * 100 / size).min(100);
                    let bar = crate::widget::bar(progress.read, size, 10, signs);
                    let rest = signs.bar_rest.repeat(10usize.saturating_sub(crate::text::width(&bar)));
                    right.push(Part::text("  "));
                    right.push(Part::new(bar, Role::Open));
                    right.push(Part::quiet(rest));
                    let size = rpcshark_dissectors::print::size_text(size);
                    right.push(Part::text(format!(" {percent}% of {size}")));
                }
                _ => right.push(Part::text(format!("  {} read", rpcshark_dissectors::print::size_text(progress.read)))),
            }
        }
        right.push(Part::text(" "));
        canvas.parts_right(0, width.saturating_sub(x + 3), &right);
    }

    /// The position or a message, and the keys.
    fn draw_footer(&self, canvas: &mut Canvas<'_>, progress: &Progress) {
        let (width, height) = (canvas.area.width, canvas.area.height);
        let position = match (&self.message, &self.call) {
            (Some((text, error)), _) => {
                vec![Part::new(format!(" {text}"), if *error { Role::Error } else { Role::Text })]
            }
            (None, Some(call)) => call.position(),
            (None, None) => self.calls.position(self.marks.len(), progress, canvas.theme),
        };
        canvas.parts(0, height - 2, width, &position);
        let context = self.context();
        let help = COMMANDS.iter().find(|command| command.action == Action::Help);
        let last: Parts = help.map(|command| hint(command.keys, command.footer)).unwrap_or_default();
        let room = width.saturating_sub(crate::widget::parts_width(&last) as u16 + 1);
        let mut x = 1;
        for command in
            COMMANDS.iter().filter(|command| !command.footer.is_empty() && command.contexts.contains(&context))
        {
            let mut parts = hint(command.keys, command.footer);
            parts.push(Part::text("  "));
            if x + crate::widget::parts_width(&parts) as u16 > room {
                break;
            }
            x = canvas.parts(x, height - 1, width, &parts);
        }
        canvas.parts(x, height - 1, width, &last);
    }

    fn draw_overlay(&mut self, canvas: &mut Canvas<'_>) -> Option<(u16, u16)> {
        match &mut self.overlay {
            None => None,
            Some(Overlay::Keys(keys)) => {
                keys.draw(canvas);
                None
            }
            Some(Overlay::Menu(menu)) => {
                let room = usize::from(canvas.area.width) * 2 / 3;
                let lines = menu.items.iter().map(|item| {
                    let left =
                        vec![Part::new(item.key.to_string(), Role::Key), Part::text(format!("  {}", item.title))];
                    let ellipsis = canvas.theme.signs.ellipsis;
                    let remark = safe(item.remark.as_bytes());
                    let remark = crate::text::fit(&remark, room, crate::text::Keep::Start, ellipsis).into_owned();
                    (left, vec![Part::text("   "), Part::quiet(remark)])
                });
                let popup = Popup { title: menu.title.clone(), lines: lines.collect(), ..Popup::default() };
                draw_popup(canvas, &popup, Some(&mut menu.list));
                None
            }
            Some(Overlay::Ask(question, input)) => {
                let (width, y) = (canvas.area.width, canvas.area.height - 2);
                canvas.text(0, y, width, &" ".repeat(width.into()), Role::Text);
                let x = canvas.text(1, y, width, question.prompt(), Role::Key);
                let cursor = draw_input(canvas, x, y, width.saturating_sub(x), input);
                Some((cursor, y))
            }
        }
    }

    /// What a message says: for tests.
    #[doc(hidden)]
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(text, _)| text.as_str())
    }

    /// How many calls are marked.
    pub fn marked(&self) -> String {
        counted(self.marks.len() as u64, "call")
    }
}

/// `key title`, as footers show it.
fn hint(keys: &[&str], title: &str) -> Parts {
    let key = keys.first().copied().unwrap_or_default();
    vec![Part::new(key, Role::Key), Part::quiet(format!(" {title}"))]
}

fn toggle(marks: &mut BTreeSet<u32>, no: u32) {
    if !marks.remove(&no) {
        marks.insert(no);
    }
}

/// Whether a column is sorted with the largest first when it is chosen: who sorts by duration wants the slowest.
const fn sorts_down(column: CallColumn) -> bool {
    matches!(column, CallColumn::Took | CallColumn::Bytes | CallColumn::Messages)
}

impl TimeForm {
    const fn next(self) -> Self {
        match self {
            Self::SinceStart => Self::SincePrevious,
            Self::SincePrevious => Self::Local,
            Self::Local => Self::Utc,
            Self::Utc => Self::SinceStart,
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
