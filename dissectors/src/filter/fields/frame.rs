//! Fields of frames and of the packets that completed them, and of messages.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::{FieldSpec, Flow, Get, Visit};
use crate::filter::value::{Item, Names, Type, Value};
use crate::http2::payload::Payload;
use crate::http2::{Flags, FrameType};
use crate::store::{Framing, Protocol};
use crate::ttrpc;
use crate::view::{CallView, FrameView, MessageView};

/// Fields of frames and packets.
pub(super) static FIELDS: &[FieldSpec] = &[
    spec("rpc.frame", Type::Unsigned, "Number of the frame", Get::Frame(no)),
    spec("frame.number", Type::Unsigned, "Number of the packet that completed the frame", Get::Frame(packet)),
    spec("frame.file", Type::Text, "Name of the file of that packet", Get::Frame(file)),
    spec("frame.time", Type::Time, "Time of that packet", Get::Frame(time)),
    spec("frame.time_epoch", Type::Duration, "The same in seconds since 1970", Get::Frame(time_epoch)),
    spec("frame.len", Type::Unsigned, "Length of that packet on the wire", Get::PacketLength),
    spec("http2", Type::Label, "Is HTTP/2", Get::Either(call_http2, http2)),
    spec("http2.streamid", Type::Unsigned, "Stream of HTTP/2", Get::Either(call_stream, http2_stream)),
    spec("http2.type", Type::Enum(Names::Fixed(HTTP2_TYPES)), "Type of the HTTP/2 frame", Get::Frame(http2_type)),
    spec("http2.length", Type::Unsigned, "Length of its payload", Get::Frame(http2_length)),
    spec("http2.flags", Type::Flags, "Its flags", Get::Frame(http2_flags)),
    spec("http2.flags.end_stream", Type::Bool, "END_STREAM, of HEADERS and DATA", Get::Frame(end_stream)),
    spec(
        "http2.flags.eh",
        Type::Bool,
        "END_HEADERS, of HEADERS, PUSH_PROMISE and CONTINUATION",
        Get::Frame(end_headers),
    ),
    spec("http2.flags.padded", Type::Bool, "PADDED, of HEADERS, PUSH_PROMISE and DATA", Get::Frame(padded)),
    spec("http2.flags.priority", Type::Bool, "PRIORITY, of HEADERS", Get::Frame(priority)),
    spec("http2.flags.ack.settings", Type::Bool, "ACK, of SETTINGS", Get::Frame(settings_ack)),
    spec("http2.flags.ack.ping", Type::Bool, "ACK, of PING", Get::Frame(ping_ack)),
    spec("http2.rst_stream.error", Type::Enum(Names::Fixed(ERRORS)), "Error of RST_STREAM", Get::Frame(reset_error)),
    spec("http2.goaway.error", Type::Enum(Names::Fixed(ERRORS)), "Error of GOAWAY", Get::Frame(goaway_error)),
    spec("http2.goaway.last_stream_id", Type::Unsigned, "Last stream of GOAWAY", Get::Frame(goaway_last)),
    spec(
        "http2.window_update.window_size_increment",
        Type::Unsigned,
        "Increment of WINDOW_UPDATE",
        Get::Frame(increment),
    ),
    spec(
        "http2.push_promise.promised_stream_id",
        Type::Unsigned,
        "Stream that PUSH_PROMISE announces",
        Get::Frame(promised),
    ),
    spec("http2.ping", Type::Bytes, "Bytes of PING", Get::Frame(ping)),
    spec("http2.pong", Type::Bytes, "Bytes of PING with ACK", Get::Frame(pong)),
    spec(
        "http2.settings.id",
        Type::Enum(Names::Fixed(SETTING_NAMES)),
        "Identifier in SETTINGS",
        Get::Frame(setting_ids),
    ),
];

