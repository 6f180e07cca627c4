//! Replaying calls: options, the plan, and what came back.
//!
//! ```text
//!  to localhost:50052   pace think   order global                                    RUNNING  21 s
//!  ████████████████▌▒▒▒▒▒▒▒▒▒ 141 of 214      same 118   differs 19   connection-lost 4   in flight 6
//!  calls/s ▂▃▅▇▇▆▅▅▆▇      took p50 18 ms (recorded 21 ms)   p99 1.20 s (recorded 1.50 s)
//!      No  Method             Recorded       Replayed        Took       Was  Differs in
//! ▌   118  …Ads/Get           OK             OK           4.00 ms   5.00 ms  response.ads.text
//! ── #118 Ads/Get ─────────────────────────────────── difference 1 of 1   1 field ignored ──
//!                             recorded                  │ replayed
//!  ↓ Message 1                shop.AdResponse  88 B     │ shop.AdResponse  92 B
//! ~    text                   "Film camera. 50% off."   │ "Film camera. 40% off."
//! ```
//!
//! Nothing is sent before its plan was shown. The first part, [`form`], is about options; [`results`] about what came back.

mod form;
mod plan;
mod results;

use std::sync::Arc;
use std::time::Duration;

use form::Form;
use plan::PlanPage;
use results::Results;

use crate::backend::{ReplayReply, ReplayRequest, Reply, ReportForm, Request, Resend};
use crate::command::{Action, Context};
use crate::model::replay::{Editable, OptionValues, Phase};
use crate::popup::{Menu, MenuItem, Question};
use crate::screen::{Copyable, Effect, Hub, Place, Screen, Subject, ToReplay, View};
use crate::text::counted;
use crate::theme::{Role, Theme};
use crate::widget::{Canvas, Part, Parts, parts_width};

/// The replay of calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayScreen {
    stage: Stage,
    form: Form,
    plan: PlanPage,
    results: Results,
    /// The options of the plan.
    planned_by: OptionValues,
    /// The options by which the calls that are shown were compared last.
    compared_by: OptionValues,
    /// A message that is edited: its call, and whether the user said which one.
    editing: Option<(u32, bool)>,
    editable: Option<Arc<Editable>>,
    /// The form of the report that is to be written.
    report: Option<ReportForm>,
    /// The plan that is being made is to be carried out when the user confirms it, and not only shown.
    is_edited: bool,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// There is nothing to replay yet.
    #[default]
    Nothing,
    Options,
    Plan,
    Results,
}

/// Lines of this screen's menus.
mod picks {
    pub(super) const SEND_ALL: u32 = 1;
    pub(super) const SEND_FAILED: u32 = 2;
    pub(super) const SEND_CALL: u32 = 3;
    pub(super) const CONFIRMED_ALL: u32 = 4;
    pub(super) const CONFIRMED_FAILED: u32 = 5;
    pub(super) const CONFIRMED_CALL: u32 = 6;
    pub(super) const STOP: u32 = 7;
    pub(super) const DROP_EDITS: u32 = 8;
    /// From here on: the forms of a report.
    pub(super) const REPORTS: u32 = 20;
    /// From here on: the choices of an option.
    pub(super) const CHOICES: u32 = 100;
    /// From here on: the rules that would ignore a field.
    pub(super) const RULES: u32 = 200;
}

/// The panes, for the mouse.
const LIST: u8 = 0;
const FIELDS: u8 = 1;

impl ReplayScreen {
    fn ask(hub: &Hub<'_>, request: ReplayRequest) {
        hub.request(Request::Replay(request));
    }

    /// Asks what would be sent.
    fn make_plan(&mut self, hub: &mut Hub<'_>) {
        if self.results.is_running() {
            return hub.say("calls are being sent: s stops that");
        }
        if let Some(text) = self.form.missing() {
            self.stage = Stage::Options;
            return hub.fail(text);
        }
        self.form.wrong = None;
        self.planned_by = self.form.values.clone();
        self.plan.begin();
        self.stage = Stage::Plan;
        Self::ask(hub, ReplayRequest::Plan(self.form.values.clone()));
    }

