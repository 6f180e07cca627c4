//! The columns of the list of calls: which are shown, and the values of those that a worker fills.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::{Backend, CallRequest, CallValues, Request};
use crate::model::calls::CallColumn;
use crate::text::Keep;
use crate::widget::{Align, Column, Width};

/// A column of the list of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// One that every capture has.
    Known(CallColumn),
    /// A field of the user's choice. A worker reads its values.
    Field(Arc<str>),
}

impl Shown {
    fn of(field: &str) -> Self {
        let known = CallColumn::ALL.into_iter().find(|column| column.field() == field);
        known.map_or_else(|| Self::Field(field.into()), Self::Known)
    }

    /// The field, as filters name it.
    pub(crate) fn field(&self) -> &str {
        match self {
            Self::Known(column) => column.field(),
            Self::Field(field) => field,
        }
    }

    /// Its heading.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Known(column) => column.column(0).title,
            Self::Field(field) => {
                // The last part says most; a subscript belongs to it.
                let begin = field.split('[').next().and_then(|name| name.rfind('.'));
                begin.map_or(&**field, |at| &field[at + 1..]).to_owned()
            }
        }
    }

    /// How it is laid out; a time takes `time` columns.
    pub(crate) fn column(&self, time: u16) -> Column {
        match self {
            Self::Known(column) => column.column(time),
            Self::Field(field) => Column {
                field: field.to_string(),
                title: self.title(),
                align: Align::Left,
                width: Width::Share { least: 10, weight: 2 },
                keep: Keep::Start,
                leaves: 1,
            },
        }
    }
}

/// The columns that are shown.
#[derive(Clone, Debug)]
pub(crate) struct CallColumns {
    shown: Vec<Shown>,
    values: BTreeMap<u32, Arc<CallValues>>,
    /// The calls whose values were asked for last, and how far reading had come then.
    asked_for: (Vec<u32>, u64),
}

/// Calls whose values are remembered: some screens full.
const REMEMBERED: usize = 2000;

/// Columns that can be shown at once.
const MOST: usize = 24;

impl Default for CallColumns {
    fn default() -> Self {
        let shown = CallColumn::ALL.into_iter().map(Shown::Known).collect();
        Self { shown, values: BTreeMap::new(), asked_for: Default::default() }
    }
}

impl CallColumns {
    /// In their order.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// Those that can be shown: all that every capture has, then the user's.
    pub(crate) fn choices(&self) -> Vec<Shown> {
        let own = self.shown.iter().filter(|shown| matches!(shown, Shown::Field(_))).cloned();
        CallColumn::ALL.into_iter().map(Shown::Known).chain(own).collect()
    }

    /// Shows these fields, in this order.
    pub(crate) fn set(&mut self, fields: &[String]) {
        self.shown.clear();
        fields.iter().for_each(|field| self.add(field));
        if self.shown.is_empty() {
            self.shown = Self::default().shown;
        }
    }

    /// Shows one more field: one that every capture has at its place among those, others after the method.
    pub(crate) fn add(&mut self, field: &str) {
        let column = Shown::of(field);
        if self.shown.contains(&column) || self.shown.len() >= MOST {
            return;
        }
        self.shown.push(column);
        self.forget();
    }

    /// Shows or hides a column. `false` if it is the only one.
    pub(crate) fn toggle(&mut self, column: &Shown) -> bool {
        match self.shown.iter().position(|shown| shown == column) {
            Some(_) if self.shown.len() == 1 => return false,
            Some(at) => drop(self.shown.remove(at)),
            None => {
                let rank = |column: &Shown| CallColumn::ALL.iter().position(|known| *column == Shown::Known(*known));
                let at = rank(column).and_then(|own| self.shown.iter().position(|shown| rank(shown) > Some(own)));
                self.shown.insert(at.unwrap_or(self.shown.len()), column.clone());
            }
        }
        self.forget();
        true
    }

    /// The values are read again.
    pub(crate) fn forget(&mut self) {
        self.values.clear();
        self.asked_for = Default::default();
    }

    fn fields(&self) -> Vec<Arc<str>> {
        let field = |shown: &Shown| match shown {
            Shown::Known(_) => None,
            Shown::Field(field) => Some(Arc::clone(field)),
        };
        self.shown.iter().filter_map(field).collect()
    }

    /// Asks for the values of these calls that are not known, or may have changed: `packets` have been read.
    pub(crate) fn ask(&mut self, calls: impl Iterator<Item = u32>, packets: u64, backend: &dyn Backend) {
        let fields = self.fields();
        if fields.is_empty() {
            return;
        }
        let (asked, at) = &self.asked_for;
        let is_known = |no: &u32| self.values.get(no).is_some_and(|values| values.ended || *at == packets);
        let calls: Vec<u32> = calls.filter(|no| !is_known(no)).collect();
        if calls.is_empty() || *asked == calls && *at == packets {
            return;
        }
        self.asked_for = (calls.clone(), packets);
        backend.request(Request::Call(CallRequest::Values { calls, fields }));
    }

    /// Takes values that were read.
    pub(crate) fn take(&mut self, fields: &[Arc<str>], calls: &[CallValues]) {
        if fields != self.fields() {
            return;
        }
        if self.values.len() + calls.len() > REMEMBERED {
            self.values.clear();
        }
        self.values.extend(calls.iter().map(|values| (values.no, Arc::new(values.clone()))));
    }

    /// The value of a field in a call; `None` where it is not known yet.
    pub(crate) fn value(&self, no: u32, field: &str) -> Option<&str> {
        let at = self.fields().iter().position(|known| **known == *field)?;
        self.values.get(&no)?.values.get(at).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_back_to_their_place() {
        let mut columns = CallColumns::default();
        let time = Shown::Known(CallColumn::Time);
        assert!(columns.toggle(&time));
        columns.add("rpc.request.user.id");
        assert_eq!(columns.shown().last().map(Shown::title).as_deref(), Some("id"));
        assert!(columns.toggle(&time));
        assert_eq!(columns.shown().get(1), Some(&time));
        columns.set(&["rpc.path".to_owned()]);
        assert!(!columns.toggle(&Shown::Known(CallColumn::Method)), "one is left");
    }

    #[test]
    fn a_heading_is_the_last_part_of_a_field() {
        assert_eq!(Shown::of("rpc.request.user.id").title(), "id");
        assert_eq!(Shown::of("rpc.metadata[\"x.y\"]").title(), "metadata[\"x.y\"]");
    }
}
