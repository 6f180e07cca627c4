//! The plan of a replay: what would be sent, what would not, and why.

use std::sync::Arc;

use super::wrapped;
use crate::command::Action;
use crate::model::replay::ReplayPlan;
use crate::text::counted;
use crate::theme::Role;
use crate::widget::{Canvas, ListState, Part, Parts};

/// The plan, and where it is scrolled to.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanPage {
    pub(super) plan: Option<Arc<ReplayPlan>>,
    /// How much of the recording was read again for the plan that is being made, in percent.
    pub(super) reading: Option<u8>,
    list: ListState,
    height: u64,
    lines: u64,
}

impl PlanPage {
    pub(super) fn begin(&mut self) {
        *self = Self { reading: Some(0), ..Self::default() };
    }

    pub(super) fn take(&mut self, plan: &Arc<ReplayPlan>) {
        self.reading = None;
        self.list = ListState::default();
        self.plan = Some(Arc::clone(plan));
    }

    pub(super) fn moves(&mut self, action: Action) -> bool {
        // The page itself is scrolled; there is no line with a cursor.
        let len = self.lines.saturating_sub(self.height) + 1;
        self.list.act(action, self.height, len)
    }

    pub(super) fn position(&self) -> Parts {
        match &self.plan {
            _ if self.reading.is_some() => vec![Part::quiet(" Esc stops")],
            Some(plan) if plan.refused.is_some() => vec![Part::quiet(" refused: o goes back to the options")],
            Some(plan) if plan.calls > 0 => {
                vec![Part::quiet(" Enter sends "), Part::text(counted(plan.calls, "call"))]
            }
            _ => vec![Part::quiet(" there is nothing to send")],
        }
    }

    /// The lines of the plan, with what matters most first.
    fn text(&self, plan: &ReplayPlan, columns: usize, signs: &crate::theme::Signs) -> Vec<(String, Role)> {
        let mut lines = Vec::new();
        let mut add = |text: &str, role: Role| {
            let wrapped = wrapped(text, columns);
            lines.extend(wrapped.into_iter().map(|line| (line, role)));
            lines.push((String::new(), Role::Text));
        };
        if let Some(refused) = &plan.refused {
            add(&format!("{} Refused: {refused}", signs.error), Role::Error);
        }
        if !plan.changing.is_empty() {
            let text = format!("! These methods may change something on the server: {}", plan.changing.join(", "));
            add(&text, Role::Warning);
        }
        for line in &plan.lines {
            let indent = line.chars().take_while(|c| *c == ' ').count();
            let is_heading = indent == 0 && line.ends_with(':');
            let role = if is_heading { Role::Heading } else { Role::Text };
            if crate::text::width(line) <= columns {
                lines.push((line.clone(), role));
                continue;
            }
            let parts = wrapped(line, columns.saturating_sub(indent + 2));
            for (index, part) in parts.into_iter().enumerate() {
                let indent = if index == 0 { indent } else { indent + 2 };
                lines.push((format!("{}{part}", " ".repeat(indent)), role));
            }
        }
        lines
    }

    pub(super) fn draw(&mut self, canvas: &mut Canvas<'_>) {
        let (width, height) = (canvas.area.width, canvas.area.height);
        let signs = canvas.theme.signs;
        canvas.rule(0, &[Part::new(format!("{}Plan", signs.cursor), Role::Focus)], &[]);
        if let Some(percent) = self.reading {
            let text = format!("reading the recording again with all its events, {percent}%");
            canvas.text(8, 3, width, &text, Role::Quiet);
            return;
        }
        let Some(plan) = self.plan.clone() else {
            canvas.text(8, 3, width, "o goes to the options; p makes a plan there.", Role::Quiet);
            return;
        };
        let lines = self.text(&plan, width.saturating_sub(4).into(), signs);
        self.lines = lines.len() as u64;
        self.height = height.saturating_sub(1).into();
        let top = self.list.cursor.min(self.lines.saturating_sub(self.height)) as usize;
        for (y, (line, role)) in (1..height).zip(lines.iter().skip(top)) {
            canvas.text(2, y, width.saturating_sub(2), line, *role);
        }
        if self.lines > top as u64 + self.height && height > 1 {
            canvas.text(0, height - 1, 1, signs.more, Role::Quiet);
        }
    }
}