    /// Sends calls, after asking where methods may change something.
    fn send(&mut self, which: Resend, hub: &mut Hub<'_>) {
        let Some(plan) = &self.plan.plan else { return hub.say("p shows what would be sent") };
        if let Some(refused) = &plan.refused {
            return hub.fail(format!("refused: {refused}"));
        }
        if plan.calls == 0 {
            return hub.fail("there is no call to send");
        }
        if self.results.is_running() {
            return hub.say("calls are being sent: s stops that");
        }
        // What is sent is what was planned: other options need another plan.
        if self.form.has_other_than(&self.planned_by) {
            hub.say("the options have changed: this is the plan now");
            return self.make_plan(hub);
        }
        if plan.changing.is_empty() {
            return self.really_send(which, false, hub);
        }
        let confirmed = match which {
            Resend::All => picks::CONFIRMED_ALL,
            Resend::Failed => picks::CONFIRMED_FAILED,
            Resend::Call(_) => picks::CONFIRMED_CALL,
        };
        let methods = match plan.changing.as_slice() {
            [one] => one.clone(),
            many => format!("{} and others", many.first().map_or("", String::as_str)),
        };
        let mut menu = Menu::new(
            "Send calls that may change something?",
            vec![
                MenuItem::new('y', "send them to", format!("{}: {methods}", plan.target), Effect::Pick(confirmed)),
                MenuItem::new('n', "send nothing", "", Effect::Nothing),
            ],
        );
        menu.list.cursor = 1;
        hub.wants(Effect::Menu(menu));
    }

    fn really_send(&mut self, which: Resend, confirmed: bool, hub: &mut Hub<'_>) {
        self.stage = Stage::Results;
        self.is_edited = false;
        self.compared_by = self.form.values.clone();
        self.results.begin(which);
        Self::ask(hub, ReplayRequest::Send { which, confirmed });
    }

    /// Compares again, where rules have changed. Sends nothing.
    fn compare(&mut self, hub: &mut Hub<'_>) {
        if self.compared_by != self.form.values {
            self.compared_by = self.form.values.clone();
            Self::ask(hub, ReplayRequest::Compare(self.form.values.clone()));
        }
    }

    fn edit(&mut self, no: u32, message: Option<u32>, hub: &mut Hub<'_>) {
        self.editing = Some((no, message.is_some()));
        Self::ask(hub, ReplayRequest::Editable { no, message: message.unwrap_or(1) });
    }

    fn ask_to_stop(hub: &mut Hub<'_>) {
        let mut menu = Menu::new(
            "Stop the replay?",
            vec![
                MenuItem::new('y', "stop; calls in progress are cancelled", "", Effect::Pick(picks::STOP)),
                MenuItem::new('n', "go on", "", Effect::Nothing),
            ],
        );
        menu.list.cursor = 1;
        hub.wants(Effect::Menu(menu));
    }

    /// Which calls are sent again.
    fn again(&self, hub: &mut Hub<'_>) {
        if self.results.is_running() {
            return hub.say("calls are being sent: s stops that");
        }
        let failed = self.results.failed();
        let mut items = vec![MenuItem::new('r', "all calls", "", Effect::Pick(picks::SEND_ALL))];
        if failed > 0 {
            let remark = counted(failed, "call");
            items.push(MenuItem::new(
                'd',
                "those that did not come back the same",
                remark,
                Effect::Pick(picks::SEND_FAILED),
            ));
        }
        if let Some(row) = self.results.selected() {
            items.push(MenuItem::new('t', "this call", format!("#{}", row.no), Effect::Pick(picks::SEND_CALL)));
        }
        hub.wants(Effect::Menu(Menu::new("r  send again…", items)));
    }