/// The settings that have a field of their own.
pub(super) static SETTINGS: &[FieldSpec] = &[
    spec("http2.settings.header_table_size", Type::Unsigned, "HEADER_TABLE_SIZE in SETTINGS", Get::Frame(setting::<1>)),
    spec("http2.settings.enable_push", Type::Unsigned, "ENABLE_PUSH in SETTINGS", Get::Frame(setting::<2>)),
    spec(
        "http2.settings.max_concurrent_streams",
        Type::Unsigned,
        "MAX_CONCURRENT_STREAMS in SETTINGS",
        Get::Frame(setting::<3>),
    ),
    spec(
        "http2.settings.initial_window_size",
        Type::Unsigned,
        "INITIAL_WINDOW_SIZE in SETTINGS",
        Get::Frame(setting::<4>),
    ),
    spec("http2.settings.max_frame_size", Type::Unsigned, "MAX_FRAME_SIZE in SETTINGS", Get::Frame(setting::<5>)),
    spec(
        "http2.settings.max_header_list_size",
        Type::Unsigned,
        "MAX_HEADER_LIST_SIZE in SETTINGS",
        Get::Frame(setting::<6>),
    ),
    spec(
        "http2.settings.extended_connect",
        Type::Unsigned,
        "ENABLE_CONNECT_PROTOCOL in SETTINGS",
        Get::Frame(setting::<8>),
    ),
];

/// Fields of messages and of ttrpc frames.
pub(super) static OTHERS: &[FieldSpec] = &[
    spec("grpc", Type::Label, "Is gRPC; on a frame, completes a gRPC message", Get::Message(grpc)),
    spec("grpc.message_length", Type::Unsigned, "Length of a gRPC message on the wire", Get::Message(message_length)),
    spec("grpc.compressed_flag", Type::Unsigned, "Compressed flag of a gRPC message", Get::Message(compressed)),
    spec(
        "pbf.<message>.<field>",
        Type::Label,
        "Field of a message type, wherever it is: pbf.shop.v1.Item.sku",
        Get::AnyField,
    ),
    spec("pbm.<message>", Type::Label, "Message type, wherever it is: pbm.shop.v1.Item", Get::AnyMessage),
    spec("ttrpc", Type::Label, "Is ttrpc", Get::Either(call_ttrpc, is_ttrpc)),
    spec("ttrpc.stream", Type::Unsigned, "Stream of ttrpc", Get::Either(call_ttrpc_stream, ttrpc_stream)),
    spec("ttrpc.type", Type::Enum(Names::Fixed(TTRPC_TYPES)), "Type of the ttrpc frame", Get::Frame(ttrpc_type)),
    spec("ttrpc.flags", Type::Flags, "Its flags", Get::Frame(ttrpc_flags)),
    spec("ttrpc.flags.remote_closed", Type::Bool, "REMOTE_CLOSED", Get::Frame(remote_closed)),
    spec("ttrpc.flags.remote_open", Type::Bool, "REMOTE_OPEN", Get::Frame(remote_open)),
    spec("ttrpc.flags.no_data", Type::Bool, "NO_DATA", Get::Frame(no_data)),
    spec("ttrpc.length", Type::Unsigned, "Length of its payload", Get::Frame(ttrpc_length)),
];

const fn spec(name: &'static str, ty: Type, help: &'static str, get: Get) -> FieldSpec {
    FieldSpec { name, ty, help, get }
}

/// Frame types (RFC 9113 §6 and its registry).
const HTTP2_TYPES: &[(u32, &str)] = &[
    (0, "DATA"),
    (1, "HEADERS"),
    (2, "PRIORITY"),
    (3, "RST_STREAM"),
    (4, "SETTINGS"),
    (5, "PUSH_PROMISE"),
    (6, "PING"),
    (7, "GOAWAY"),
    (8, "WINDOW_UPDATE"),
    (9, "CONTINUATION"),
    (10, "ALTSVC"),
    (12, "ORIGIN"),
    (16, "PRIORITY_UPDATE"),
];

/// Error codes (RFC 9113 §7).
const ERRORS: &[(u32, &str)] = &[
    (0, "NO_ERROR"),
    (1, "PROTOCOL_ERROR"),
    (2, "INTERNAL_ERROR"),
    (3, "FLOW_CONTROL_ERROR"),
    (4, "SETTINGS_TIMEOUT"),
    (5, "STREAM_CLOSED"),
    (6, "FRAME_SIZE_ERROR"),
    (7, "REFUSED_STREAM"),
    (8, "CANCEL"),
    (9, "COMPRESSION_ERROR"),
    (10, "CONNECT_ERROR"),
    (11, "ENHANCE_YOUR_CALM"),
    (12, "INADEQUATE_SECURITY"),
    (13, "HTTP_1_1_REQUIRED"),
];

