//! ttrpc as a server: frames as PROTOCOL.md of containerd/ttrpc describes them; see [`crate::rpc::ttrpc`] for the client.

use std::io;
use std::rc::Rc;

use prost::encoding::encode_varint;
use rpcshark_dissectors::protobuf::wire::{Fields, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex;

use crate::rpc::transport::Io;
use crate::rpc::ttrpc::{DATA, MAX_DATA, NO_DATA, REMOTE_CLOSED, REQUEST, frame};

/// Reads the frames of a client.
pub(crate) struct TtrpcReader {
    io: ReadHalf<Box<dyn Io>>,
}

/// Answers calls of a connection. Frames of several calls may be mixed, but no two frames.
#[derive(Clone)]
pub(crate) struct TtrpcAnswer {
    io: Rc<Mutex<WriteHalf<Box<dyn Io>>>>,
}

/// What a client has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A call begins.
    Request {
        /// Its stream.
        stream: u32,
        /// What it says.
        request: Request,
        /// The client sends messages after it.
        open: bool,
    },
    /// A Request that cannot be read: why.
    Malformed {
        /// Its stream.
        stream: u32,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A message of a stream, or the end of them, or both.
    Data {
        /// The stream.
        stream: u32,
        /// The message.
        message: Option<Vec<u8>>,
        /// The client sends no more.
        close: bool,
    },
    /// A frame that servers ignore.
    Other,
}

/// A Request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The full name of the service.
    pub(crate) service: String,
    /// The name of the method.
    pub(crate) method: String,
    /// The first message, or nothing where it is empty.
    pub(crate) payload: Vec<u8>,
    /// How long the client waits, in nanoseconds; 0 for no limit.
    pub(crate) timeout_nano: i64,
}

/// Frame types, and a flag, besides those of the client.
const RESPONSE: u8 = 2;
const REMOTE_OPEN: u8 = 2;

/// Bytes of a frame that memory is reserved for before they come.
const RESERVED: usize = 64 << 10;

/// Begins ttrpc on `io`.
pub(crate) fn serve_ttrpc(io: Box<dyn Io>) -> (TtrpcReader, TtrpcAnswer) {
    let (reader, writer) = split(io);
    (TtrpcReader { io: reader }, TtrpcAnswer { io: Rc::new(Mutex::new(writer)) })
}

impl TtrpcReader {
    /// The next frame; `None` at the end of the connection.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or ends within a frame.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut header = [0; 10];
        if self.io.read(&mut header[..1]).await? == 0 {
            return Ok(None);
        }
        self.io.read_exact(&mut header[1..]).await?;
        let [a, b, c, d, e, f, g, h, kind, flags] = header;
        let (length, stream) = (u32::from_be_bytes([a, b, c, d]) as usize, u32::from_be_bytes([e, f, g, h]));
        if length > MAX_DATA {
            let mut left = (&mut self.io).take(length as u64);
            let skipped = tokio::io::copy(&mut left, &mut tokio::io::sink()).await?;
            if skipped < length as u64 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return Ok(Some(match kind {
                REQUEST => Frame::Malformed { stream, why: "the Request is longer than the 4 MiB that ttrpc allows" },
                _ => Frame::Other,
            }));
        }
        let mut data = Vec::with_capacity(length.min(RESERVED));
        if (&mut self.io).take(length as u64).read_to_end(&mut data).await? < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(match kind {
            REQUEST => match Request::decode(&data) {
                Some(request) => Frame::Request { stream, request, open: flags & REMOTE_OPEN != 0 },
                None => Frame::Malformed { stream, why: "the Request is not a message" },
            },
            DATA => {
                let is_message = !(flags & NO_DATA != 0 && data.is_empty());
                Frame::Data { stream, message: is_message.then_some(data), close: flags & REMOTE_CLOSED != 0 }
            }
            _ => Frame::Other,
        }))
    }
}

impl Request {
    /// `Request { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; repeated KeyValue metadata = 5; }`
    fn decode(data: &[u8]) -> Option<Self> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut request = Self::default();
        for field in Fields::new(data) {
            let field = field.ok()?;
            match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => request.service = text(bytes),
                (2, Value::Bytes(bytes)) => request.method = text(bytes),
                (3, Value::Bytes(bytes)) => request.payload = bytes.to_vec(),
                (4, Value::Varint(bits)) => request.timeout_nano = bits.cast_signed(),
                _ => {}
            }
        }
        Some(request)
    }
}