    /// The rules that would ignore the field with the cursor.
    fn ignore(&self, hub: &mut Hub<'_>) {
        let Some(row) = self.results.difference() else {
            return hub.say("no difference is selected: n goes to the next one");
        };
        let item = |(index, (key, rule)): (u32, (char, &String))| {
            let title = match (index, row.rules.len()) {
                (0, 2..) => "wherever it is",
                _ => "in this method",
            };
            MenuItem::new(key, title, rule.clone(), Effect::Pick(picks::RULES + index))
        };
        let items = (0..).zip(['i', 'm'].into_iter().zip(&row.rules)).map(item).collect();
        hub.wants(Effect::Menu(Menu::new("i  ignore this field", items)));
    }

    fn act_on_results(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.results.moves(action) {
            return true;
        }
        match action {
            Action::Pause => match self.results.state.phase {
                Phase::Ended => hub.say("the replay is over: r sends calls again"),
                phase => Self::ask(hub, ReplayRequest::Pause(phase != Phase::Paused)),
            },
            Action::Stop if self.results.is_running() => Self::ask(hub, ReplayRequest::Stop),
            Action::Stop => hub.say("the replay is over"),
            Action::NextDifference | Action::PreviousDifference => {
                if !self.results.next_difference(action == Action::PreviousDifference) {
                    hub.say("there are no more differences");
                }
            }
            Action::Ignore => self.ignore(hub),
            Action::Again => self.again(hub),
            Action::Options => self.stage = Stage::Options,
            Action::Plan => self.stage = Stage::Plan,
            Action::OnlyDifferent => self.results.toggle_same(),
            Action::Tail => self.results.toggle_tail(),
            Action::EditRequest => match self.results.selected().map(|row| row.no) {
                Some(no) => self.edit(no, None, hub),
                None => hub.say("no call is selected"),
            },
            Action::Open => match self.results.selected() {
                Some(row) if row.is_there => hub.wants(Effect::Go(Place::Replayed(row.no))),
                Some(_) => hub.say("there is no replayed call: nothing was sent, or nothing of it is kept"),
                None => {}
            },
            Action::Export => {
                let item = |(index, (key, _, title, ..)): (u32, (char, ReportForm, &str, &str, &str))| {
                    MenuItem::new(key, title, "", Effect::Pick(picks::REPORTS + index))
                };
                let items = (0..).zip(ReportForm::ALL).map(item).collect();
                hub.wants(Effect::Menu(Menu::new("x  report…", items)));
            }
            Action::GoTo => hub.wants(Effect::Ask(Question::GoTo, String::new())),
            Action::Leave if self.results.in_fields => self.results.in_fields = false,
            Action::Leave if self.results.is_running() => Self::ask_to_stop(hub),
            _ => return false,
        }
        true
    }

    fn act_on_options(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.form.moves(action) {
            return true;
        }
        match action {
            Action::Open => self.form.change(hub),
            Action::Clear => self.form.clear(),
            Action::Plan => self.make_plan(hub),
            Action::Leave if self.results.is_there() => {
                self.stage = Stage::Results;
                self.compare(hub);
            }
            Action::Leave => hub.wants(Effect::Act(Action::Back)),
            _ => return false,
        }
        true
    }

    fn act_on_plan(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        if self.plan.moves(action) {
            return true;
        }
        match action {
            Action::Open if self.plan.reading.is_none() => {
                let only = self.form.only().filter(|_| self.is_edited);
                self.send(only.map_or(Resend::All, Resend::Call), hub);
            }
            Action::Options => self.stage = Stage::Options,
            Action::Leave if self.plan.reading.is_some() => {
                Self::ask(hub, ReplayRequest::Stop);
                self.stage = Stage::Options;
            }
            Action::Leave if self.results.is_there() => self.stage = Stage::Results,
            Action::Leave => self.stage = Stage::Options,
            _ => return false,
        }
        true
    }

    fn edited(&mut self, no: u32, unchanged: bool, hub: &mut Hub<'_>) {
        self.editing = None;
        if unchanged {
            return hub.say("the message is as recorded");
        }
        self.is_edited = true;
        let was_planned = self.plan.plan.as_ref().is_some_and(|plan| plan.refused.is_none());
        match self.stage {
            Stage::Results if was_planned => self.send(Resend::Call(no), hub),
            _ => self.make_plan(hub),
        }
    }

