//! By what calls are grouped, and the groups.

use hashbrown::HashMap;
use rpcshark_captures::Timestamp;

use super::group::{Group, ResultKey};
use crate::filter::{Column, FilterScratch};
use crate::view::CallView;

/// By what calls are grouped.
#[derive(Debug)]
pub enum GroupBy {
    /// By their path: a group for each method.
    Method,
    /// By service.
    Service,
    /// By status, or by outcome where there is no status.
    Status,
    /// By the client's end.
    Client,
    /// By the server's end.
    Server,
    /// By connection.
    Connection,
    /// By the minute in which they began, in UTC.
    Minute,
    /// Not at all: all calls are one group.
    All,
    /// By the values of a field.
    Field(Box<Column>),
}

/// What the calls of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// A number: of a connection.
    Number(u64),
    /// A minute, by its beginning.
    Minute(Timestamp),
    /// Anything else, as text from the capture: for methods the path.
    Text(Box<str>),
    /// Their calls do not have it, or it is not in the capture.
    Unknown,
}

const MINUTE: i64 = 60_000_000_000;

impl GroupBy {
    /// What stands for it in JSON and on the command line.
    pub fn name(&self) -> &str {
        match self {
            Self::Method => "method",
            Self::Service => "service",
            Self::Status => "status",
            Self::Client => "client",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Minute => "minute",
            Self::All => "all",
            Self::Field(column) => column.name(),
        }
    }

    /// The one called `name`; fields are not among them.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "service" => Self::Service,
            "status" => Self::Status,
            "client" => Self::Client,
            "server" => Self::Server,
            "connection" => Self::Connection,
            "minute" => Self::Minute,
            _ => return None,
        })
    }
}

/// Calls in groups.
#[derive(Debug)]
pub struct Groups<'b> {
    by: &'b GroupBy,
    groups: Vec<Group>,
    by_text: HashMap<Box<str>, usize>,
    by_number: HashMap<i64, usize>,
    unknown: Option<usize>,
}

impl<'b> Groups<'b> {
    /// No groups yet.
    pub fn new(by: &'b GroupBy) -> Self {
        Self { by, groups: Vec::new(), by_text: HashMap::new(), by_number: HashMap::new(), unknown: None }
    }

    /// Adds a call to its group.
    pub fn add(&mut self, call: &CallView<'_>, scratch: &mut FilterScratch) {
        let at = match self.by {
            GroupBy::Method => self.text(call.path().value()),
            GroupBy::All => self.text(Some("all")),
            GroupBy::Service => self.text(call.service_and_method().value().map(|(service, _)| service)),
            GroupBy::Status => self.text(Some(&ResultKey::of(call).name())),
            GroupBy::Client => self.text(Some(&call.client().to_string())),
            GroupBy::Server => self.text(Some(&call.server().to_string())),
            GroupBy::Connection => {
                let number = call.connection().number();
                self.number(number.into(), GroupKey::Number(number.into()))
            }
            GroupBy::Minute => match call.start() {
                Some(start) => {
                    let minute = start.as_nanos().div_euclid(MINUTE) * MINUTE;
                    self.number(minute, GroupKey::Minute(Timestamp::from_nanos(minute)))
                }
                None => self.text(None),
            },
            GroupBy::Field(column) => {
                let cell = column.call(call, None, scratch);
                let text = cell.text();
                self.text((!cell.values.is_empty()).then_some(&*text))
            }
        };
        if let Some(group) = self.groups.get_mut(at) {
            group.add(call);
        }
    }

    /// Adds all groups of `other`, which is grouped by the same.
    pub fn merge(&mut self, other: &Self) {
        for group in &other.groups {
            let at = match &group.key {
                GroupKey::Text(text) => self.text(Some(text)),
                GroupKey::Unknown => self.text(None),
                GroupKey::Number(number) => self.number(*number as i64, group.key.clone()),
                GroupKey::Minute(minute) => self.number(minute.as_nanos(), group.key.clone()),
            };
            if let Some(own) = self.groups.get_mut(at) {
                own.merge(group);
            }
        }
    }

    /// The groups: minutes in their order, all others with the most calls first.
    pub fn finish(self) -> Vec<Group> {
        let mut groups = self.groups;
        for group in &mut groups {
            group.durations.sort();
            group.first_answers.sort();
        }
        groups.sort_by(|a, b| {
            let by_key = a.key.cmp(&b.key);
            if matches!(self.by, GroupBy::Minute) { by_key } else { b.calls.cmp(&a.calls).then(by_key) }
        });
        groups
    }

    fn text(&mut self, text: Option<&str>) -> usize {
        let found = match text {
            Some(text) => self.by_text.get(text).copied(),
            None => self.unknown,
        };
        found.unwrap_or_else(|| {
            let at = self.groups.len();
            let key = match text {
                Some(text) => {
                    self.by_text.insert(text.into(), at);
                    GroupKey::Text(text.into())
                }
                None => {
                    self.unknown = Some(at);
                    GroupKey::Unknown
                }
            };
            self.groups.push(Group::new(key));
            at
        })
    }

    fn number(&mut self, number: i64, key: GroupKey) -> usize {
        let groups = &mut self.groups;
        *self.by_number.entry(number).or_insert_with(|| {
            groups.push(Group::new(key));
            groups.len() - 1
        })
    }
}