impl TtrpcAnswer {
    /// Ends a call: `Response { google.rpc.Status status = 1; bytes payload = 2; }`. `status`: the encoded status, empty for OK.
    ///
    /// # Errors
    ///
    /// If it is too large, or cannot be written.
    pub(crate) async fn response(&self, stream: u32, status: &[u8], payload: &[u8]) -> io::Result<()> {
        let mut data = Vec::with_capacity(payload.len() + status.len() + 16);
        for (tag, bytes) in [(0x0a, status), (0x12, payload)] {
            if !bytes.is_empty() {
                data.push(tag);
                encode_varint(bytes.len() as u64, &mut data);
                data.extend_from_slice(bytes);
            }
        }
        self.write(stream, RESPONSE, 0, &data).await
    }

    /// Sends a message of a stream. `close`: it is the last one, and the call ends with OK.
    ///
    /// # Errors
    ///
    /// If it is too large, or cannot be written.
    pub(crate) async fn data(&self, stream: u32, message: &[u8], close: bool) -> io::Result<()> {
        self.write(stream, DATA, if close { REMOTE_CLOSED } else { 0 }, message).await
    }

    /// Ends a stream with OK.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) async fn close(&self, stream: u32) -> io::Result<()> {
        self.write(stream, DATA, REMOTE_CLOSED | NO_DATA, &[]).await
    }

    async fn write(&self, stream: u32, kind: u8, flags: u8, data: &[u8]) -> io::Result<()> {
        if data.len() > MAX_DATA {
            let why = format!("the frame has {} bytes, and ttrpc allows {MAX_DATA}", data.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let frame = frame(stream, kind, flags, data);
        let mut io = self.io.lock().await;
        io.write_all(&frame).await?;
        io.flush().await
    }
}

/// `google.rpc.Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }`
pub(crate) fn encode_status(code: u32, message: &str, details: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    if code != 0 {
        out.push(1 << 3);
        encode_varint(code.into(), &mut out);
    }
    let details = details.iter().map(|detail| (3, detail.as_ref()));
    let message = (!message.is_empty()).then_some((2, message.as_bytes()));
    for (number, bytes) in message.into_iter().chain(details) {
        out.push(number << 3 | 2);
        encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_read_and_answered() {
        let (ours, mut theirs) = tokio::io::duplex(8 << 20);
        let (mut reader, answer) = serve_ttrpc(Box::new(ours));
        // service a.B, method C, payload "hi", timeout 300, metadata k: v
        let data = b"\x0a\x03a.B\x12\x01C\x1a\x02hi\x20\xac\x02\x2a\x06\x0a\x01k\x12\x01v";
        let mut bytes = vec![0, 0, 0, data.len() as u8, 0, 0, 0, 1, 1, 2];
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(b"\0\0\0\x04\0\0\0\x01\x03\0more\0\0\0\0\0\0\0\x01\x03\x05");
        bytes.extend_from_slice(&(MAX_DATA as u32 + 1).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 3, 1, 0]);
        bytes.resize(bytes.len() + MAX_DATA + 1, 0);
        theirs.write_all(&bytes).await.expect("room");
        let request = Request { service: "a.B".into(), method: "C".into(), payload: b"hi".to_vec(), timeout_nano: 300 };
        let mut frames = Vec::new();
        for _ in 0..4 {
            frames.push(reader.next().await.expect("a frame").expect("a frame"));
        }
        assert_eq!(frames[0], Frame::Request { stream: 1, request, open: true });
        assert_eq!(frames[1], Frame::Data { stream: 1, message: Some(b"more".to_vec()), close: false });
        assert_eq!(frames[2], Frame::Data { stream: 1, message: None, close: true });
        assert!(matches!(frames[3], Frame::Malformed { stream: 3, .. }));
        let status = encode_status(5, "no", &[b"d"]);
        assert_eq!(status, b"\x08\x05\x12\x02no\x1a\x01d");
        answer.data(1, b"m", false).await.expect("room");
        answer.close(1).await.expect("room");
        answer.response(3, &status, b"").await.expect("room");
        let expected = b"\0\0\0\x01\0\0\0\x01\x03\0m\0\0\0\0\0\0\0\x01\x03\x05\0\0\0\x0b\0\0\0\x03\x02\0\x0a\x09\x08\x05\x12\x02no\x1a\x01d";
        let mut written = vec![0; expected.len()];
        theirs.read_exact(&mut written).await.expect("frames");
        assert_eq!(written, expected);
        drop(theirs);
        assert_eq!(reader.next().await.expect("an end"), None);
    }
}