    fn take(&mut self, reply: &ReplayReply, hub: &mut Hub<'_>) {
        match reply {
            ReplayReply::Form(form) => {
                self.form.take(form);
                if self.stage == Stage::Nothing {
                    self.stage = Stage::Options;
                }
            }
            ReplayReply::Reading(percent) => self.plan.reading = Some(*percent),
            ReplayReply::Planned(plan) => self.plan.take(plan),
            ReplayReply::Wrong { option, text } => {
                self.plan.reading = None;
                hub.fail(text.clone());
                if self.stage == Stage::Plan || option.is_some() && self.stage != Stage::Options {
                    self.stage = Stage::Options;
                }
                self.form.fail(option.as_deref(), text);
                self.results.fail(text);
            }
            ReplayReply::State(state) => {
                if self.stage == Stage::Nothing {
                    self.stage = Stage::Results;
                }
                self.results.take(state);
            }
            ReplayReply::Beside(beside) => self.results.take_beside(beside),
            ReplayReply::Editable(editable) => {
                let Some((no, is_chosen)) = self.editing.filter(|&(no, _)| no == editable.no) else { return };
                self.editable = Some(Arc::clone(editable));
                if editable.of > 1 && !is_chosen {
                    self.editing = Some((no, true));
                    let prompt = format!("which message, 1 to {}: ", editable.of);
                    return hub.wants(Effect::AskWith(Question::Message, "1".to_owned(), prompt));
                }
                hub.wants(Effect::Edit(Arc::clone(editable), None));
            }
            ReplayReply::NotEditable(why) => {
                self.editing = None;
                hub.fail(why.clone());
            }
            ReplayReply::Edited { no, unchanged } => self.edited(*no, *unchanged, hub),
            ReplayReply::NotEdited { editable, text } => {
                hub.wants(Effect::Edit(Arc::clone(editable), Some(text.clone())));
            }
            ReplayReply::Detail(_) => {}
        }
    }
}

impl Screen for ReplayScreen {
    fn context(&self) -> Context {
        match self.stage {
            Stage::Nothing => Context::ReplayEmpty,
            Stage::Options => Context::ReplayOptions,
            Stage::Plan => Context::ReplayPlan,
            Stage::Results if self.results.in_fields => Context::ReplayFields,
            Stage::Results => Context::Replay,
        }
    }

    fn act(&mut self, action: Action, hub: &mut Hub<'_>) -> bool {
        match self.stage {
            Stage::Nothing if action == Action::Open => {
                hub.wants(Effect::Go(Place::View(View::Calls)));
                true
            }
            Stage::Nothing => false,
            Stage::Options => self.act_on_options(action, hub),
            Stage::Plan => self.act_on_plan(action, hub),
            Stage::Results => self.act_on_results(action, hub),
        }
    }

    fn replay(&mut self, what: &ToReplay, hub: &mut Hub<'_>) {
        if self.results.is_running() {
            self.stage = Stage::Results;
            return hub.fail("calls are being sent: s stops that, then others can be replayed");
        }
        self.stage = Stage::Options;
        self.is_edited = false;
        self.form.begin();
        self.plan = PlanPage::default();
        self.results = Results::default();
        Self::ask(hub, ReplayRequest::Form(what.calls.clone()));
        if let Some((no, message)) = what.edit {
            self.edit(no, message, hub);
        }
    }

    fn is_busy(&self) -> bool {
        self.results.is_running()
    }

