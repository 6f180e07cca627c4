//! The program's state between two events: which screen is shown, what lies on top of it, and where one can go back to.
//!
//! An event goes to what is on top: the filter line, a popup, the screen. What it does beyond that comes back as
//! effects, which are carried out here. [`App`] draws into a buffer and knows no terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::path::PathBuf;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use rpcshark_captures::Direction;
use rpcshark_dissectors::filter::Target;

use crate::backend::{
    Backend, DecodingRequest, ExportReply, ExportRequest, ProgramRequest, Reply, Request, WhichCalls,
};
use crate::chrome::{draw_keys, draw_title};
use crate::command::{Action, Context, Keymap};
use crate::filter_bar::{Edited, FilterBar};
use crate::history::{History, Visited};
use crate::popup::{
    Ask, Editor, Handled, KeyList, Menu, Overlay, Question, combine_menu, copy_menu, export_menu, filter_menu,
    quit_menu, reveal_menu, stop_export_menu,
};
use crate::screen::{Effect, Hub, Place, Screen, Session, Subject, TimeForm, ToReplay, View};
use crate::text::{counted, safe};
use crate::theme::{Role, Theme};
use crate::view::{CallScreen, CallsScreen, FollowScreen, ProblemsScreen};
use crate::widget::{Canvas, Hit, Part, Zones};

/// The program's state.
pub struct App {
    theme: Theme,
    file: String,
    view: View,
    /// The views that were opened, each as it was left.
    views: BTreeMap<View, Box<dyn Screen>>,
    /// What was opened on top of the view; the last one is shown.
    on_top: Vec<Box<dyn Screen>>,
    session: Session,
    filter: FilterBar,
    /// Where one was before the filter was edited.
    before_editing: Option<Visited>,
    /// How long nothing has been typed since the filter changed.
    quiet_for: Option<Duration>,
    overlay: Option<Overlay>,
    message: Option<(String, bool)>,
    /// How far an export has come, in percent.
    exporting: Option<u8>,
    keymap: Keymap,
    /// Filters with names, from the configuration.
    saved: Vec<(String, String)>,
    mouse: bool,
    history: History,
    zones: Zones,
    last_click: Option<Hit>,
    window: (u16, u16),
    /// Where the cursor stood in the message that was edited last.
    edited_at: (usize, usize),
}

/// How long typing has to pause before a filter is applied by itself.
const PAUSE: Duration = Duration::from_millis(150);

/// The smallest window in which anything is shown.
const SMALLEST: (u16, u16) = (60, 12);

/// Effects that one event may have: a cycle among them ends.
const MAX_EFFECTS: usize = 64;

impl App {
    /// The state at the start: the list of all calls of `file`, or those that `filter` leaves.
    pub fn new(theme: Theme, file: &str, filter: &str, backend: &dyn Backend) -> Self {
        let session =
            Session { marks: BTreeSet::new(), times: TimeForm::SinceStart, revealed: false, filter: String::new() };
        let mut app = Self {
            theme,
            file: safe(file.as_bytes()),
            view: View::Calls,
            views: BTreeMap::from([(View::Calls, Box::new(CallsScreen::new()) as Box<dyn Screen>)]),
            on_top: Vec::new(),
            session,
            filter: FilterBar::default(),
            before_editing: None,
            quiet_for: None,
            overlay: None,
            message: None,
            exporting: None,
            keymap: Keymap::default(),
            saved: Vec::new(),
            mouse: true,
            history: History::default(),
            zones: Zones::default(),
            last_click: None,
            window: (80, 24),
            edited_at: (0, 0),
        };
        if !filter.is_empty() {
            app.filter.set(filter);
            app.with(backend, |screen, hub| screen.set_filter(filter, hub));
        }
        app
    }

    /// Shows another name of the file in the title.
    pub fn set_file(&mut self, file: &str) {
        self.file = safe(file.as_bytes());
    }

    /// Uses other keys.
    pub fn set_keymap(&mut self, keymap: Keymap) {
        self.keymap = keymap;
    }

    /// Shows these columns in the list of calls: fields, as filters name them.
    pub fn set_columns(&mut self, fields: &[String], backend: &dyn Backend) {
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        if let Some(calls) = self.views.get_mut(&View::Calls) {
            calls.set_columns(fields, &mut hub);
        }
    }

