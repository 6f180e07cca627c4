//! ttrpc as a client: frames as PROTOCOL.md of containerd/ttrpc describes them.
//!
//! ```text
//! data length (u32) | stream (u32) | type (u8) | flags (u8) | data
//! ```
//!
//! The connection is never shut down for writing: Go servers then close it without an answer. Streams are numbered upwards, in
//! the order in which they are written, which Go servers demand.

use std::cell::Cell;
use std::io;

use prost::encoding::encode_varint;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::sync::Mutex;

use super::transport::Io;

/// A connection that speaks ttrpc.
pub(crate) struct TtrpcConnection {
    writer: Mutex<WriteHalf<Box<dyn Io>>>,
    next: Cell<u32>,
}

/// What a Request says besides its payload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// The full name of the service.
    pub(crate) service: String,
    /// The name of the method.
    pub(crate) method: String,
    /// How long the client waits, in nanoseconds; 0 for no limit.
    pub(crate) timeout_nano: i64,
    /// Metadata, in order.
    pub(crate) metadata: Vec<(String, String)>,
}

/// A frame's data can have so many bytes at most.
pub(crate) const MAX_DATA: usize = 4 << 20;

/// Frame types.
pub(super) const REQUEST: u8 = 1;
pub(super) const DATA: u8 = 3;

/// Flags.
pub(crate) const REMOTE_CLOSED: u8 = 1;
pub(super) const NO_DATA: u8 = 4;

impl TtrpcConnection {
    /// Begins ttrpc on `io`. The other value reads answers until the connection ends.
    pub(crate) fn new(io: Box<dyn Io>) -> (Self, impl Future<Output = io::Result<()>> + 'static) {
        let (reader, writer) = split(io);
        (Self { writer: Mutex::new(writer), next: Cell::new(1) }, discard(reader))
    }

    /// Sends a Request. `numbered` learns the number of its stream before anything is written.
    ///
    /// # Errors
    ///
    /// If it is too large, or cannot be written.
    pub(crate) async fn request(
        &self,
        request: &Request,
        payload: &[u8],
        flags: u8,
        numbered: impl FnOnce(u32),
    ) -> io::Result<()> {
        let data = request.encode(payload);
        if data.len() > MAX_DATA {
            let why = format!("the Request has {} bytes, and ttrpc allows {MAX_DATA}", data.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut writer = self.writer.lock().await;
        let stream = self.next.get();
        self.next.set(stream + 2);
        numbered(stream);
        writer.write_all(&frame(stream, REQUEST, flags, &data)).await?;
        writer.flush().await
    }

    /// Sends a message of a stream. `close`: it is the last.
    ///
    /// # Errors
    ///
    /// If it is too large, or cannot be written.
    pub(crate) async fn data(&self, stream: u32, data: &[u8]) -> io::Result<()> {
        if data.len() > MAX_DATA {
            let why = format!("the message has {} bytes, and ttrpc allows {MAX_DATA}", data.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        self.write(&frame(stream, DATA, 0, data)).await
    }

    /// Says that no more messages follow in a stream.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub(crate) async fn half_close(&self, stream: u32) -> io::Result<()> {
        self.write(&frame(stream, DATA, REMOTE_CLOSED | NO_DATA, &[])).await
    }

    async fn write(&self, frame: &[u8]) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        writer.write_all(frame).await?;
        writer.flush().await
    }
}

/// A frame.
pub(super) fn frame(stream: u32, kind: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(10 + data.len());
    frame.extend_from_slice(&(data.len() as u32).to_be_bytes());
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(data);
    frame
}

impl Request {
    /// `Request { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; repeated KeyValue metadata = 5; }`
    fn encode(&self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() + 64);
        let text = |number: u8, bytes: &[u8], out: &mut Vec<u8>| {
            if !bytes.is_empty() {
                out.push(number << 3 | 2);
                encode_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
        };
        text(1, self.service.as_bytes(), &mut out);
        text(2, self.method.as_bytes(), &mut out);
        text(3, payload, &mut out);
        if self.timeout_nano != 0 {
            out.push(4 << 3);
            encode_varint(self.timeout_nano.cast_unsigned(), &mut out);
        }
        for (key, value) in &self.metadata {
            let mut pair = Vec::new();
            text(1, key.as_bytes(), &mut pair);
            text(2, value.as_bytes(), &mut pair);
            out.push(5 << 3 | 2);
            encode_varint(pair.len() as u64, &mut out);
            out.extend_from_slice(&pair);
        }
        out
    }
}

/// Reads until the end.
async fn discard(mut reader: ReadHalf<impl AsyncRead>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_written_as_go_writes_them() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let (connection, reading) = TtrpcConnection::new(Box::new(ours));
        drop(reading);
        let request = Request {
            service: "a.B".into(),
            method: "C".into(),
            timeout_nano: 300,
            metadata: vec![("k".into(), "v".into())],
        };
        let mut stream = 0;
        connection.request(&request, b"hi", 2, |number| stream = number).await.expect("room");
        assert_eq!(stream, 1);
        connection.data(stream, b"more").await.expect("room");
        connection.half_close(stream).await.expect("room");
        let data = b"\x0a\x03a.B\x12\x01C\x1a\x02hi\x20\xac\x02\x2a\x06\x0a\x01k\x12\x01v";
        let mut expected = vec![0, 0, 0, data.len() as u8, 0, 0, 0, 1, 1, 2];
        expected.extend_from_slice(data);
        expected.extend_from_slice(b"\0\0\0\x04\0\0\0\x01\x03\0more");
        expected.extend_from_slice(b"\0\0\0\0\0\0\0\x01\x03\x05");
        let mut written = vec![0; expected.len()];
        theirs.read_exact(&mut written).await.expect("frames");
        assert_eq!(written, expected);
        let large = vec![0; MAX_DATA + 1];
        assert!(connection.data(stream, &large).await.is_err());
    }
}
