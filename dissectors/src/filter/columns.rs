//! Fields as columns of a listing and as what a listing is sorted by.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::Target;
use super::check::Checker;
use super::error::FilterError;
use super::parser::parse_field;
use super::program::{FilterScratch, Operand, PacketLengths, Subject, into_owned};
use super::value::{Item, Type, Value};
use crate::schema::Schema;
use crate::view::{CallView, FrameView};
use rpcshark_captures::text::Escaped;

/// A field as a column.
#[derive(Debug)]
pub struct Column {
    name: Box<str>,
    operand: Operand,
    ty: Option<Type>,
}

/// The values of a column in one row, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Each value. One that may be there but is not in the capture is `?`; one that is hidden says so.
    pub values: Vec<Vec<u8>>,
}

/// The cells of a call in the columns that frames fill, as far as its frames have been seen.
#[derive(Clone, Debug, Default)]
pub struct FrameCells(Vec<Cell>);

/// What a row is sorted by: rows without a value come last.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey(Option<Value<'static>>);

/// Values of one cell: those of a call with a million frames are not all shown.
const MAX_VALUES: usize = 10_000;

impl Column {
    /// The column of a field, which may have keys, slices and functions as in a filter.
    ///
    /// # Errors
    ///
    /// If the field does not exist.
    pub fn compile(name: &str, schema: &Schema, target: Target) -> Result<Self, FilterError> {
        let compiled = parse_field(name).and_then(|operand| Checker::new(schema, name, target).column(&operand));
        let (operand, ty) = compiled.map_err(|error| error.of(name))?;
        Ok(Self { name: name.into(), operand, ty })
    }

    /// The field's name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are, if that does not depend on the message.
    pub const fn ty(&self) -> Option<Type> {
        self.ty
    }

    /// Whether message bodies are read for it.
    pub fn reads_bodies(&self) -> bool {
        self.operand.source.reads_bodies()
    }

    /// Whether only frames have values for it: a call's cell is then filled by [`FrameCells::observe`].
    pub fn is_of_frames(&self) -> bool {
        self.operand.source.is_of_frames()
    }

    /// Whether the cell of a frame needs the frame's call.
    pub fn needs_call(&self) -> bool {
        self.operand.source.needs_call()
    }

    /// Whether it shows the lengths of packets.
    pub fn needs_packet_lengths(&self) -> bool {
        matches!(self.operand.source, super::program::Source::PacketLength)
    }

    /// The cell of a call. `frames`: what [`FrameCells::observe`] gathered, and which column of it this is.
    pub fn call(&self, call: &CallView<'_>, frames: Option<(&FrameCells, usize)>, scratch: &mut FilterScratch) -> Cell {
        match frames.filter(|_| self.is_of_frames()) {
            Some((cells, column)) => cells.0.get(column).cloned().unwrap_or_default(),
            None => {
                let subject =
                    Subject { call: Some(call), frame: None, frames: None, lengths: None, schema: call.schema() };
                self.cell(subject, scratch)
            }
        }
    }

    /// The cell of a frame.
    pub fn frame<'a>(
        &self,
        frame: FrameView<'a>,
        call: Option<&CallView<'a>>,
        lengths: Option<PacketLengths<'_>>,
        scratch: &mut FilterScratch,
    ) -> Cell {
        self.cell(Subject { call, frame: Some(frame), frames: None, lengths, schema: frame.schema() }, scratch)
    }

    fn cell(&self, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Cell {
        let mut cell = Cell::default();
        if self.operand.counted {
            let count = self.count(subject, scratch);
            cell.values.extend(count.map(|count| count.to_string().into_bytes()));
            return cell;
        }
        let ty = self.ty;
        let _ = self.operand.visit(subject, scratch, &mut |item, variant| {
            cell.push(&item, ty.unwrap_or(variant.ty), subject.schema);
            more(cell.values.len() < MAX_VALUES)
        });
        cell
    }

    fn count(&self, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> Option<u64> {
        let mut count = 0_u64;
        let _ = self.operand.visit(subject, scratch, &mut |item, _| {
            count += u64::from(!matches!(item, Item::Unknown));
            ControlFlow::Continue(())
        });
        (count > 0).then_some(count)
    }

    /// What the row of a call is sorted by: its first value.
    pub fn sort_key(&self, call: &CallView<'_>, scratch: &mut FilterScratch) -> SortKey {
        self.key(Subject { call: Some(call), frame: None, frames: None, lengths: None, schema: call.schema() }, scratch)
    }

    /// What the row of a frame is sorted by: its first value.
    pub fn frame_sort_key<'a>(
        &self,
        frame: FrameView<'a>,
        call: Option<&CallView<'a>>,
        lengths: Option<PacketLengths<'_>>,
        scratch: &mut FilterScratch,
    ) -> SortKey {
        self.key(Subject { call, frame: Some(frame), frames: None, lengths, schema: frame.schema() }, scratch)
    }

    fn key(&self, subject: Subject<'_, '_>, scratch: &mut FilterScratch) -> SortKey {
        if self.operand.counted {
            return SortKey(self.count(subject, scratch).map(Value::int));
        }
        let mut key = None;
        let _ = self.operand.visit(subject, scratch, &mut |item, _| {
            if let Item::Value(value) = item {
                key = Some(into_owned(value));
            }
            more(key.is_none())
        });
        SortKey(key)
    }
}