    /// Offers these filters, each with its name, in the list of commands.
    pub fn set_saved_filters(&mut self, saved: Vec<(String, String)>) {
        self.saved = saved;
    }

    /// Offers these filters when the user goes back through earlier ones, the newest last.
    pub fn set_history(&mut self, filters: Vec<String>) {
        self.filter.set_history(filters);
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
    pub fn set_tail(&mut self, on: bool, backend: &dyn Backend) {
        if on {
            self.with(backend, |screen, hub| screen.act(Action::Tail, hub));
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
            Event::Paste(text) => match &mut self.overlay {
                Some(Overlay::Ask(ask)) => ask.input.paste(text),
                Some(Overlay::Editor(editor)) => editor.paste(text),
                _ => {}
            },
            _ => {}
        }
    }

    /// Lets time pass: a filter is applied when typing has paused. Whether something changed.
    pub fn pass(&mut self, time: Duration, backend: &dyn Backend) -> bool {
        let changed = self.with(backend, |screen, hub| screen.pass(time, hub));
        let Some(quiet_for) = &mut self.quiet_for else { return changed };
        *quiet_for += time;
        if *quiet_for < PAUSE {
            return changed;
        }
        self.quiet_for = None;
        let Some(filter) = self.filter.quick().map(str::to_owned) else { return changed };
        self.filter.applied.clone_from(&filter);
        self.with(backend, |screen, hub| screen.set_filter(filter.trim(), hub));
        true
    }

    /// Takes an answer of the program.
    pub fn reply(&mut self, reply: Reply, backend: &dyn Backend) {
        if let Reply::Say { text, error } = reply {
            self.message = Some((safe(text.as_bytes()), error));
            return;
        }
        if let Reply::Export(reply) = reply {
            match reply {
                ExportReply::Progress(percent) => self.exporting = Some(percent),
                ExportReply::Ended { text, error } => {
                    self.exporting = None;
                    self.message = Some((safe(text.as_bytes()), error));
                }
            }
            return;
        }
        if matches!(reply, Reply::CompletionsChanged) {
            if self.filter.editing {
                self.filter.offer_again(backend);
            }
            return;
        }
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        for screen in self.views.values_mut().chain(&mut self.on_top) {
            screen.reply(&reply, &mut hub);
        }
        let effects = take(&mut hub.effects);
        self.carry_out(effects, backend);
    }

    fn hub<'a>(session: &'a mut Session, window: (u16, u16), backend: &'a dyn Backend) -> Hub<'a> {
        Hub { backend, progress: backend.progress(), session, window, effects: Vec::new() }
    }

    /// The screen that is shown.
    fn screen(&self) -> Option<&dyn Screen> {
        self.on_top.last().or_else(|| self.views.get(&self.view)).map(|screen| &**screen)
    }

    /// Lets the screen that is shown do something, and carries out what it wants then.
    fn with<T: Default>(&mut self, backend: &dyn Backend, act: impl FnOnce(&mut dyn Screen, &mut Hub<'_>) -> T) -> T {
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        let screen = self.on_top.last_mut().or_else(|| self.views.get_mut(&self.view));
        let Some(screen) = screen else { return T::default() };
        let result = act(&mut **screen, &mut hub);
        let effects = take(&mut hub.effects);
        self.carry_out(effects, backend);
        result
    }

    fn context(&self) -> Context {
        self.screen().map_or(Context::Everywhere, Screen::context)
    }

    /// The filter that the screen shows.
    fn screen_filter(&self) -> Option<String> {
        self.screen()?.filter().map(str::to_owned)
    }

    fn key(&mut self, key: KeyEvent, backend: &dyn Backend) {
        self.message = None;
        let interrupts = self
            .keymap
            .command_for(key, Context::Everywhere)
            .is_some_and(|command| command.action == Action::Interrupt);
        if interrupts {
            return backend.request(Request::Program(ProgramRequest::Quit));
        }
        if self.filter.editing {
            return self.edit_filter(key, backend);
        }
        let Some(mut overlay) = self.overlay.take() else {
            if let Some(command) = self.keymap.command_for(key, self.context()) {
                self.act(command.action, backend);
            }
            return;
        };
        let handled = match &mut overlay {
            Overlay::Editor(editor) if self.accepts(key) => {
                self.edited_at = editor.cursor();
                editor.accept()
            }
            overlay => overlay.key(key),
        };
        match handled {
            Handled::Stays => self.overlay = Some(overlay),
            Handled::Closes(effect) => self.carry_out(vec![effect], backend),
            Handled::Answer(question, text) => self.answer(question, &text, backend),
        }
    }

    /// Whether a key takes what was edited.
    fn accepts(&self, key: KeyEvent) -> bool {
        self.keymap.command_for(key, Context::Editor).is_some_and(|command| command.action == Action::Accept)
    }

    fn edit_filter(&mut self, key: KeyEvent, backend: &dyn Backend) {
        match self.filter.key(key, backend) {
            Edited::Nothing => {}
            Edited::Changed => self.quiet_for = Some(Duration::ZERO),
            Edited::Apply(filter) => {
                self.quiet_for = None;
                let before = self.before_editing.take();
                let changed = before.as_ref().and_then(|before| before.screens.last()?.filter().map(str::to_owned));
                if changed.is_some_and(|before| before != filter)
                    && let Some(before) = before
                {
                    self.history.leave(before);
                }
                if self.screen_filter().as_ref() != Some(&filter) {
                    self.with(backend, |screen, hub| screen.set_filter(&filter, hub));
                }
                self.filter.set(&filter);
                if !filter.is_empty() {
                    backend.request(Request::Program(ProgramRequest::Remember(filter)));
                }
            }
        }
    }

    fn answer(&mut self, question: Question, text: &str, backend: &dyn Backend) {
        match question {
            Question::Capture => {
                backend.request(Request::Program(ProgramRequest::Open(PathBuf::from(text))));
            }
            Question::Schema => {
                backend.request(Request::Decoding(DecodingRequest::LoadSchema(PathBuf::from(text))));
            }
            Question::Export(form) => {
                let (calls, _) = self.calls_to_export(backend);
                let path = PathBuf::from(text);
                backend.request(Request::Export(ExportRequest::Write { calls, form, path }));
            }
            Question::GoTo
            | Question::Find
            | Question::Option
            | Question::Message
            | Question::Edited
            | Question::Report => self.with(backend, |screen, hub| screen.answer(question, text, hub)),
        }
    }

    fn here(&self) -> Visited {
        let screens = self.views.get(&self.view).into_iter().chain(&self.on_top);
        Visited { view: self.view, screens: screens.map(|screen| screen.keep()).collect() }
    }

    fn remember(&mut self) {
        let here = self.here();
        self.history.leave(here);
    }

    /// Shows again what was left.
    fn go_back_to(&mut self, visited: Visited, backend: &dyn Backend) {
        let mut screens = visited.screens.into_iter();
        self.view = visited.view;
        if let Some(view) = screens.next() {
            self.views.insert(visited.view, view);
        }
        self.on_top = screens.collect();
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        for screen in self.views.get_mut(&self.view).into_iter().chain(&mut self.on_top) {
            screen.resumed(&mut hub);
        }
        let effects = take(&mut hub.effects);
        self.carry_out(effects, backend);
        self.show_filter();
    }

    /// The filter line shows the filter of the screen.
    fn show_filter(&mut self) {
        let filter = self.screen_filter().unwrap_or_default();
        self.filter.show(&filter);
    }

    /// Carries out a command: what concerns the program here, the rest by the screen.
    fn act(&mut self, action: Action, backend: &dyn Backend) {
        match action {
            Action::Help => {
                self.overlay =
                    Some(Overlay::Keys(KeyList::new(self.context(), self.keymap.clone(), self.saved.clone())))
            }
            Action::Suspend => backend.request(Request::Program(ProgramRequest::Suspend)),
            Action::Redraw => backend.request(Request::Program(ProgramRequest::Redraw)),
            Action::Interrupt => backend.request(Request::Program(ProgramRequest::Quit)),
            Action::Mouse => {
                self.mouse = !self.mouse;
                self.message = Some((format!("the mouse is {} now", if self.mouse { "on" } else { "off" }), false));
            }
            Action::Times => {
                self.session.times = self.session.times.next();
                self.message = Some((format!("times: {}", self.session.times.name()), false));
            }
            Action::OpenFile => self.overlay = Some(Overlay::Ask(Ask::new(Question::Capture, ""))),
            Action::LoadSchema => self.overlay = Some(Overlay::Ask(Ask::new(Question::Schema, ""))),
            Action::Reveal if self.session.revealed => self.carry_out(vec![Effect::Reveal(false)], backend),
            Action::Reveal => self.overlay = Some(Overlay::Menu(reveal_menu())),
            Action::View(view) => self.carry_out(vec![Effect::Go(Place::View(view))], backend),
            Action::Back | Action::Forward => self.travel(action == Action::Back, backend),
            Action::Filter if self.screen_filter().is_some() => {
                self.before_editing = Some(self.here());
                let target = self.screen().map_or(Target::Calls, Screen::target);
                self.filter.edit(target, backend);
            }
            Action::FilterByThis => self.filter_by_this(backend),
            Action::Copy => self.copy(backend),
            // What a replay exports is its report.
            Action::Export
                if self.view == View::Replay
                    && self.on_top.is_empty()
                    && self.with(backend, |screen, hub| screen.act(action, hub)) => {}
            Action::Export => {
                let (_, what) = self.calls_to_export(backend);
                self.open_menu(export_menu(&what));
            }
            Action::Leave if self.exporting.is_some() => self.open_menu(stop_export_menu()),
            Action::Problems => self.carry_out(vec![Effect::Go(Place::Problems)], backend),
            Action::Follow => match self.with(backend, |screen, hub| screen.subject(hub)).call {
                Some(no) => self.carry_out(vec![Effect::Go(Place::Follow(no))], backend),
                None => self.message = Some(("no call is selected".to_owned(), false)),
            },
            Action::Replay => self.replay(backend),
            Action::ReplayAll => {
                let what = ToReplay { calls: WhichCalls::Matching(self.calls_filter()), edit: None };
                self.go(Place::Replay(what), backend);
            }
            Action::EditRequest => self.edit_request(backend),
            Action::PreviousCall | Action::NextCall => {
                self.neighbour(if action == Action::NextCall { 1 } else { -1 }, backend);
            }
            _ => {
                if !self.with(backend, |screen, hub| screen.act(action, hub)) {
                    self.leave(action, backend);
                }
            }
        }
    }

    fn travel(&mut self, back: bool, backend: &dyn Backend) {
        let here = self.here();
        let visited = if back { self.history.back(|| here) } else { self.history.forward(|| here) };
        match visited {
            Some(visited) => self.go_back_to(visited, backend),
            None => {
                let text = if back { "there is nothing to go back to" } else { "there is nothing to go forward to" };
                self.message = Some((text.to_owned(), false));
            }
        }
    }

    /// Esc and `q`, where the screen has nothing of its own to give up.
    fn leave(&mut self, action: Action, backend: &dyn Backend) {
        match action {
            Action::Leave | Action::Quit if !self.on_top.is_empty() => self.close(),
            Action::Leave if self.screen_filter().is_some_and(|filter| !filter.is_empty()) => {
                self.carry_out(vec![Effect::Filter(String::new())], backend);
            }
            Action::Quit if self.views.values().any(|view| view.is_busy()) => self.open_menu(quit_menu()),
            Action::Quit => backend.request(Request::Program(ProgramRequest::Quit)),
            _ => {}
        }
    }

    fn close(&mut self) {
        self.on_top.pop();
        self.show_filter();
    }

    /// Replays the marked calls; without marks, the one with the cursor.
    fn replay(&mut self, backend: &dyn Backend) {
        let subject = self.with(backend, |screen, hub| screen.subject(hub));
        let calls: Vec<u32> = match self.session.marks.is_empty() {
            true => subject.call.into_iter().collect(),
            false => self.session.marks.iter().copied().collect(),
        };
        if calls.is_empty() {
            self.message = Some(("no call is selected".to_owned(), false));
            return;
        }
        self.go(Place::Replay(ToReplay { calls: WhichCalls::Numbers(calls), edit: None }), backend);
    }

    /// Edits the request of the call with the cursor, to send it. A replay that is shown stays.
    fn edit_request(&mut self, backend: &dyn Backend) {
        if self.view == View::Replay {
            self.on_top.clear();
            self.with(backend, |screen, hub| screen.act(Action::EditRequest, hub));
            return;
        }
        let subject = self.with(backend, |screen, hub| screen.subject(hub));
        let Some(no) = subject.call else {
            self.message = Some(("no call is selected".to_owned(), false));
            return;
        };
        let message = subject.message.filter(|message| message.direction == Direction::ToServer);
        let message = message.and_then(|message| u32::try_from(message.no).ok());
        let what = ToReplay { calls: WhichCalls::Numbers(vec![no]), edit: Some((no, message)) };
        self.go(Place::Replay(what), backend);
    }

    /// The call before or after the one that is shown, in the list below it.
    fn neighbour(&mut self, by: i64, backend: &dyn Backend) {
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        let next = self.views.get_mut(&self.view).and_then(|view| view.neighbour(by, &mut hub));
        if let Some(no) = next {
            self.with(backend, |screen, hub| {
                screen.show(Subject { call: Some(no), ..Subject::default() }, hub);
            });
        }
    }

    fn filter_by_this(&mut self, backend: &dyn Backend) {
        let mut comparisons = self.with(backend, |screen, hub| screen.comparisons(hub));
        let menu = match comparisons.len() {
            0 => {
                self.message = Some(("no filter selects this: choose a row or field with a value".to_owned(), false));
                return;
            }
            1 => combine_menu(&comparisons.remove(0).1, &self.base_filter()),
            _ => filter_menu(comparisons),
        };
        self.overlay = Some(Overlay::Menu(menu));
    }

    /// The filter to which a comparison of this screen would be added: its own, or that of the list of calls.
    fn base_filter(&self) -> String {
        let of_calls = || self.views.get(&View::Calls)?.filter().map(str::to_owned);
        self.screen_filter().or_else(of_calls).unwrap_or_default()
    }

    /// The filter of the calls that are shown, or that were shown last.
    fn calls_filter(&self) -> String {
        let own = self.screen().filter(|screen| screen.target() == Target::Calls).and_then(Screen::filter);
        let of_calls = || self.views.get(&View::Calls)?.filter();
        own.or_else(of_calls).unwrap_or_default().to_owned()
    }

    fn copy(&mut self, backend: &dyn Backend) {
        let (copies, subject) = self.with(backend, |screen, hub| (screen.copies(hub), screen.subject(hub)));
        let menu = copy_menu(copies, subject);
        match menu.items.is_empty() {
            true => self.message = Some(("there is nothing to copy here".to_owned(), false)),
            false => self.open_menu(menu),
        }
    }

    /// The calls that an export is of: the marked ones; without marks, the one that is open, or those that the filter leaves.
    fn calls_to_export(&mut self, backend: &dyn Backend) -> (WhichCalls, String) {
        if !self.session.marks.is_empty() {
            let numbers = self.session.marks.iter().copied().collect();
            return (WhichCalls::Numbers(numbers), format!("the {} marked", self.marked()));
        }
        let opened = self.on_top.last().filter(|screen| screen.filter().is_none()).is_some();
        let subject = self.with(backend, |screen, hub| screen.subject(hub));
        if let Some(no) = subject.call.filter(|_| opened) {
            return (WhichCalls::Numbers(vec![no]), format!("call #{no}"));
        }
        let filter = self.calls_filter();
        let what =
            if filter.is_empty() { "all calls".to_owned() } else { "the calls that the filter shows".to_owned() };
        (WhichCalls::Matching(filter), what)
    }

    fn carry_out(&mut self, effects: Vec<Effect>, backend: &dyn Backend) {
        for effect in effects.into_iter().take(MAX_EFFECTS) {
            match effect {
                Effect::Go(place) => self.go(place, backend),
                Effect::Close => self.close(),
                Effect::Act(action) => self.act(action, backend),
                Effect::Filter(filter) => self.apply(&filter, backend),
                Effect::Combine(comparison) => {
                    self.open_menu(combine_menu(&comparison, &self.base_filter()));
                }
                Effect::Sort(field) => {
                    self.remember();
                    self.with(backend, |screen, hub| screen.sort(&field, hub));
                }
                Effect::Menu(menu) => self.open_menu(menu),
                Effect::Ask(question, text) => self.overlay = Some(Overlay::Ask(Ask::new(question, &text))),
                Effect::AskWith(question, text, prompt) => {
                    self.overlay = Some(Overlay::Ask(Ask::with_prompt(question, &text, prompt)));
                }
                Effect::Edit(editable, wrong) => {
                    // What is wrong is mended where the cursor was.
                    let at = if wrong.is_some() { self.edited_at } else { (0, 0) };
                    self.overlay = Some(Overlay::Editor(Editor::new(&editable, wrong).at(at)));
                }
                Effect::Request(request) => backend.request(request),
                Effect::Reveal(on) => {
                    self.session.revealed = on;
                    backend.request(Request::Decoding(DecodingRequest::Reveal(on)));
                }
                Effect::Column(field) => {
                    let mut hub = Self::hub(&mut self.session, self.window, backend);
                    if let Some(calls) = self.views.get_mut(&View::Calls) {
                        calls.add_column(&field, &mut hub);
                    }
                    self.message = Some((format!("{} is a column of Calls", safe(field.as_bytes())), false));
                }
                Effect::Pick(pick) => self.with(backend, |screen, hub| screen.picked(pick, hub)),
                Effect::Say { text, error } => self.message = Some((text, error)),
                Effect::Nothing => {}
            }
        }
    }

    fn open_menu(&mut self, menu: Menu) {
        self.overlay = Some(Overlay::Menu(menu));
    }

    /// Applies a filter to the screen, or, where it has none, to the list of calls, which is shown then.
    fn apply(&mut self, filter: &str, backend: &dyn Backend) {
        self.remember();
        if self.screen_filter().is_none() {
            self.on_top.clear();
            if self.screen_filter().is_none() {
                self.view = View::Calls;
            }
        }
        if self.screen_filter().as_deref() != Some(filter) {
            self.with(backend, |screen, hub| screen.set_filter(filter, hub));
        }
        self.filter.set(filter);
    }

    /// Goes to a screen.
    fn go(&mut self, place: Place, backend: &dyn Backend) {
        if place == Place::View(self.view) && self.on_top.is_empty() {
            return;
        }
        let subject = self.with(backend, |screen, hub| screen.subject(hub));
        self.session.filter = self.calls_filter();
        self.remember();
        match place {
            Place::View(view) => self.go_to_view(view, subject, backend),
            Place::CallsWhere(filter) => {
                self.go_to_view(View::Calls, subject, backend);
                self.with(backend, |screen, hub| screen.set_filter(&filter, hub));
                self.filter.set(&filter);
            }
            Place::Call(no) => {
                let mut hub = Self::hub(&mut self.session, self.window, backend);
                self.on_top.push(Box::new(CallScreen::open(no, &mut hub)));
            }
            Place::Follow(no) => {
                let mut hub = Self::hub(&mut self.session, self.window, backend);
                self.on_top.push(Box::new(FollowScreen::open(no, &mut hub)));
            }
            Place::Replay(what) => {
                self.go_to_view(View::Replay, Subject::default(), backend);
                self.with(backend, |screen, hub| screen.replay(&what, hub));
            }
            Place::Replayed(no) => {
                let mut hub = Self::hub(&mut self.session, self.window, backend);
                self.on_top.push(Box::new(CallScreen::replayed(no, &mut hub)));
            }
            Place::Problems => {
                let filter = self.session.filter.clone();
                let mut hub = Self::hub(&mut self.session, self.window, backend);
                self.on_top.push(Box::new(ProblemsScreen::open(&filter, &mut hub)));
            }
        }
        self.show_filter();
    }

    fn go_to_view(&mut self, view: View, subject: Subject, backend: &dyn Backend) {
        let was_here = self.view == view;
        self.on_top.clear();
        self.view = view;
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        match self.views.get_mut(&view) {
            Some(_) if was_here => {}
            Some(screen) => screen.show(subject, &mut hub),
            None => {
                let screen = view.open(subject, &mut hub);
                self.views.insert(view, screen);
            }
        }
        let effects = take(&mut hub.effects);
        self.carry_out(effects, backend);
    }

    fn mouse(&mut self, mouse: MouseEvent, backend: &dyn Backend) {
        if self.overlay.is_some() || self.filter.editing {
            return;
        }
        let hit = self.zones.at(mouse.column, mouse.row).cloned();
        let scrolled = match mouse.kind {
            MouseEventKind::ScrollUp => Some(Action::Up),
            MouseEventKind::ScrollDown => Some(Action::Down),
            _ => None,
        };
        if let Some(action) = scrolled {
            for _ in 0..3 {
                self.with(backend, |screen, hub| screen.act(action, hub));
            }
            return;
        }
        if mouse.kind != MouseEventKind::Down(MouseButton::Left) {
            return;
        }
        self.message = None;
        let double = hit.is_some() && self.last_click == hit;
        self.last_click.clone_from(&hit);
        match hit {
            Some(Hit::Button(action)) => self.act(action, backend),
            Some(Hit::Heading { pane, field }) => {
                self.with(backend, |screen, hub| screen.click_heading(pane, &field, hub));
            }
            Some(Hit::Row { pane, row }) => {
                self.with(backend, |screen, hub| screen.click(pane, row, hub));
                if double {
                    self.last_click = None;
                    self.act(Action::Open, backend);
                }
            }
            None => {}
        }
    }

    /// Draws everything; returns where the terminal's cursor is, if it is shown.
    pub fn draw(&mut self, buffer: &mut Buffer, backend: &dyn Backend) -> Option<(u16, u16)> {
        let theme = self.theme.clone();
        let area = buffer.area;
        self.window = (area.width, area.height);
        let mut zones = take(&mut self.zones);
        zones.clear();
        let mut canvas = Canvas::new(buffer, &theme, &mut zones);
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            let lines = ["make the window larger:".to_owned(), format!("{} by {} at least", SMALLEST.0, SMALLEST.1)];
            for (y, line) in (0..area.height).zip(&lines) {
                canvas.text(0, y, area.width, line, Role::Text);
            }
            return None;
        }
        let mut hub = Self::hub(&mut self.session, self.window, backend);
        let progress = hub.progress;
        let below = self.views.get(&self.view).filter(|_| !self.on_top.is_empty());
        let below = below.and_then(|view| view.place(&hub));
        let mut cursor = None;
        let mut own_head = false;
        if let Some(screen) = self.on_top.last_mut().or_else(|| self.views.get_mut(&self.view)) {
            own_head = screen.has_own_head();
            let mut top = 0;
            if !own_head {
                draw_title(&mut canvas, self.view, &self.file, &progress);
                let remark = screen.remark(&hub, &theme);
                match screen.filter() {
                    Some(_) => cursor = self.filter.draw(&mut canvas, 1, &remark),
                    None => {
                        canvas.parts_right(1, area.width, &remark);
                    }
                }
                top = 2;
            }
            let body = Rect { y: area.y + top, height: area.height - 2 - top, ..area };
            screen.draw(&mut canvas.part(body), below, &mut hub);
            let position = match &self.message {
                Some((text, error)) => {
                    vec![Part::new(format!(" {text}"), if *error { Role::Error } else { Role::Text })]
                }
                None => match self.exporting {
                    Some(percent) => vec![Part::new(format!(" exporting, {percent}%   Esc stops"), Role::Open)],
                    None => screen.position(&hub, &theme),
                },
            };
            canvas.parts(0, area.height - 2, area.width, &position);
            let context = match &self.overlay {
                Some(Overlay::Editor(_)) => Context::Editor,
                _ => screen.context(),
            };
            draw_keys(&mut canvas, context, &self.keymap);
        }
        let effects = take(&mut hub.effects);
        if !own_head {
            self.filter.draw_completions(&mut canvas, 2);
        }
        if let Some(overlay) = &mut self.overlay {
            cursor = overlay.draw(&mut canvas).or(cursor);
        }
        self.zones = zones;
        self.carry_out(effects, backend);
        cursor
    }

    /// What a message says: for tests.
    #[doc(hidden)]
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|(text, _)| text.as_str())
    }

    /// How many calls are marked.
    pub fn marked(&self) -> String {
        counted(self.session.marks.len() as u64, "call")
    }
}
