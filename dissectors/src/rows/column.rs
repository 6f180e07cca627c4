//! Tables and their columns.

use crate::filter::{Cell, Item, SortKey, Type, Value, nearest};
use crate::schema::Schema;

/// A table: what its rows are, and which columns they have.
pub trait Table: Sized + 'static {
    /// The command that prints it.
    const NAME: &'static str;

    /// Its columns.
    const FIELDS: &'static [RowField<Self::Get>];

    /// A row.
    type Row<'a>;

    /// How values of a row are obtained: a function of the row.
    type Get: Copy + 'static;

    /// The values of a row.
    fn values(get: Self::Get, row: &Self::Row<'_>) -> Values;
}

/// A column that the rows of a table have.
#[derive(Clone, Copy, Debug)]
pub struct RowField<G> {
    /// Its name.
    pub name: &'static str,
    /// The member of the row's JSON object, if it has another name. The column is found by this name, too.
    pub json: &'static str,
    /// What its values are.
    pub ty: Type,
    /// One line of help, without a full stop.
    pub help: &'static str,
    /// How its values are obtained.
    get: G,
}

/// The values of one cell.
pub type Values = Vec<Item<'static>>;

/// One value.
pub(super) fn one(value: Value<'static>) -> Values {
    vec![Item::Value(value)]
}

/// A number.
pub(super) fn number(number: impl Into<u64>) -> Values {
    one(Value::Int(number.into().into()))
}

/// A text.
pub(super) fn text(text: impl Into<String>) -> Values {
    one(Value::owned(text.into()))
}

/// A value that may be absent.
pub(super) fn optional(value: Option<Value<'static>>) -> Values {
    value.map(Item::Value).into_iter().collect()
}

/// A value that may be unknown.
pub(super) fn known(value: Option<Value<'static>>) -> Values {
    vec![value.map_or(Item::Unknown, Item::Value)]
}

/// A span of nanoseconds.
pub(super) fn duration(nanos: i64) -> Value<'static> {
    Value::Duration(nanos.into())
}

impl<G: Copy> RowField<G> {
    /// A column whose JSON member has the same name.
    pub(super) const fn new(name: &'static str, ty: Type, help: &'static str, get: G) -> Self {
        Self { name, json: name, ty, help, get }
    }

    /// The column, with another name of its JSON member.
    pub(super) const fn json(self, json: &'static str) -> Self {
        Self { json, ..self }
    }
}

/// A chosen column of a table.
pub struct RowColumn<T: Table> {
    name: Box<str>,
    field: &'static RowField<T::Get>,
}

impl<T: Table> RowColumn<T> {
    /// The column called `name`. Upper case and lower case are the same, and so are `-` and `_`.
    ///
    /// # Errors
    ///
    /// If the table has no such column: a text that says so, with the name that was probably meant.
    pub fn find(name: &str) -> Result<Self, String> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', ' '], "_");
        let wanted = plain(name);
        let field = T::FIELDS.iter().find(|field| wanted == field.name || wanted == field.json);
        if let Some(field) = field {
            return Ok(Self { name: name.into(), field });
        }
        let near = nearest(&wanted, T::FIELDS.iter().flat_map(|field| [field.name, field.json]));
        Err(match near {
            Some(near) => format!("{} has no column {name}; did you mean {near}?", T::NAME),
            None => {
                let names: Vec<&str> = T::FIELDS.iter().map(|field| field.name).collect();
                format!("{} has no column {name}; it has {}", T::NAME, names.join(", "))
            }
        })
    }

    /// Its name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    pub const fn ty(&self) -> Type {
        self.field.ty
    }

    /// Its values in a row, as text.
    pub fn cell(&self, row: &T::Row<'_>, schema: &Schema) -> Cell {
        Cell::of(T::values(self.field.get, row), self.field.ty, schema)
    }

    /// What a row is sorted by: its first value.
    pub fn sort_key(&self, row: &T::Row<'_>) -> SortKey {
        SortKey::of(T::values(self.field.get, row))
    }
}
