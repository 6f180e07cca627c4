//! What the kinds of notes mean, and what helps: a table.

/// A kind of note, described for people.
#[derive(Clone, Copy, Debug)]
pub struct ProblemKind {
    /// The word that filters and JSON use.
    pub kind: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it means for what is shown.
    pub meaning: &'static str,
    /// What helps; empty where nothing does or nothing is needed.
    pub help: &'static str,
}

impl ProblemKind {
    /// The kind called `kind`, if it is described.
    pub fn of(kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.kind == kind)
    }
}

const fn kind(kind: &'static str, title: &'static str, meaning: &'static str, help: &'static str) -> ProblemKind {
    ProblemKind { kind, title, meaning, help }
}

const CAPTURE_ALL: &str = "Capture without a snap length (tcpdump -s 0); run strace with -s 8388608.";
const CAPTURE_FASTER: &str =
    "Capture on the host itself, with a capture filter (port …) and a larger buffer (tcpdump -B 65536).";
const CAPTURE_EARLIER: &str = "Start the capture before the client connects, or restart the client while it runs.";
const DAMAGED: &str = "If the peers work well with each other, bytes are missing or wrong in the capture.";
const PEER: &str = "Look at the peer that sent it: other implementations may refuse it.";
const SCHEMA: &str = "Check that the .proto files are of the version that these peers use.";