/// Settings (RFC 9113 §6.5.2 and its registry).
const SETTING_NAMES: &[(u32, &str)] = &[
    (1, "HEADER_TABLE_SIZE"),
    (2, "ENABLE_PUSH"),
    (3, "MAX_CONCURRENT_STREAMS"),
    (4, "INITIAL_WINDOW_SIZE"),
    (5, "MAX_FRAME_SIZE"),
    (6, "MAX_HEADER_LIST_SIZE"),
    (8, "ENABLE_CONNECT_PROTOCOL"),
    (9, "NO_RFC7540_PRIORITIES"),
];

const TTRPC_TYPES: &[(u32, &str)] = &[(1, "REQUEST"), (2, "RESPONSE"), (3, "DATA")];

const CONTINUE: Flow = ControlFlow::Continue(());

fn value(value: Value<'_>, visit: &mut Visit<'_>) -> Flow {
    visit(Item::Value(value))
}

fn int(number: impl Into<i128>, visit: &mut Visit<'_>) -> Flow {
    value(Value::int(number), visit)
}

fn no(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.no() {
        Some(no) => int(no, visit),
        None => visit(Item::Unknown),
    }
}

fn packet(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    int(frame.packet().number(), visit)
}

fn file(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.file() {
        Some(file) => value(Value::text(file), visit),
        None => visit(Item::Unknown),
    }
}

fn time(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.time() {
        Some(time) => value(Value::time(time), visit),
        None => visit(Item::Unknown),
    }
}

fn time_epoch(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.time() {
        Some(time) => value(Value::Duration(time.as_nanos().into()), visit),
        None => visit(Item::Unknown),
    }
}

fn is_http2(frame: FrameView<'_>) -> bool {
    frame.framing() == Framing::Http2
}

fn call_http2(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    if call.protocol() == Protocol::Ttrpc { CONTINUE } else { value(Value::Present, visit) }
}

fn http2(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { value(Value::Present, visit) } else { CONTINUE }
}

fn call_stream(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    if call.protocol() == Protocol::Ttrpc { CONTINUE } else { int(call.stream(), visit) }
}

fn http2_stream(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { int(frame.stream(), visit) } else { CONTINUE }
}

fn http2_type(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { int(frame.type_code(), visit) } else { CONTINUE }
}

fn http2_length(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { int(frame.length(), visit) } else { CONTINUE }
}

fn http2_flags(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { int(frame.flags_code(), visit) } else { CONTINUE }
}

/// A flag of the types that have it; absent on others, as in Wireshark.
fn flag(frame: FrameView<'_>, types: &[FrameType], flag: Flags, visit: &mut Visit<'_>) -> Flow {
    match is_http2(frame) && types.contains(&FrameType(frame.type_code())) {
        true => value(Value::Bool(Flags(frame.flags_code()).contains(flag)), visit),
        false => CONTINUE,
    }
}

fn end_stream(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::DATA, FrameType::HEADERS], Flags::END_STREAM, visit)
}

fn end_headers(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::HEADERS, FrameType::PUSH_PROMISE, FrameType::CONTINUATION], Flags::END_HEADERS, visit)
}

fn padded(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::DATA, FrameType::HEADERS, FrameType::PUSH_PROMISE], Flags::PADDED, visit)
}

fn priority(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::HEADERS], Flags::PRIORITY, visit)
}

fn settings_ack(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::SETTINGS], Flags::ACK, visit)
}

fn ping_ack(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    flag(frame, &[FrameType::PING], Flags::ACK, visit)
}

fn reset_error(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.payload() {
        Some(Payload::RstStream(error)) => int(error.0, visit),
        _ => CONTINUE,
    }
}

fn goaway_error(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.payload() {
        Some(Payload::GoAway { error, .. }) => int(error.0, visit),
        _ => CONTINUE,
    }
}