    fn reply(&mut self, reply: &Reply, hub: &mut Hub<'_>) {
        match reply {
            Reply::Replay(reply) => self.take(reply, hub),
            Reply::DecodingChanged => self.results.forget_beside(),
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration, _hub: &mut Hub<'_>) -> bool {
        self.results.pass(time)
    }

    fn answer(&mut self, question: Question, text: &str, hub: &mut Hub<'_>) {
        match question {
            Question::Option => self.form.set(text),
            Question::Message => match (text.trim().parse::<u32>(), self.editing) {
                (Ok(message), Some((no, _))) if message > 0 => self.edit(no, Some(message), hub),
                _ => hub.fail("there is no such message"),
            },
            Question::Edited => {
                if let Some(editable) = &self.editable {
                    let (no, message) = (editable.no, editable.message);
                    Self::ask(hub, ReplayRequest::Edit { no, message, text: text.to_owned() });
                }
            }
            Question::GoTo => self.results.go_to(text, hub),
            Question::Report => {
                if let Some(form) = self.report.take() {
                    Self::ask(hub, ReplayRequest::Report { form, path: text.into() });
                }
            }
            _ => {}
        }
    }

    fn picked(&mut self, pick: u32, hub: &mut Hub<'_>) {
        let selected = self.results.selected().map(|row| row.no);
        let this = || selected.or(self.form.only()).map_or(Resend::All, Resend::Call);
        match pick {
            picks::SEND_ALL => self.send(Resend::All, hub),
            picks::SEND_FAILED => self.send(Resend::Failed, hub),
            picks::SEND_CALL => self.send(this(), hub),
            picks::CONFIRMED_ALL => self.really_send(Resend::All, true, hub),
            picks::CONFIRMED_FAILED => self.really_send(Resend::Failed, true, hub),
            picks::CONFIRMED_CALL => self.really_send(this(), true, hub),
            picks::STOP => Self::ask(hub, ReplayRequest::Stop),
            picks::DROP_EDITS => Self::ask(hub, ReplayRequest::DropEdits),
            pick if (picks::REPORTS..picks::CHOICES).contains(&pick) => {
                let Some((_, form, _, _, name)) = ReportForm::ALL.get((pick - picks::REPORTS) as usize) else { return };
                self.report = Some(*form);
                hub.wants(Effect::Ask(Question::Report, (*name).to_owned()));
            }
            pick if pick >= picks::RULES => {
                let rule = self.results.difference().and_then(|row| row.rules.get((pick - picks::RULES) as usize));
                let Some(rule) = rule.cloned() else { return };
                self.form.add("ignore", &rule);
                self.compare(hub);
                hub.say(format!("ignored: {}", crate::text::safe(rule.as_bytes())));
            }
            pick => self.form.choose((pick - picks::CHOICES) as usize),
        }
    }

    fn copies(&self, _hub: &Hub<'_>) -> Vec<Copyable> {
        let mut copies = Vec::new();
        if self.stage == Stage::Results
            && let Some(row) = self.results.field()
        {
            let text = |parts: &Parts| parts.iter().map(|part| part.text.as_str()).collect::<String>();
            let sides = [('y', "recorded value"), ('r', "replayed value")];
            for ((key, title), value) in sides.into_iter().zip(&row.values) {
                copies.extend(value.as_ref().map(|value| (key, title.to_owned(), text(value))));
            }
            if !row.path.is_empty() {
                copies.push(('p', "where it is".to_owned(), row.path.clone()));
            }
        }
        if let Some(plan) = &self.plan.plan {
            copies.push(('c', "as a command".to_owned(), plan.command.clone()));
        }
        copies
    }

    fn subject(&self, hub: &Hub<'_>) -> Subject {
        let mut subject = Subject::default();
        if self.stage == Stage::Results {
            subject.call = self.results.selected().map(|row| row.no);
        }
        hub.backend.look(&mut |viewer| {
            let Some(call) = subject.call.and_then(|no| viewer.call_by_no(no)) else { return };
            subject.connection = Some(call.connection().number());
            subject.at = call.start();
        });
        subject
    }

    fn neighbour(&mut self, by: i64, _hub: &mut Hub<'_>) -> Option<u32> {
        self.results.neighbour(by)
    }

    fn place(&self, _hub: &Hub<'_>) -> Option<(u64, u64)> {
        Some(self.results.place())
    }

    fn click(&mut self, pane: u8, row: u64, _hub: &mut Hub<'_>) {
        match self.stage {
            Stage::Options => self.form.click(row),
            Stage::Results => self.results.click(pane == FIELDS, row),
            Stage::Nothing | Stage::Plan => {}
        }
    }

    fn remark(&self, hub: &Hub<'_>, theme: &Theme) -> Parts {
        let width = usize::from(hub.window.0);
        let plan = self.plan.plan.as_ref().filter(|_| self.stage != Stage::Options && self.plan.reading.is_none());
        let left = match (self.stage, plan) {
            (Stage::Nothing, _) => return Parts::new(),
            (_, Some(plan)) => {
                vec![Part::quiet(" to "), Part::text(&*plan.target), Part::quiet(format!("   {}", plan.manner))]
            }
            _ => self.form.head(),
        };
        let right = match self.stage {
            Stage::Results => self.results.phase_text(),
            Stage::Plan => vec![Part::new("nothing has been sent", Role::Ok)],
            _ => Parts::new(),
        };
        spread(left, right, width, theme)
    }

    fn position(&self, _hub: &Hub<'_>, _theme: &Theme) -> Parts {
        match self.stage {
            Stage::Nothing => Parts::new(),
            Stage::Options => self.form.position(),
            Stage::Plan => self.plan.position(),
            Stage::Results => self.results.position(),
        }
    }

    fn draw(&mut self, canvas: &mut Canvas<'_>, _below: Option<(u64, u64)>, hub: &mut Hub<'_>) {
        match self.stage {
            Stage::Nothing => draw_nothing(canvas),
            Stage::Options => self.form.draw(canvas),
            Stage::Plan => self.plan.draw(canvas),
            Stage::Results => {
                if let Some(no) = self.results.wanted() {
                    Self::ask(hub, ReplayRequest::Beside(no));
                }
                self.results.draw(canvas);
            }
        }
    }

    fn keep(&self) -> Box<dyn Screen> {
        Box::new(self.clone())
    }

    fn resumed(&mut self, hub: &mut Hub<'_>) {
        if self.stage != Stage::Nothing {
            Self::ask(hub, ReplayRequest::Refresh);
        }
    }
}

/// What there is to do when nothing was chosen yet.
fn draw_nothing(canvas: &mut Canvas<'_>) {
    let lines = [
        "Nothing to replay yet.",
        "",
        "In Calls, m marks a call, and r replays the marked calls, or the selected one. R replays all that the filter shows.",
        "In a call, e edits a message of its request and sends it.",
        "",
        "Nothing is sent before you have seen what would be sent, and where.",
        "",
        "Enter goes to Calls.",
    ];
    let columns = usize::from(canvas.area.width.saturating_sub(16));
    let lines = lines.iter().flat_map(|line| match line.is_empty() {
        true => vec![String::new()],
        false => wrapped(line, columns),
    });
    for (y, line) in (2..canvas.area.height).zip(lines) {
        canvas.text(8, y, canvas.area.width, &line, Role::Text);
    }
}

/// A line with a left and a right end, as wide as the window. Where both do not fit, the left one is cut.
fn spread(left: Parts, right: Parts, width: usize, theme: &Theme) -> Parts {
    let room = width.saturating_sub(parts_width(&right) + 2);
    let mut line = Parts::new();
    let mut taken = 0;
    for part in left {
        let text =
            crate::text::fit(&part.text, room.saturating_sub(taken), crate::text::Keep::Start, theme.signs.ellipsis);
        let columns = crate::text::width(&text);
        let is_cut = columns < crate::text::width(&part.text);
        taken += columns;
        line.push(Part::new(text.into_owned(), part.role));
        if is_cut {
            break;
        }
    }
    line.push(Part::text(" ".repeat(width.saturating_sub(taken + parts_width(&right) + 1))));
    line.extend(right);
    line.push(Part::text(" "));
    line
}

/// Text in lines of at most `columns`, broken at blanks.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if crate::text::width(line) + 1 + crate::text::width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
