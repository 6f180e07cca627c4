//! Traffic that tests make themselves: a pcap of TCP connections over IPv4, with HTTP/2 and gRPC on them.

/// Raw IP packets, as the link types number them.
const LINK_RAW: u32 = 101;

pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const FIN: u8 = 1;

/// What a client sends first (RFC 9113 §3.4), with empty SETTINGS.
pub(crate) const CLIENT_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Empty SETTINGS, as a server begins.
pub(crate) const SERVER_PREFACE: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

/// Where the servers of all connections listen.
pub(crate) const SERVER: ([u8; 4], u16) = ([11, 0, 0, 1], 50_051);

/// A pcap file in the making. Packets are 10 µs apart.
pub(crate) struct Traffic {
    pub(crate) bytes: Vec<u8>,
    time: u64,
}

/// One connection of it: the address and port of its client, and how far its two flows are.
pub(crate) struct Client {
    address: ([u8; 4], u16),
    seq: [u32; 2],
}

impl Client {
    /// The `no`th client: no two have the same address and port.
    pub(crate) fn new(no: u32) -> Self {
        let [_, a, b, c] = (no / 50_000).to_be_bytes();
        Self {
            address: ([10, a, b, c], 1024 + (no % 50_000) as u16),
            seq: [100_u32.wrapping_add(no), 900_u32.wrapping_add(no)],
        }
    }
}

impl Traffic {
    pub(crate) fn new() -> Self {
        let mut bytes = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0]); // version 2.4
        for field in [0, 0, 1 << 18, LINK_RAW] {
            bytes.extend(u32::to_le_bytes(field)); // zone, accuracy, snap length, link type
        }
        Self { bytes, time: 1_700_000_000_000_000 }
    }

    /// An IP datagram, as it is.
    pub(crate) fn datagram(&mut self, parts: &[&[u8]]) {
        self.time += 10;
        let length = parts.iter().map(|part| part.len() as u32).sum();
        let seconds = (self.time / 1_000_000) as u32;
        for field in [seconds, (self.time % 1_000_000) as u32, length, length] {
            self.bytes.extend(field.to_le_bytes());
        }
        parts.iter().for_each(|part| self.bytes.extend(*part));
    }

    /// A segment of the connection. Its sender has received all that the other side has sent.
    pub(crate) fn packet(&mut self, client: &mut Client, to_client: bool, flags: u8, payload: &[u8]) {
        self.packet_behind(client, to_client, flags, payload, 0);
    }

    /// A segment whose sender has not received the last `unseen` bytes of the other side.
    pub(crate) fn packet_behind(
        &mut self,
        client: &mut Client,
        to_client: bool,
        flags: u8,
        payload: &[u8],
        unseen: u32,
    ) {
        let ends = [client.address, SERVER];
        let [from, to] = if to_client { [ends[1], ends[0]] } else { ends };
        let own = usize::from(to_client);
        let mut tcp = Vec::with_capacity(20);
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(client.seq[own].to_be_bytes());
        tcp.extend(client.seq[1 - own].wrapping_sub(unseen).to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        let ip = ip_header([from.0, to.0], 0, 0, tcp.len() + payload.len());
        self.datagram(&[&ip, &tcp, payload]);
        let length = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        client.seq[own] = client.seq[own].wrapping_add(length);
    }

    /// The handshake, and the prefaces of HTTP/2.
    pub(crate) fn open(&mut self, client: &mut Client) {
        self.packet(client, false, SYN, b"");
        self.packet(client, true, SYN | ACK, b"");
        self.packet(client, false, ACK, CLIENT_PREFACE);
        self.packet(client, true, ACK, SERVER_PREFACE);
    }

    /// Both ends say that they are done.
    pub(crate) fn close(&mut self, client: &mut Client) {
        self.packet(client, false, FIN | ACK, b"");
        self.packet(client, true, FIN | ACK, b"");
        self.packet(client, false, ACK, b"");
    }

    /// A unary call that ends with OK. Frames get no larger than the 16 KiB that peers must accept.
    pub(crate) fn call(&mut self, client: &mut Client, stream: u32, path: &str, request: &[u8], response: &[u8]) {
        let headers = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")];
        self.packet(client, false, ACK, &frame(1, 4, stream, &fields(&headers)));
        self.message(client, false, stream, request);
        self.packet(client, false, ACK, &frame(0, 1, stream, b""));
        let headers = [(":status", "200"), ("content-type", "application/grpc")];
        self.packet(client, true, ACK, &frame(1, 4, stream, &fields(&headers)));
        self.message(client, true, stream, response);
        self.packet(client, true, ACK, &frame(1, 5, stream, &fields(&[("grpc-status", "0")])));
    }

    /// A gRPC message in DATA frames.
    fn message(&mut self, client: &mut Client, to_client: bool, stream: u32, content: &[u8]) {
        let prefixed = [&[0][..], &(content.len() as u32).to_be_bytes(), content].concat();
        for piece in prefixed.chunks(16_384) {
            self.packet(client, to_client, ACK, &frame(0, 0, stream, piece));
        }
    }
}

/// An IPv4 header (RFC 791 §3.1) without options of a datagram with `length` bytes behind it. `fragment`: flags and offset.
pub(crate) fn ip_header(ends: [[u8; 4]; 2], id: u16, fragment: u16, length: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + length as u16).to_be_bytes());
    header[4..6].copy_from_slice(&id.to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header[8..10].copy_from_slice(&[64, 6]); // time to live, TCP
    header[12..16].copy_from_slice(&ends[0]);
    header[16..].copy_from_slice(&ends[1]);
    header
}

/// An HTTP/2 frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals that are not indexed, each shorter than 127 bytes (RFC 7541 §6.2.2).
pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for text in fields {
        block.push(0);
        for text in [text.0, text.1] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}
