//! Calls in forms for other programs: CSV, files of messages, a `grpcurl` command line.

use std::fmt::Write as _;
use std::path::Path;

use rpcshark_captures::{Direction, Endpoint};
use rpcshark_dissectors::filter::{Column, FilterScratch};
use rpcshark_dissectors::json::write_base64;
use rpcshark_dissectors::protobuf::JsonPrinter;
use rpcshark_dissectors::store::Protocol;
use rpcshark_dissectors::view::{CallView, Known, Scratch, as_json};

use crate::load::schema::Sources;

/// The columns of CSV where none are chosen.
pub(crate) const CSV_COLUMNS: &[&str] = &[
    "rpc.no",
    "rpc.start",
    "rpc.client",
    "rpc.server",
    "rpc.path",
    "rpc.outcome",
    "rpc.status",
    "rpc.status_message",
    "rpc.duration",
    "rpc.messages",
    "rpc.bytes",
];

/// Appends the line with the names of the columns (RFC 4180).
pub(crate) fn write_csv_header(columns: &[Column], out: &mut Vec<u8>) {
    write_csv(columns.iter().map(|column| column.name().to_owned()), out);
}

/// Appends a call's line.
pub(crate) fn write_csv_call(call: &CallView<'_>, columns: &[Column], scratch: &mut FilterScratch, out: &mut Vec<u8>) {
    write_csv(columns.iter().map(|column| column.call(call, None, scratch).text()), out);
}

