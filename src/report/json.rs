//! The report as JSON: one object, described in `docs/json.md`.

use std::io::{self, Write};

use rpcshark_dissectors::compare::{Difference, Verdict};
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::statistics::Quantiles;

use super::call::{CallFacts, CallReport};
use super::summary::Summary;
use super::writer::{Form, Subject};

/// Writes each call as it comes, and the rest at the end.
pub(super) struct JsonForm {
    out: Box<dyn Write + Send>,
    buffer: Vec<u8>,
    any: bool,
}

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 16;

impl JsonForm {
    pub(super) fn begin(mut out: Box<dyn Write + Send>, subject: &Subject) -> io::Result<Self> {
        let mut buffer = Vec::new();
        let mut json = Writer::new(&mut buffer);
        json.begin_object();
        json.key("version").unsigned(1);
        json.key("command").string(subject.command);
        json.key("recorded").string(&subject.recorded);
        json.key("replayed").string(&subject.replayed);
        json.key("calls").begin_array();
        buffer.push(b'\n');
        out.write_all(&buffer)?;
        buffer.clear();
        Ok(Self { out, buffer, any: false })
    }
}

impl Form for JsonForm {
    fn call(&mut self, call: &CallReport) -> io::Result<()> {
        if std::mem::replace(&mut self.any, true) {
            self.buffer.extend_from_slice(b",\n");
        }
        let mut line = Vec::new();
        write_call(call, &mut Writer::new(&mut line));
        self.buffer.extend_from_slice(&line);
        if self.buffer.len() >= GATHERED {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, summary: &mut Summary) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.out.write_all(b"\n]")?;
        let mut end = Vec::new();
        // The writer puts a comma after a value that ends so.
        end.push(b'0');
        write_end(summary, &mut Writer::new(&mut end));
        end.extend_from_slice(b"}\n");
        self.out.write_all(end.get(1..).unwrap_or_default())?;
        self.out.flush()
    }
}

fn write_call(call: &CallReport, json: &mut Writer<'_>) {
    json.begin_object();
    json.key("no");
    number(call.no, json);
    if call.other_no.is_some() {
        json.key("replayed_no");
        number(call.other_no, json);
    }
    json.key("path");
    match call.method.is_empty() {
        true => json.null(),
        false => json.string(&format!("/{}", call.method)),
    }
    json.key("outcome").string(call.comparison.verdict.name());
    json.key("why");
    match &call.comparison.why {
        Some(why) => json.string(why),
        None => json.null(),
    }
    for (name, facts) in [("recorded", &call.recorded), ("replayed", &call.replayed)] {
        json.key(name);
        match facts {
            Some(facts) => write_facts(facts, json),
            None => json.null(),
        }
    }
    json.key("differences").begin_array();
    call.comparison.differences.iter().for_each(|difference| write_difference(difference, json));
    json.end_array();
    json.key("more_differences").unsigned(call.comparison.more);
    json.key("noise").unsigned(call.comparison.noise);
    json.end_object();
}

fn write_facts(facts: &CallFacts, json: &mut Writer<'_>) {
    json.begin_object();
    json.key("status").string(&facts.status);
    json.key("duration_ns");
    match facts.duration_ns {
        Some(nanos) => json.signed(nanos),
        None => json.null(),
    }
    let [requests, responses] = facts.messages;
    json.key("messages").begin_object();
    json.key("request").unsigned(requests);
    json.key("response").unsigned(responses);
    json.end_object();
    json.key("packets").begin_object();
    json.key("first").unsigned(facts.packets.0);
    json.key("last").unsigned(facts.packets.1);
    json.end_object();
    json.end_object();
}

