//! The columns of `methods`: one row per group of calls.

use rpcshark_captures::Timestamp;

use super::column::{RowField, Table, Values, duration, known, number, one, optional, text};
use crate::filter::{Item, Type, Value};
use crate::statistics::{Group, GroupBy, GroupKey, Latencies, TimeSpan};

/// The table of methods, or of whatever else calls are grouped by.
#[derive(Clone, Copy, Debug)]
pub struct Methods;

/// A group of calls in the table.
#[derive(Clone, Copy, Debug)]
pub struct MethodRow<'a> {
    /// The group.
    pub group: &'a Group,
    /// By what calls are grouped.
    pub by: &'a GroupBy,
    /// The time that the capture covers.
    pub span: TimeSpan,
}

impl Table for Methods {
    const NAME: &'static str = "methods";
    const FIELDS: &'static [RowField<Get>] = FIELDS;
    type Row<'a> = MethodRow<'a>;
    type Get = Get;

    fn values(get: Get, row: &MethodRow<'_>) -> Values {
        get(row)
    }
}

/// How values of a row are obtained.
pub(super) type Get = for<'a> fn(&MethodRow<'a>) -> Values;

const fn field(name: &'static str, ty: Type, help: &'static str, get: Get) -> RowField<Get> {
    RowField::new(name, ty, help, get)
}

const FIELDS: &[RowField<Get>] = &[
    field("name", Type::Text, "What the calls of the row have in common: package.Service/Method", name),
    field("by", Type::Text, "By what calls are grouped", |row| text(row.by.name())),
    field("path", Type::Text, "/service/method, if calls are grouped by method", |row| {
        of_method(row, |path| Some(path))
    }),
    field("service", Type::Text, "Service, if calls are grouped by method or service", |row| match row.by {
        GroupBy::Service => name(row),
        _ => of_method(row, |path| Some(split(path)?.0)),
    }),
    field("method", Type::Text, "Method without the service, if calls are grouped by method", |row| {
        of_method(row, |path| Some(split(path)?.1))
    }),
    field("value", Type::Text, "What the calls have in common, if they are not grouped by method", |row| {
        if matches!(row.by, GroupBy::Method) { Values::new() } else { name(row) }
    }),
    field("calls", Type::Unsigned, "Number of calls", |row| number(row.group.calls)),
    field("errors", Type::Unsigned, "Calls that failed: with an error or a reset", |row| {
        number(row.group.outcomes.errors())
    }),
    field("error_rate", Type::Float, "Part of the calls that failed, from 0 to 1", |row| {
        one(Value::Float(row.group.outcomes.errors() as f64 / row.group.calls as f64))
    }),
    field("guessed", Type::Unsigned, "Calls whose method is a guess", |row| number(row.group.guessed)),
    field("ok", Type::Unsigned, "Calls with status OK", |row| number(row.group.outcomes.ok)).json("outcomes.ok"),
    field("error", Type::Unsigned, "Calls with another status", |row| number(row.group.outcomes.error))
        .json("outcomes.error"),
    field("reset", Type::Unsigned, "Calls that RST_STREAM ended before any status", |row| {
        number(row.group.outcomes.reset)
    })
    .json("outcomes.reset"),
    field("incomplete", Type::Unsigned, "Calls that ended without a status in the capture", |row| {
        number(row.group.outcomes.incomplete)
    })
    .json("outcomes.incomplete"),
    field("open", Type::Unsigned, "Calls that had not ended when the capture did", |row| {
        number(row.group.outcomes.open)
    })
    .json("outcomes.open"),
    field("unknown", Type::Unsigned, "Calls that ended with an unknown status", |row| {
        number(row.group.outcomes.unknown)
    })
    .json("outcomes.unknown"),
    field("status", Type::Text, "Each result, with the number of calls: NOT_FOUND 3", |row| {
        let results = row.group.results.iter();
        results.map(|(result, count)| Item::Value(Value::owned(format!("{} {count}", result.name())))).collect()
    })
    .json("statuses"),
    field("p50", Type::Duration, "Median of the durations", |row| percentile(&row.group.durations, 50))
        .json("duration_ns.p50"),
    field("p90", Type::Duration, "90th percentile of the durations", |row| percentile(&row.group.durations, 90))
        .json("duration_ns.p90"),
    field("p99", Type::Duration, "99th percentile of the durations", |row| percentile(&row.group.durations, 99))
        .json("duration_ns.p99"),
    field("max", Type::Duration, "Longest duration", |row| percentile(&row.group.durations, 100))
        .json("duration_ns.max"),
    field("durations", Type::Unsigned, "Calls whose duration is known", |row| number(row.group.durations.count()))
        .json("duration_ns.count"),
    field("first_p50", Type::Duration, "Median of the time to the first response message", |row| {
        percentile(&row.group.first_answers, 50)
    })
    .json("first_answer_ns.p50"),
    field("first_p90", Type::Duration, "90th percentile of that time", |row| percentile(&row.group.first_answers, 90))
        .json("first_answer_ns.p90"),
    field("first_p99", Type::Duration, "99th percentile of that time", |row| percentile(&row.group.first_answers, 99))
        .json("first_answer_ns.p99"),
    field("first_max", Type::Duration, "Longest time to the first response message", |row| {
        percentile(&row.group.first_answers, 100)
    })
    .json("first_answer_ns.max"),
    field("first_answers", Type::Unsigned, "Calls whose time to the first response message is known", |row| {
        number(row.group.first_answers.count())
    })
    .json("first_answer_ns.count"),
    field("longest_open", Type::Duration, "How long the oldest open call was open when the capture ended", |row| {
        optional(row.group.longest_open_ns(row.span.last).map(duration))
    })
    .json("longest_open_ns"),
    field("messages", Type::Unsigned, "Messages, both directions", |row| {
        number(row.group.requests.messages + row.group.responses.messages)
    }),
    field("bytes", Type::Unsigned, "Their length on the wire", |row| {
        number(row.group.requests.bytes + row.group.responses.bytes)
    }),
    field("up_messages", Type::Unsigned, "Messages to the server", |row| number(row.group.requests.messages))
        .json("request.messages"),
    field("up_bytes", Type::Unsigned, "Their length on the wire", |row| number(row.group.requests.bytes))
        .json("request.bytes"),
    field("down_messages", Type::Unsigned, "Messages to the client", |row| number(row.group.responses.messages))
        .json("response.messages"),
    field("down_bytes", Type::Unsigned, "Their length on the wire", |row| number(row.group.responses.bytes))
        .json("response.bytes"),
    field("stalled", Type::Duration, "How long senders waited for flow control, all calls together", |row| {
        let stalls = row.group.stalls;
        optional((stalls.calls > 0).then(|| Value::Duration(stalls.total_ns.into())))
    })
    .json("stalls.total_ns"),
    field("stalled_calls", Type::Unsigned, "Calls of which a sender waited for flow control", |row| {
        number(row.group.stalls.calls)
    })
    .json("stalls.calls"),
    field("longest_stall", Type::Duration, "Longest wait for flow control of a call", |row| {
        let stalls = row.group.stalls;
        optional((stalls.calls > 0).then(|| Value::Duration(stalls.longest_ns.into())))
    })
    .json("stalls.longest_ns"),
    field("first", Type::Time, "When the first call began", |row| known(row.group.first.map(Value::time))),
    field("last", Type::Time, "When the last call began", |row| known(row.group.last.map(Value::time))),
    field("per_s", Type::Float, "Calls per second", |row| optional(row.group.rate(row.span).map(Value::Float)))
        .json("calls_per_second"),
    field(
        "spread",
        Type::Text,
        "Numbers of calls by duration: up to how many seconds, a colon, how many calls",
        |row| {
            let spread = row.group.spread();
            let bucket = |up_to_ns: i64, count: u64| format!("{}:{count}", up_to_ns as f64 / 1e9);
            spread.buckets().map(|at| Item::Value(Value::owned(bucket(at.up_to_ns, at.count)))).collect()
        },
    ),
];