/// Every kind that is described.
pub static KINDS: &[ProblemKind] = &[
    // What the capture does not have.
    kind(
        "tls-record",
        "TLS records that cannot be read",
        "A record does not begin where one should, or its authentication tag does not fit: bytes of it are lost or damaged.",
        "Check the connection for gaps, and that the key log belongs to this capture.",
    ),
    kind(
        "tls-unsupported",
        "TLS that cannot be decrypted",
        "The connection uses a version, cipher suite or extension of TLS that is not supported.",
        "",
    ),
    kind(
        "tls-no-key",
        "TLS without a key",
        "The connection is encrypted: its calls cannot be read.",
        "Give the secrets with --keylog, capture where traffic is not encrypted, or use `rpcshark record` between the two.",
    ),
    kind(
        "tls-record",
        "TLS records that are missing or do not fit",
        "A record does not begin where it should, or its authentication tag does not fit: what was in it is not shown.",
        CAPTURE_FASTER,
    ),
    kind(
        "tls-unsupported",
        "TLS that is not supported",
        "The version or the cipher suite is not one that can be decrypted: the calls of the connection cannot be read.",
        "Use TLS 1.3 between the peers, or `rpcshark record` between client and server.",
    ),
    kind(
        "bytes-snapped",
        "bytes cut off by the snap length",
        "Packets were captured only in part: messages and header blocks in the rest are lost.",
        CAPTURE_ALL,
    ),
    kind(
        "bytes-lost",
        "bytes missing in the middle of a connection",
        "Packets were sent but not captured: calls around these places may lack messages, headers or their status.",
        CAPTURE_FASTER,
    ),
    kind(
        "bytes-dropped",
        "bytes that the recorder dropped",
        "The capturing program reports that it could not keep up.",
        CAPTURE_FASTER,
    ),
    kind(
        "bytes-before-capture",
        "bytes sent before the capture began",
        "The beginning of the connection is not in the capture.",
        CAPTURE_EARLIER,
    ),
    kind(
        "joined",
        "connection joined in the middle",
        "The capture began when the connection already existed: header fields that refer to earlier ones are unknown, and so may be methods and metadata.",
        CAPTURE_EARLIER,
    ),
    kind(
        "hpack-unknown",
        "header fields that refer to unknown entries",
        "The HPACK table entries were sent before the capture began or in a gap: these fields have no name or no value.",
        CAPTURE_EARLIER,
    ),
    kind(
        "deadline-unknown",
        "deadline not known for certain",
        "A header field without a known name looks like a grpc-timeout.",
        CAPTURE_EARLIER,
    ),
    kind(
        "gap",
        "calls with missing bytes",
        "Bytes in the middle of a call are missing: messages and the end may be among them.",
        CAPTURE_FASTER,
    ),
    kind(
        "status-missing",
        "calls without a status",
        "They ended, with the connection or without trailers, and their status is not in the capture.",
        "Look at the connection with `rpcshark connections`: was it closed, or do bytes miss?",
    ),
    kind("message-cut", "messages with missing bytes", "The message cannot be decoded to its end.", CAPTURE_ALL),
    kind(
        "message-alignment-lost",
        "messages lost after a gap",
        "A gap hides where the next message begins.",
        CAPTURE_FASTER,
    ),
    kind(
        "alignment-guessed",
        "messages whose beginning is a guess",
        "Bytes before them are missing: where the next message begins is guessed by what its bytes look like.",
        CAPTURE_EARLIER,
    ),
    kind(
        "negative-duration",
        "calls that end before they begin",
        "The two directions were captured with different clocks, or out of order: durations and times to the first answer are not exact.",
        "Capture both directions on one interface.",
    ),
    kind(
        "message-unreadable",
        "messages that could not be read again",
        "The file changed or could not be read while messages were shown.",
        "Read a copy of the file.",
    ),
    kind(
        "frame-cut",
        "frames with missing bytes",
        "A frame begins in the capture but does not end in it.",
        CAPTURE_ALL,
    ),
    kind(
        "header-block-missing",
        "header blocks with missing bytes",
        "A part of a header block is missing: its fields and later table entries are unknown.",
        CAPTURE_FASTER,
    ),
    kind(
        "header-block-headless",
        "header blocks without their beginning",
        "A CONTINUATION belongs to HEADERS that are not in the capture.",
        CAPTURE_EARLIER,
    ),
    kind(
        "resynchronised",
        "bytes skipped to find the next frame",
        "After a gap, reading continues at the next frame that is certain.",
        CAPTURE_FASTER,
    ),
    kind(
        "not-resynchronised",
        "no frame found after a gap",
        "The rest of the connection could not be read.",
        CAPTURE_FASTER,
    ),
    kind(
        "memory-limit",
        "bytes released at the memory limit",
        "Waiting data took more memory than allowed: what it belonged to is incomplete.",
        "Give more memory with --memory 2G.",
    ),
    kind(
        "captured-twice",
        "connection captured twice",
        "Packets were captured at both ends or on two interfaces. Each byte is used once; times are those of the first copies.",
        "Capture on one interface.",
    ),
    kind(
        "recorder",
        "remarks of the recorder",
        "The recorder wrote these comments into the file: bytes that it could not record, servers that it could not reach, file descriptors that were passed.",
        "",
    ),
    // What the network did.
    kind(
        "retransmitted",
        "retransmitted segments",
        "TCP sent bytes again: packets were lost on the way, or acknowledged late. Calls on these connections wait for them.",
        "Compare the times of slow calls with `rpcshark connections` and the packets in Wireshark (tcp.analysis.retransmission).",
    ),
    kind(
        "reordered",
        "segments out of order",
        "Packets overtook each other on the way, or in the capturing system.",
        "",
    ),
    kind(
        "overlap-differs",
        "retransmissions with other bytes",
        "A segment brings other bytes for a place than the one before; the first ones are used.",
        "Look for middleboxes that rewrite traffic.",
    ),
    // What servers and clients did.
    kind(
        "goaway-refused",
        "calls refused by GOAWAY",
        "The server ended the connection and reports that it did not process these calls. Clients may send them again.",
        "Expected when a server restarts. If it happens often, look at the server's limits on the age of connections.",
    ),
    kind(
        "deadline-exceeded",
        "calls past their deadline",
        "The call took longer than the client was willing to wait.",
        "`rpcshark calls FILE -Y 'rpc.status == DEADLINE_EXCEEDED' --sort -rpc.duration` lists them: is the server slow, or the deadline short?",
    ),
    kind(
        "reset-storm",
        "many resets within a second",
        "One side ended many streams with RST_STREAM at once: a client that gives up, or an attack (rapid reset).",
        "Look at these calls with `rpcshark calls FILE -Y 'rpc.outcome == reset'`.",
    ),
    kind(
        "flow-control-stall",
        "senders stopped by flow control",
        "The receiver's window was empty: the sender had to wait until the receiver allowed more bytes.",
        "Read faster on the receiving side, or set larger windows (initial window size, BDP estimation).",
    ),
    kind(
        "message-near-limit",
        "ttrpc messages near the limit of 4 MiB",
        "ttrpc refuses messages above 4 MiB: slightly larger ones will fail.",
        "Split such messages.",
    ),
    kind(
        "message-above-default",
        "gRPC messages above 4 MiB",
        "Receivers refuse messages above 4 MiB unless they are configured otherwise.",
        "Set the receiver's limit (max receive message size) on every client and server that needs it, or split such messages.",
    ),
    kind(
        "status-unknown",
        "statuses that gRPC does not define",
        "The status is a number that gRPC gives no name.",
        PEER,
    ),
    kind(
        "grpc-status-early",
        "grpc-status before the end",
        "The status is in a header block that does not end the stream; clients ignore it.",
        PEER,
    ),
    kind(
        "stream-state",
        "frames on streams that do not allow them",
        "HTTP/2 does not allow such a frame in the state of its stream.",
        DAMAGED,
    ),
    kind("preface", "no HTTP/2 preface", "The client's first bytes are not what HTTP/2 begins with.", DAMAGED),
    kind(
        "hpack",
        "header blocks that cannot be decoded",
        "HPACK has an error here: later header fields of this connection are unknown.",
        DAMAGED,
    ),
    kind(
        "header-block-interrupted",
        "header blocks interrupted by other frames",
        "Between HEADERS and its CONTINUATION no other frame is allowed.",
        DAMAGED,
    ),
    kind("frame-size", "frames with an impossible length", "The frame's type does not have such a length.", DAMAGED),
    kind(
        "frame-stream",
        "frames on the wrong kind of stream",
        "The frame belongs to the connection but is on a stream, or the other way round.",
        PEER,
    ),
    kind("frame-padding", "frames with too much padding", "The padding is longer than the frame.", PEER),
    kind("window-increment", "WINDOW_UPDATE by 0", "HTTP/2 does not allow a window to grow by nothing.", PEER),
    kind(
        "settings-value",
        "settings with values that are not allowed",
        "Receivers close the connection on such a setting.",
        PEER,
    ),
    kind(
        "promised-stream",
        "promised streams with impossible numbers",
        "The stream that a PUSH_PROMISE names cannot be one.",
        PEER,
    ),
    kind(
        "upgrade-early",
        "upgrade accepted early",
        "The server switched to HTTP/2 before the request was complete.",
        PEER,
    ),
    kind(
        "protocol-unknown",
        "protocol not recognised",
        "The connection was joined in the middle, and no frames of a known protocol were found.",
        "If you know what it is, say so: --decode-as tcp.port==50051,http2",
    ),
    kind(
        "decode-as",
        "--decode-as without success",
        "No frames of the protocol that --decode-as names were found.",
        "Check the selector and the protocol.",
    ),
    // Messages.
    kind(
        "message-flag",
        "messages with an unknown flag",
        "The first byte of the prefix is neither 0 nor 1: the message is not decoded.",
        DAMAGED,
    ),
    kind(
        "encoding-unknown",
        "messages with an unknown compression",
        "Nothing says how the message is compressed, or the name is not known.",
        "Supported are gzip, deflate, snappy and zstd.",
    ),
    kind("decompression", "messages that cannot be decompressed", "The bytes are not what the header says.", DAMAGED),
    kind(
        "pb-broken",
        "messages that are not valid protobuf",
        "The bytes do not have the form of fields from here on.",
        SCHEMA,
    ),
    kind(
        "pb-wire-type",
        "fields of another type than in the schema",
        "The schema gives this field a type that is encoded otherwise.",
        SCHEMA,
    ),
    kind(
        "pb-utf8",
        "strings that are not UTF-8",
        "Bytes that are not text are shown as U+FFFD.",
        "Fields with any bytes should be `bytes` in the schema.",
    ),
    kind("pb-too-deep", "messages nested too deeply", "Fields below 100 levels are not decoded.", ""),
    kind(
        "web-base64",
        "gRPC-Web bodies that are not base64",
        "The content type says grpc-web-text, but the body is not base64.",
        PEER,
    ),
    kind("web-trailers", "gRPC-Web trailers that are too long", "Only the first bytes of the trailers are read.", ""),
    // ttrpc.
    kind("ttrpc-orphan", "answers whose request is not in the capture", "Their method is not known.", CAPTURE_EARLIER),
    kind(
        "ttrpc-late",
        "answers after the end of the call",
        "The call had ended already, mostly because the client gave up.",
        "",
    ),
    kind(
        "ttrpc-deadline",
        "answers after the deadline",
        "The client has given up by then; ttrpc does not tell the server.",
        "Look at slow calls: `rpcshark calls FILE --sort -rpc.duration`.",
    ),
    kind(
        "ttrpc-abandoned",
        "calls without an answer within their deadline",
        "The client has given up, which ttrpc does not send.",
        "Look at what the server did meanwhile.",
    ),
    kind(
        "ttrpc-dropped",
        "calls not followed to their end",
        "The stream's number was used again, or there were too many.",
        "",
    ),
    kind("ttrpc-stream-id", "ttrpc streams with even numbers", "Servers refuse them.", PEER),
    kind("ttrpc-id-reused", "ttrpc streams that are used twice", "Go servers refuse that from 1.2 on.", PEER),
    kind(
        "ttrpc-direction",
        "ttrpc frames in the wrong direction",
        "A Request goes to the client, or a Response to the server.",
        DAMAGED,
    ),
    kind(
        "ttrpc-after-close",
        "Data after its sender's end",
        "Go servers up to 1.2.8 crash on it in a unary call.",
        PEER,
    ),
    kind(
        "ttrpc-oversize",
        "ttrpc frames above the limit of 4 MiB",
        "Receivers refuse and skip them.",
        "Split such messages.",
    ),
    kind("ttrpc-type", "ttrpc frames of unknown types", "Receivers skip them.", PEER),
    kind("ttrpc-flag", "ttrpc frames with unknown flags", "What they mean is not known.", PEER),
    kind(
        "ttrpc-header",
        "bytes that cannot be a ttrpc frame",
        "The bytes where a frame should begin are not a frame.",
        DAMAGED,
    ),
    kind(
        "nri-trunk",
        "impossible pieces in an NRI trunk",
        "A piece of the trunk claims a length that cannot be.",
        DAMAGED,
    ),
    kind(
        "not-decodable",
        "ttrpc requests or answers that cannot be decoded",
        "The frame's contents are not what ttrpc puts there; they may be encrypted.",
        DAMAGED,
    ),
    kind(
        "vsock-preamble",
        "hybrid vsock",
        "The connection begins with the CONNECT line of hybrid vsock; ttrpc follows it.",
        "",
    ),
    kind("more-notes", "notes that are not listed", "A call or connection has more notes than are kept.", ""),
    // Files.
    kind(
        "file-damaged",
        "damaged places in a file",
        "The file is cut off, or blocks in it are damaged and were skipped.",
        "Copy or capture the file again; stop the capturing program with SIGINT, so that it writes what it holds.",
    ),
    kind(
        "file-dropped",
        "packets that the capturing system dropped",
        "The kernel could not pass on all packets.",
        CAPTURE_FASTER,
    ),
];