fn write_difference(difference: &Difference, json: &mut Writer<'_>) {
    json.begin_object();
    json.key("path").string(&difference.path);
    json.key("place").string(&difference.place);
    if let Some(field) = &difference.field {
        json.key("field").string(field);
    }
    if let Some(numbers) = difference.message {
        json.key("message").begin_object();
        for (name, no) in [("recorded", numbers.recorded), ("replayed", numbers.replayed)] {
            json.key(name);
            match no {
                Some(no) => json.unsigned(no),
                None => json.null(),
            }
        }
        json.end_object();
    }
    json.key("kind").string(difference.kind.name());
    json.key("recorded");
    difference.recorded.write_json(json);
    json.key("replayed");
    difference.replayed.write_json(json);
    json.end_object();
}

fn write_end(summary: &mut Summary, json: &mut Writer<'_>) {
    json.key("skipped").begin_array();
    for ((verdict, method, why), reason) in summary.reasons() {
        if *verdict != Verdict::Skipped {
            continue;
        }
        json.begin_object();
        json.key("path").string(&format!("/{method}"));
        json.key("why").string(why);
        json.key("count").unsigned(reason.count);
        json.key("first");
        number(reason.first, json);
        json.end_object();
    }
    json.end_array();
    json.key("groups").begin_array();
    for (key, group) in summary.groups() {
        json.begin_object();
        json.key("path").string(&format!("/{}", key.method));
        json.key("place").string(&key.place);
        if let Some(field) = &group.field {
            json.key("field").string(field);
        }
        json.key("kind").string(key.kind.name());
        json.key("count").unsigned(group.count);
        json.key("calls").unsigned(group.calls);
        json.key("sample").begin_object();
        json.key("no");
        number(group.sample.no, json);
        if group.sample.other_no.is_some() {
            json.key("replayed_no");
            number(group.sample.other_no, json);
        }
        json.key("recorded");
        group.sample.recorded.write_json(json);
        json.key("replayed");
        group.sample.replayed.write_json(json);
        json.end_object();
        json.end_object();
    }
    json.end_array();
    json.key("methods").begin_array();
    for (name, method, durations) in summary.methods() {
        json.begin_object();
        json.key("path").string(&format!("/{name}"));
        json.key("calls").unsigned(method.calls);
        json.key("outcomes").begin_object();
        for (verdict, count) in &method.verdicts {
            json.key(verdict.name()).unsigned(*count);
        }
        json.end_object();
        json.key("duration_ns").begin_object();
        for (name, quantiles) in [("recorded", durations.recorded), ("replayed", durations.replayed)] {
            json.key(name);
            write_quantiles(quantiles, json);
        }
        json.end_object();
        json.key("slower").bool(durations.are_slower());
        json.end_object();
    }
    json.end_array();
    json.key("suggestions").begin_array();
    for suggestion in summary.suggestions() {
        json.begin_object();
        json.key("ignore").string(&suggestion.place);
        json.key("why").string(suggestion.likely.text());
        json.key("count").unsigned(suggestion.count);
        json.end_object();
    }
    json.end_array();
    json.key("noise").begin_array();
    for (place, count) in &summary.noisy {
        json.begin_object();
        json.key("place").string(place);
        json.key("count").unsigned(*count);
        json.end_object();
    }
    json.end_array();
    json.key("remarks").begin_array();
    summary.remarks.iter().for_each(|remark| json.string(remark));
    json.end_array();
    json.key("totals").begin_object();
    json.key("calls").unsigned(summary.calls());
    for verdict in Verdict::ALL {
        json.key(verdict.name()).unsigned(summary.count(verdict));
    }
    json.key("differences").unsigned(summary.differences);
    json.key("noise").unsigned(summary.noise);
    json.end_object();
}

fn write_quantiles(quantiles: Option<Quantiles>, json: &mut Writer<'_>) {
    let Some(quantiles) = quantiles else { return json.null() };
    json.begin_object();
    json.key("p50").signed(quantiles.p50);
    json.key("p90").signed(quantiles.p90);
    json.key("p99").signed(quantiles.p99);
    json.key("max").signed(quantiles.max);
    json.end_object();
}

fn number(no: Option<u32>, json: &mut Writer<'_>) {
    match no {
        Some(no) => json.unsigned(u64::from(no)),
        None => json.null(),
    }
}