/// What the calls of a row have in common. Numbers and times are values of their own, so that they are sorted as such.
fn name(row: &MethodRow<'_>) -> Values {
    match &row.group.key {
        GroupKey::Number(number) => one(Value::Int((*number).into())),
        GroupKey::Minute(minute) => one(time(*minute)),
        GroupKey::Text(text) if matches!(row.by, GroupBy::Method) => {
            one(Value::owned(text.strip_prefix('/').unwrap_or(text).to_owned()))
        }
        GroupKey::Text(text) => one(field_value(text, row.by)),
        // The calls do not have the field; one that is unknown has the text `?`.
        GroupKey::Unknown if matches!(row.by, GroupBy::Field(_)) => Values::new(),
        GroupKey::Unknown => known(None),
    }
}

/// The value of a field, from the text that columns show of it.
fn field_value(text: &str, by: &GroupBy) -> Value<'static> {
    let ty = match by {
        GroupBy::Field(column) => column.ty(),
        _ => None,
    };
    let value = match ty {
        Some(Type::Unsigned | Type::Signed) => text.parse().ok().map(Value::Int),
        Some(Type::Float) => text.parse().ok().map(Value::Float),
        // Seconds with nine digits after the point.
        Some(Type::Duration) => text.replace('.', "").parse().ok().map(Value::Duration),
        _ => None,
    };
    value.unwrap_or_else(|| Value::owned(text.to_owned()))
}

fn time(time: Timestamp) -> Value<'static> {
    Value::time(time)
}

/// A part of the path, where calls are grouped by method.
fn of_method(row: &MethodRow<'_>, part: fn(&str) -> Option<&str>) -> Values {
    match &row.group.key {
        _ if !matches!(row.by, GroupBy::Method) => Values::new(),
        GroupKey::Text(path) => known(part(path).map(|part| Value::owned(part.to_owned()))),
        _ => known(None),
    }
}

/// Service and method of a path.
fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

fn percentile(latencies: &Latencies, percent: u8) -> Values {
    optional(latencies.percentile(percent).map(duration))
}