fn write_csv(values: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        // RFC 4180 §2: such values are in quotes, and quotes in them are doubled.
        match value.contains([',', '"', '\r', '\n']) {
            true => out.extend_from_slice(format!("\"{}\"", value.replace('"', "\"\"")).as_bytes()),
            false => out.extend_from_slice(value.as_bytes()),
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// A message as a file.
pub(crate) struct MessageFile {
    /// `12-request-1.bin`; `.part` where its bytes are not all there, or cannot be decompressed.
    pub(crate) name: String,
    /// Its bytes, decompressed.
    pub(crate) bytes: Vec<u8>,
}

/// The messages of a call as files, one after the other.
pub(crate) fn message_files<'a>(call: &'a CallView<'a>) -> impl Iterator<Item = MessageFile> + 'a {
    let mut scratch = Scratch::default();
    let sides = [(Direction::ToServer, "request"), (Direction::ToClient, "response")];
    sides.into_iter().flat_map(|(direction, side)| (1..).zip(call.messages(direction)).map(move |m| (side, m))).map(
        move |(side, (number, message))| {
            let body = message.body(&mut scratch);
            let (bytes, ending) = match body.content() {
                Some(content) => (content, "bin"),
                None => (body.wire(), "part"),
            };
            MessageFile { name: format!("{}-{side}-{number}.{ending}", call.no()), bytes: bytes.to_vec() }
        },
    )
}

/// A call as a `grpcurl` command line, and whether values in it are hidden.
///
/// # Errors
///
/// Why a call cannot be written as a command line.
pub(crate) fn grpcurl(call: &CallView<'_>, schema: &Sources) -> Result<(String, bool), String> {
    let no = call.no();
    if call.protocol() != Protocol::Grpc {
        return Err(format!("call {no} is {}, which grpcurl does not speak", call.protocol().name()));
    }
    let Known::Seen((service, method)) = call.service_and_method() else {
        return Err(format!("the method of call {no} is not known"));
    };
    let mut line = "grpcurl -plaintext".to_owned();
    let mut hides = false;
    for directory in &schema.import_path {
        option(&mut line, "-import-path", directory.as_os_str().as_encoded_bytes());
    }
    for file in schema.proto.iter().filter(|file| !file.is_dir()) {
        if schema.import_path.is_empty() {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            option(&mut line, "-import-path", parent.as_os_str().as_encoded_bytes());
        }
        let name = if schema.import_path.is_empty() { file.file_name().unwrap_or_default() } else { file.as_os_str() };
        option(&mut line, "-proto", name.as_encoded_bytes());
    }
    for file in &schema.protoset {
        option(&mut line, "-protoset", file.as_os_str().as_encoded_bytes());
    }
    if let Known::Seen(nanos) = call.deadline_ns() {
        option(&mut line, "-max-time", format!("{}", nanos as f64 / 1e9).as_bytes());
    }
    for header in call.request_headers().into_iter().flat_map(|headers| headers.metadata()) {
        let Known::Seen(name) = header.name() else { continue };
        let value = match header.value() {
            Known::Seen(value) => value,
            Known::Hidden { .. } => {
                hides = true;
                b"HIDDEN"
            }
            _ => continue,
        };
        // grpcurl decodes what it is given for binary fields.
        let binary = header.binary_values().map(|values| {
            let encoded = values.flatten().map(|value| {
                let mut text = Vec::new();
                write_base64(&mut text, &value);
                // As JSON has it, it is in quotes.
                text.retain(|&byte| byte != b'"');
                text
            });
            encoded.collect::<Vec<_>>().join(&b',')
        });
        option(&mut line, "-H", &[name, b": ", binary.as_deref().unwrap_or(value)].concat());
    }
    let mut data = Vec::new();
    let mut scratch = Scratch::default();
    for (number, message) in (1..).zip(call.messages(Direction::ToServer)) {
        let body = message.body(&mut scratch);
        let Some(content) = body.content() else {
            return Err(format!("message {number} of call {no} cannot be read"));
        };
        if !data.is_empty() {
            data.push(b' ');
        }
        match (as_json(content), message.type_ix()) {
            (Some(json), _) => data.extend_from_slice(json),
            (None, Known::Seen(ix)) => {
                let before = data.len();
                JsonPrinter::new().hiding(body.hides_marked_fields()).print(message.schema(), ix, content, &mut data);
                hides |= data.get(before..).is_some_and(|json| json.windows(10).any(|part| part == b"{\"hidden\":"));
            }
            _ => return Err(format!("the type of call {no}'s messages is not known; name a schema with --proto")),
        }
    }
    option(&mut line, "-d", &data);
    let address = match call.server() {
        Endpoint::Tcp(address) => address.to_string().into_bytes(),
        Endpoint::UnixPath(path) => {
            line.push_str(" -unix");
            path.to_vec()
        }
        other => return Err(format!("grpcurl cannot connect to {other}")),
    };
    let _ = write!(line, " {} {}", quoted(&address), quoted(format!("{service}/{method}").as_bytes()));
    Ok((line, hides))
}

fn option(line: &mut String, name: &str, value: &[u8]) {
    let _ = write!(line, " {name} {}", quoted(value));
}

/// A word for a shell: as it is where nothing in it is special, else in quotes. What is not printable ASCII is written in
/// hex, as bash, ksh and zsh read it.
fn quoted(word: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=[]".contains(byte);
    if !word.is_empty() && word.iter().all(is_plain) && !word.contains(&b'[') {
        return String::from_utf8_lossy(word).into_owned();
    }
    if word.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return format!("'{}'", String::from_utf8_lossy(word).replace('\'', r"'\''"));
    }
    let mut text = "$'".to_owned();
    for &byte in word {
        match byte {
            b'\'' | b'\\' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("it's\x1b[2J", r"$'it\'s\x1b[2J'"),
            ("[::1]:1", "'[::1]:1'"),
        ] {
            assert_eq!(quoted(word.as_bytes()), expected);
        }
    }

    #[test]
    fn values_of_csv_stand_in_quotes_where_they_must() {
        let mut out = Vec::new();
        write_csv(["a", "b,c", "say \"x\""].map(str::to_owned).into_iter(), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "a,\"b,c\",\"say \"\"x\"\"\"\r\n");
    }
}