fn goaway_last(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.payload() {
        Some(Payload::GoAway { last_stream, .. }) => int(last_stream, visit),
        _ => CONTINUE,
    }
}

fn increment(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    match frame.payload() {
        Some(Payload::WindowUpdate { increment }) => int(increment, visit),
        _ => CONTINUE,
    }
}

fn promised(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    frame.promised().map_or(CONTINUE, |stream| int(stream, visit))
}

fn ping_bytes(frame: FrameView<'_>, ack: bool, visit: &mut Visit<'_>) -> Flow {
    match frame.payload() {
        Some(Payload::Ping(bytes)) if Flags(frame.flags_code()).contains(Flags::ACK) == ack => {
            value(Value::Bytes(Cow::Borrowed(&bytes)), visit)
        }
        _ => CONTINUE,
    }
}

fn ping(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    ping_bytes(frame, false, visit)
}

fn pong(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    ping_bytes(frame, true, visit)
}

fn settings(frame: FrameView<'_>, visit: &mut dyn FnMut(u16, u32) -> Flow) -> Flow {
    match frame.payload() {
        Some(Payload::Settings(settings)) => settings.iter().try_for_each(|setting| visit(setting.id.0, setting.value)),
        _ => CONTINUE,
    }
}

fn setting_ids(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    settings(frame, &mut |id, _| int(id, visit))
}

fn setting<const ID: u16>(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    settings(frame, &mut |id, number| if id == ID { int(number, visit) } else { CONTINUE })
}

fn grpc(message: MessageView<'_>, visit: &mut Visit<'_>) -> Flow {
    if message.protocol() == Protocol::Ttrpc { CONTINUE } else { value(Value::Present, visit) }
}

fn message_length(message: MessageView<'_>, visit: &mut Visit<'_>) -> Flow {
    if message.protocol() == Protocol::Ttrpc { CONTINUE } else { int(message.length(), visit) }
}

fn compressed(message: MessageView<'_>, visit: &mut Visit<'_>) -> Flow {
    if message.protocol() == Protocol::Ttrpc { CONTINUE } else { int(u8::from(message.is_compressed()), visit) }
}

fn call_ttrpc(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    if call.protocol() == Protocol::Ttrpc { value(Value::Present, visit) } else { CONTINUE }
}

fn is_ttrpc(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { CONTINUE } else { value(Value::Present, visit) }
}

fn call_ttrpc_stream(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    if call.protocol() == Protocol::Ttrpc { int(call.stream(), visit) } else { CONTINUE }
}

fn ttrpc_stream(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { CONTINUE } else { int(frame.stream(), visit) }
}

fn ttrpc_type(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { CONTINUE } else { int(frame.type_code(), visit) }
}

fn ttrpc_flags(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { CONTINUE } else { int(frame.flags_code(), visit) }
}

fn ttrpc_flag(frame: FrameView<'_>, flag: ttrpc::Flags, visit: &mut Visit<'_>) -> Flow {
    match is_http2(frame) {
        true => CONTINUE,
        false => value(Value::Bool(ttrpc::Flags(frame.flags_code()).contains(flag)), visit),
    }
}

fn remote_closed(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    ttrpc_flag(frame, ttrpc::Flags::REMOTE_CLOSED, visit)
}

fn remote_open(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    ttrpc_flag(frame, ttrpc::Flags::REMOTE_OPEN, visit)
}

fn no_data(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    ttrpc_flag(frame, ttrpc::Flags::NO_DATA, visit)
}

fn ttrpc_length(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    if is_http2(frame) { CONTINUE } else { int(frame.length(), visit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::{ErrorCode, SettingId};

    #[test]
    fn names_are_those_of_the_protocols() {
        for &(number, name) in HTTP2_TYPES {
            assert_eq!(FrameType(number as u8).name(), name);
        }
        for &(number, name) in ERRORS {
            assert_eq!(ErrorCode(number).name(), name);
        }
        for &(number, name) in SETTING_NAMES {
            assert_eq!(SettingId(number as u16).name(), name);
        }
        for &(number, name) in TTRPC_TYPES {
            assert_eq!(ttrpc::FrameType(number as u8).name(), name);
        }
    }
}