const fn more(more: bool) -> ControlFlow<()> {
    if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

impl FrameCells {
    /// Adds the values of a frame to the cells of its call.
    pub fn observe(&mut self, columns: &[Column], frame: FrameView<'_>, lengths: Option<PacketLengths<'_>>) {
        self.0.resize_with(columns.len(), Cell::default);
        let mut scratch = FilterScratch::default();
        for (column, cell) in columns.iter().zip(&mut self.0).filter(|(column, _)| column.is_of_frames()) {
            let room = MAX_VALUES.saturating_sub(cell.values.len());
            cell.values.extend(column.frame(frame, None, lengths, &mut scratch).values.into_iter().take(room));
        }
    }
}

impl SortKey {
    /// The first value of some items.
    pub(crate) fn of(items: impl IntoIterator<Item = Item<'static>>) -> Self {
        let mut values = items.into_iter().filter_map(|item| match item {
            Item::Value(value) => Some(value),
            Item::Hidden(_) | Item::Unknown => None,
        });
        Self(values.next())
    }

    /// The order of two rows; rows without a value are last, also in descending order.
    pub fn compare(&self, other: &Self, descending: bool) -> Ordering {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => {
                let order = a.order(b).unwrap_or(Ordering::Equal);
                if descending { order.reverse() } else { order }
            }
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }

    /// The value, for groups.
    pub const fn value(&self) -> Option<&Value<'static>> {
        self.0.as_ref()
    }
}

impl Cell {
    /// The cell of some items.
    pub(crate) fn of<'i>(items: impl IntoIterator<Item = Item<'i>>, ty: Type, schema: &Schema) -> Self {
        let mut cell = Self::default();
        items.into_iter().for_each(|item| cell.push(&item, ty, schema));
        cell
    }

    fn push(&mut self, item: &Item<'_>, ty: Type, schema: &Schema) {
        let mut text = Vec::new();
        match item {
            Item::Value(value) => value.write(ty, schema, &mut text),
            Item::Hidden(len) => text.extend_from_slice(format!("‹hidden, {len} bytes›").as_bytes()),
            Item::Unknown => text.push(b'?'),
        }
        self.values.push(text);
    }

    /// The values with commas between them, without anything that a terminal would obey.
    pub fn text(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|value| Escaped(value).to_string()).collect();
        values.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_a_value_are_last_in_either_order() {
        let mut keys = [SortKey(None), SortKey(Some(Value::Int(1))), SortKey(Some(Value::Int(2)))];
        keys.sort_by(|a, b| a.compare(b, true));
        assert_eq!(keys.clone().map(|key| key.0), [Some(Value::Int(2)), Some(Value::Int(1)), None]);
        keys.sort_by(|a, b| a.compare(b, false));
        assert_eq!(keys.map(|key| key.0), [Some(Value::Int(1)), Some(Value::Int(2)), None]);
    }

    #[test]
    fn columns_are_named_like_fields() {
        let schema = Schema::builtin();
        let column = |name: &str| Column::compile(name, &schema, Target::Calls);
        assert_eq!(column("rpc.duration").unwrap().ty(), Some(Type::Duration));
        assert!(column("http2.type").unwrap().is_of_frames());
        assert_eq!(column("rpc.sttus").unwrap_err().suggestion.as_deref(), Some("rpc.status"));
        assert!(column("rpc.status == 1").is_err() && column("5").is_err() && column("").is_err());
        assert!(column("rpc.request.x").unwrap_err().message.contains("--proto"));
    }
}
