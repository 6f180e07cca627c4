//! How a message differs from another one of its kind.

use hashbrown::HashMap;

use crate::protobuf::tree::{Node, NodeName};
use crate::schema::Cardinality;

/// The fields of a message with their values as text, apart from the message's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    fields: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    /// The field's name, with the index or key of one among several: `items[2]`, `labels["a"]`.
    name: String,
    value: String,
    fields: Vec<Item>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path: `items[2].sku`.
    pub path: String,
    /// How it differs.
    pub kind: ChangeKind,
}

/// How a field differs. Messages are written as `{name: value}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added(String),
    /// It is not there any more.
    Removed(String),
    /// Its value is another one.
    Changed {
        /// The value before.
        old: String,
        /// The value now.
        new: String,
    },
}

impl Snapshot {
    /// The fields of a tree; `text` gives the value of a node as text.
    pub fn of(nodes: &[Node<'_>], text: &mut dyn FnMut(&Node<'_>) -> String) -> Self {
        Self { fields: items(nodes, text) }
    }

    /// What a message without a tree holds, as one value.
    pub fn of_text(text: String) -> Self {
        Self { fields: vec![Item { name: "body".to_owned(), value: text, fields: Vec::new() }] }
    }

    /// What is different in it from `old`.
    pub fn changes_since(&self, old: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        compare(&old.fields, &self.fields, "", &mut changes);
        changes
    }
}

fn items(nodes: &[Node<'_>], text: &mut dyn FnMut(&Node<'_>) -> String) -> Vec<Item> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut repeated: HashMap<u32, usize> = HashMap::new();
    for number in nodes.iter().filter_map(|node| node.number) {
        *repeated.entry(number).or_default() += 1;
    }
    let mut items = Vec::with_capacity(nodes.len());
    for node in nodes {
        let name = match node.name {
            NodeName::Field(name) => name.to_owned(),
            NodeName::Element(index) => format!("[{index}]"),
            NodeName::Unknown => node.number.map_or("?".to_owned(), |number| number.to_string()),
            NodeName::More(_) => continue,
        };
        let cardinality = node.field.map(|field| field.cardinality);
        let several = node.number.and_then(|number| repeated.get(&number)).is_some_and(|&count| count > 1);
        let is_list = cardinality == Some(Cardinality::Repeated) || several;
        let packed = node.children.iter().any(|child| matches!(child.name, NodeName::Element(_)));
        let key = node.children.iter().find(|child| child.number == Some(1));
        let name = match (cardinality, key) {
            (Some(Cardinality::Map), key) => format!("{name}[{}]", key.map(&mut *text).unwrap_or_default()),
            _ if is_list && !packed => {
                let index = seen.entry(name.clone()).or_default();
                *index += 1;
                format!("{name}[{}]", *index - 1)
            }
            _ => name,
        };
        let value = match (node.children.is_empty(), node.value.value()) {
            (true, None) if !node.value.is_hidden() => "{}".to_owned(),
            (true, _) => text(node),
            (false, _) => String::new(),
        };
        items.push(Item { name, value, fields: self::items(&node.children, text) });
    }
    items
}

fn compare(old: &[Item], new: &[Item], path: &str, changes: &mut Vec<Change>) {
    let before: HashMap<&str, &Item> = old.iter().map(|item| (item.name.as_str(), item)).collect();
    let now: HashMap<&str, &Item> = new.iter().map(|item| (item.name.as_str(), item)).collect();
    for item in new {
        let path = joined(path, &item.name);
        let Some(before) = before.get(item.name.as_str()) else {
            changes.push(Change { path, kind: ChangeKind::Added(item.text()) });
            continue;
        };
        match before.fields.is_empty() == item.fields.is_empty() && before.value == item.value {
            true => compare(&before.fields, &item.fields, &path, changes),
            false => changes.push(Change { path, kind: ChangeKind::Changed { old: before.text(), new: item.text() } }),
        }
    }
    for item in old.iter().filter(|item| !now.contains_key(item.name.as_str())) {
        changes.push(Change { path: joined(path, &item.name), kind: ChangeKind::Removed(item.text()) });
    }
}

fn joined(path: &str, name: &str) -> String {
    let dot = if path.is_empty() || name.starts_with('[') { "" } else { "." };
    format!("{path}{dot}{name}")
}

impl Item {
    fn text(&self) -> String {
        if self.fields.is_empty() {
            return self.value.clone();
        }
        let fields: Vec<String> = self.fields.iter().map(|field| format!("{}: {}", field.name, field.text())).collect();
        format!("{{{}}}", fields.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::tree::{TreeOptions, tree};
    use crate::schema::testing::compile;

    fn snapshot(bytes: &[u8]) -> Snapshot {
        let schema = compile(
            "syntax = \"proto3\"; message M { int32 a = 1; M inner = 2; repeated M list = 3; map<string, int32> map = 4; \
             repeated int32 packed = 5; }",
        );
        let options = TreeOptions { limit: 1000, hide_redacted: true };
        let nodes = tree(&schema, schema.message("M").unwrap(), bytes, options);
        Snapshot::of(&nodes, &mut |node| match node.value.value() {
            Some(crate::protobuf::FieldValue::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Some(value) => format!("{value:?}"),
            None => String::new(),
        })
    }

    fn changes(old: &[u8], new: &[u8]) -> Vec<String> {
        let changes = snapshot(new).changes_since(&snapshot(old));
        let text = |change: Change| match change.kind {
            ChangeKind::Added(value) => format!("+ {} {value}", change.path),
            ChangeKind::Removed(value) => format!("- {} {value}", change.path),
            ChangeKind::Changed { old, new } => format!("~ {} {old} {new}", change.path),
        };
        changes.into_iter().map(text).collect()
    }

    #[test]
    fn fields_are_compared_by_their_paths() {
        let old: &[u8] = &[
            8, 1, // a: 1
            0x12, 2, 8, 5, // inner.a: 5
            0x1a, 2, 8, 1, // list[0].a: 1
            0x22, 5, 10, 1, b'k', 16, 7, // map[k]: 7
            0x2a, 2, 1, 2, // packed: 1, 2
        ];
        assert_eq!(changes(old, old), [""; 0]);
        let new: &[u8] = &[
            0x12, 2, 8, 6, // inner.a: 6
            0x1a, 2, 8, 1, // list[0].a: 1
            0x1a, 2, 8, 2, // list[1].a: 2
            0x22, 5, 10, 1, b'k', 16, 8, // map[k]: 8
            0x2a, 2, 1, 3, // packed: 1, 3
        ];
        assert_eq!(
            changes(old, new),
            [
                "~ inner.a Int32(5) Int32(6)",
                "+ list[1] {a: Int32(2)}",
                "~ map[k].value Int32(7) Int32(8)",
                "~ packed[1] Int32(2) Int32(3)",
                "- a Int32(1)",
            ]
        );
    }

    #[test]
    fn a_message_that_empties_loses_its_fields() {
        assert_eq!(changes(&[0x12, 2, 8, 5], &[0x12, 0]), ["~ inner {a: Int32(5)} {}"]);
    }
}
