//! System calls: what each one means for processes and sockets.

use super::args::{self, Piece, Shape};
use super::call::{self, Call, Returned};
use super::fd::{self, Annotation, Fd, split};
use super::log::Log;
use super::prefix::number;
use super::processes::{Descriptor, ThreadId};
use super::sockets::{Context, SocketNo, Sockets, Source, Transfer, TransferKind, Transport};
use super::string;
use super::unidentified::{Moved, Observed};
use crate::connection::Close;
use crate::streams::event::Sink;

/// The largest descriptor that systems allow (`fs.nr_open` is at most this).
const MAX_FD: u32 = 1 << 30;

/// One line of a log.
pub(super) struct Step<'l, 's, 'e> {
    pub(super) log: &'l mut Log,
    /// Whose line it is.
    pub(super) thread: ThreadId,
    pub(super) source: Source,
    pub(super) sink: &'s mut Sink<'e>,
}

/// A call that has returned.
struct Returning<'a> {
    /// What is between its parentheses.
    args: &'a [u8],
    returned: Returned<'a>,
    /// What is dumped after the line.
    dump: &'a [u8],
}

impl<'e> Step<'_, '_, 'e> {
    /// The first half of a call. Gives the socket that it writes to.
    pub(super) fn begins(&mut self, call: Call, args: &[u8]) -> Option<SocketNo> {
        match call {
            Call::Data(TransferKind::Write, _) | Call::Splice { .. } => {
                return fd::fd(args).and_then(|(fd, _)| self.socket(&fd));
            }
            Call::Connect => self.connect(args),
            Call::Clone => self.log.processes.cloning(self.thread, args),
            _ => {}
        }
        None
    }

    fn sockets(&mut self) -> (&mut Sockets, Context<'_, 'e>) {
        let log = &mut *self.log;
        (&mut log.sockets, Context { processes: &log.processes, sink: self.sink, source: self.source })
    }

    /// A whole call.
    pub(super) fn call(&mut self, call: Call, rest: &[u8], dump: &[u8]) {
        let Some((args, returned)) = call::result(rest) else {
            self.broken(call, rest);
            return;
        };
        let it = Returning { args, returned, dump };
        match call {
            Call::Data(kind, shape) => self.data(kind, shape, &it),
            Call::Splice { output_first } => self.splice(output_first, &it),
            Call::Socket => self.made_socket(&it),
            Call::SocketPair => self.made_pair(&it),
            Call::Connect => self.connected(&it),
            Call::Accept => self.accepted(&it),
            Call::Bind | Call::Name | Call::PeerName => self.named(call, &it),
            Call::Close => {
                if returned.value == Some(0)
                    && let Some((fd, _)) = fd::fd(args)
                {
                    self.socket(&fd);
                    self.is_identified(fd.number);
                    let lost = self.log.processes.close(self.thread, fd.number);
                    self.closed(lost.into_iter().collect());
                }
            }
            Call::CloseRange => self.close_range(&it),
            Call::Shutdown => {
                let ends = [&b"SHUT_WR"[..], b"SHUT_RDWR"].iter().any(|how| memchr::memmem::find(args, how).is_some());
                if returned.value == Some(0)
                    && ends
                    && let Some((fd, _)) = fd::fd(args)
                    && let Some(socket) = self.socket(&fd)
                {
                    let (sockets, mut context) = self.sockets();
                    sockets.ended(socket, TransferKind::Write, Close::Fin, &mut context);
                }
            }
            Call::Dup => self.duplicated(&it),
            Call::Fcntl => self.fcntl(&it),
            Call::Clone => {
                let child = returned.value.and_then(|child| u32::try_from(child).ok()).filter(|child| *child > 0);
                self.log.processes.cloned_by_call(self.thread, child, args);
            }
            Call::Execute => {
                if returned.value == Some(0) {
                    let mut program = Vec::new();
                    // `execveat` has a descriptor in front of it.
                    let path = memchr::memchr(b'"', args).and_then(|at| args.get(at..)).unwrap_or_default();
                    string::decode(path, 4096, &mut program);
                    let lost = self.log.processes.executed(self.thread, &program);
                    self.closed(lost);
                }
            }
            Call::Opens => self.opened(returned.text),
            Call::Pipe => {
                if returned.value == Some(0)
                    && let Some((_, list)) = split(args, b"[")
                    && let Some((first, rest)) = fd::fd(list)
                    && let Some((second, _)) = rest.strip_prefix(b", ").and_then(fd::fd)
                {
                    self.set(first.number, None, false);
                    self.set(second.number, None, false);
                }
            }
        }
    }

    /// A call of which the end is missing: the log was cut, or the line was too long.
    fn broken(&mut self, call: Call, rest: &[u8]) {
        // With the message that a process was attached in the middle of it, where both went to the terminal.
        if call == Call::Clone
            && let Some((args, attached)) = split(rest, b"strace: Process ")
        {
            let child = number(attached).and_then(|(child, _)| u32::try_from(child).ok());
            self.log.processes.cloned_by_call(self.thread, child, args);
        }
        if let Call::Data(kind, _) = call
            && let Some((fd, _)) = fd::fd(rest)
            && let Some(socket) = self.socket(&fd)
        {
            let (sockets, mut context) = self.sockets();
            sockets.moved_unknown(socket, kind, &mut context);
        }
    }

    /// The stream socket that a descriptor is.
    fn socket(&mut self, fd: &Fd) -> Option<SocketNo> {
        let known = self.log.processes.get(self.thread, fd.number);
        let is_no_socket = known.is_some_and(|known| known.socket.is_none());
        if matches!(fd.annotation, Annotation::Nothing | Annotation::Socket(_)) && is_no_socket {
            return None;
        }
        let known_socket = match (known, &fd.annotation) {
            (Some(known), _) => known.socket,
            (None, Annotation::Nothing) => self.log.processes.join_sibling(self.thread, fd.number),
            // Another thread may have connected it.
            (None, Annotation::TcpInode(_) | Annotation::Tcp(..)) => {
                self.log.processes.siblings_socket(self.thread, fd.number)
            }
            (None, _) => None,
        };
        let thread = self.thread;
        let (sockets, mut context) = self.sockets();
        let socket = sockets.find(known_socket, &fd.annotation, &mut context)?;
        let is_new = known.and_then(|known| known.socket) != Some(socket);
        if is_new && fd.annotation != Annotation::Nothing && fd.number < MAX_FD {
            let closes_on_exec = known.is_some_and(|known| known.closes_on_exec);
            let descriptor = Descriptor { socket: Some(socket), closes_on_exec };
            let lost = self.log.processes.set(thread, fd.number, descriptor);
            self.closed(lost.into_iter().collect());
        }
        let (sockets, mut context) = self.sockets();
        sockets.used(socket, thread, &mut context);
        Some(socket)
    }

    fn set(&mut self, fd: u32, socket: Option<SocketNo>, closes_on_exec: bool) {
        self.is_identified(fd);
        let lost = self.log.processes.set(self.thread, fd, Descriptor { socket, closes_on_exec });
        self.closed(lost.into_iter().collect());
    }

    /// It is known what a descriptor is.
    fn is_identified(&mut self, fd: u32) {
        if let Some(table) = self.log.processes.table(self.thread) {
            self.log.unidentified.forget((table, fd));
        }
    }

    /// A call moved bytes of a descriptor of which nothing is known.
    fn unidentified(&mut self, kind: TransferKind, shape: Shape, fd: u32, it: &Returning<'_>) {
        /// What every process has: input, output, errors.
        const STANDARD: u32 = 2;

        let Some(count @ 1..) = it.returned.value.and_then(|value| u64::try_from(value).ok()) else { return };
        let Some(table) = self.log.processes.table(self.thread) else { return };
        if fd <= STANDARD || self.log.processes.get(self.thread, fd).is_some() || shape == Shape::Messages {
            return;
        }
        let args = fd::fd(it.args).map_or(&[][..], |(_, rest)| rest.strip_prefix(b", ").unwrap_or(rest));
        let buffer = &mut self.sink.events.bytes;
        let start = buffer.len();
        let (pieces, rest) = args::collect(shape, args, count, buffer);
        if is_peek(rest) {
            buffer.truncate(start);
            return;
        }
        let moved = Moved { kind, packet: self.sink.packet, time: self.sink.time, pieces };
        let socket = self.log.unidentified.moved((table, fd), moved, buffer);
        buffer.truncate(start);
        if let Some(observed) = socket {
            self.is_socket(fd, &observed);
        }
    }

    /// A descriptor turned out to be a socket: counts what happened to it until now.
    fn is_socket(&mut self, fd: u32, observed: &Observed) {
        let thread = self.thread;
        let socket = self.log.sockets.new_socket(Transport::Unknown, false, thread.session);
        self.set(fd, Some(socket), false);
        let now = (self.sink.packet, self.sink.time);
        for call in &observed.calls {
            // It is reported now, but with its own line and time.
            (self.sink.packet.no, self.sink.time) = (call.packet.no, call.time);
            let buffer = &mut self.sink.events.bytes;
            let start = buffer.len();
            let mut pieces = Vec::new();
            for piece in &call.pieces {
                let from = buffer.len();
                buffer.extend_from_slice(observed.bytes.get(piece.bytes.clone()).unwrap_or_default());
                pieces.push(Piece { bytes: from..buffer.len(), missing: piece.missing });
            }
            let (sockets, mut context) = self.sockets();
            sockets.used(socket, thread, &mut context);
            sockets.moved(socket, &Transfer { kind: call.kind, pieces: &pieces, start }, &mut context);
        }
        (self.sink.packet, self.sink.time) = now;
    }

    /// The last known descriptors of these sockets were closed.
    pub(super) fn closed(&mut self, closed: Vec<SocketNo>) {
        let (sockets, mut context) = self.sockets();
        for socket in closed {
            sockets.closed(socket, &mut context);
        }
    }

    fn data(&mut self, kind: TransferKind, shape: Shape, it: &Returning<'_>) {
        let Some(value) = it.returned.value else { return };
        let Some((fd, rest)) = fd::fd(it.args) else { return };
        if fd.annotation == Annotation::Other {
            return;
        }
        let Some(socket) = self.socket(&fd) else {
            if fd.annotation == Annotation::Nothing {
                self.unidentified(kind, shape, fd.number, it);
            }
            return;
        };
        let args = rest.strip_prefix(b", ").unwrap_or(rest);
        let end = match value {
            1.. => None,
            0 => (kind == TransferKind::Read && has_room(shape, args)).then_some((kind, Close::Fin)),
            _ if it.returned.text.starts_with(b"-1 ECONNRESET") => Some((kind, Close::Rst)),
            _ if it.returned.text.starts_with(b"-1 EPIPE") => Some((TransferKind::Write, Close::Rst)),
            _ => None,
        };
        let (sockets, mut context) = self.sockets();
        if let Some((kind, how)) = end {
            sockets.ended(socket, kind, how, &mut context);
            if how == Close::Rst {
                sockets.ended(socket, TransferKind::Write, how, &mut context);
                sockets.ended(socket, TransferKind::Read, how, &mut context);
            }
        }
        let Ok(value @ 1..) = u64::try_from(value) else { return };
        let start = context.sink.events.bytes.len();
        let (mut pieces, rest) = args::collect(shape, args, value, &mut context.sink.events.bytes);
        if is_peek(rest) {
            context.sink.events.bytes.truncate(start);
            return;
        }
        if shape != Shape::Messages && !it.dump.is_empty() && pieces.iter().any(|piece| piece.missing > 0) {
            let dumped = args::dumped(it.dump, &mut context.sink.events.bytes);
            if dumped.len() as u64 >= value {
                let end = dumped.start + value as usize;
                context.sink.events.bytes.truncate(end);
                pieces = vec![Piece { bytes: dumped.start..end, missing: 0 }];
            }
        }
        sockets.moved(socket, &Transfer { kind, pieces: &pieces, start }, &mut context);
        if memchr::memmem::find(rest, b"SCM_RIGHTS").is_some() {
            self.rights(kind, socket, rest);
        }
    }

    /// Descriptors that were sent or received beside the bytes.
    fn rights(&mut self, kind: TransferKind, by: SocketNo, rest: &[u8]) {
        let mut rest = rest;
        while let Some((_, message)) = split(rest, b"SCM_RIGHTS") {
            let Some((_, mut list)) = split(message, b"cmsg_data=[") else { return };
            while let Some((fd, after)) = fd::fd(list) {
                match kind {
                    TransferKind::Write => {
                        if let Some(socket) = self.socket(&fd) {
                            self.log.sockets.sent_socket(by, socket);
                        }
                    }
                    TransferKind::Read => {
                        let sent = self.log.sockets.received_socket(by);
                        let socket = if fd.annotation == Annotation::Nothing { sent } else { None };
                        if socket.is_some() {
                            self.set(fd.number, socket, false);
                        } else {
                            self.socket(&fd);
                        }
                    }
                }
                list = after.strip_prefix(b", ").unwrap_or_default();
            }
            rest = message;
        }
    }

    /// Bytes that went from one descriptor to another.
    fn splice(&mut self, output_first: bool, it: &Returning<'_>) {
        let Some(count @ 1..) = it.returned.value.and_then(|value| u64::try_from(value).ok()) else { return };
        let Some((first, rest)) = fd::fd(it.args) else { return };
        let rest = rest.strip_prefix(b", ").unwrap_or_default();
        // `splice(3, NULL, 4, NULL, 9, 0)`, `sendfile(4, 3, NULL, 9)`.
        let rest = if output_first { rest } else { split(rest, b", ").map_or(&[][..], |(_, rest)| rest) };
        let second = fd::fd(rest).map(|(fd, _)| fd);
        let kinds = if output_first {
            [TransferKind::Write, TransferKind::Read]
        } else {
            [TransferKind::Read, TransferKind::Write]
        };
        for (fd, kind) in [(Some(first), kinds[0]), (second, kinds[1])] {
            let Some(socket) = fd.and_then(|fd| self.socket(&fd)) else { continue };
            let (sockets, mut context) = self.sockets();
            let start = context.sink.events.bytes.len();
            let pieces = [Piece { bytes: start..start, missing: count }];
            sockets.moved(socket, &Transfer { kind, pieces: &pieces, start }, &mut context);
        }
    }

    fn made_socket(&mut self, it: &Returning<'_>) {
        let Some((fd, _)) = fd::fd(it.returned.text) else { return };
        let is_stream = memchr::memmem::find(it.args, b"SOCK_STREAM").is_some();
        let transport = match it.args {
            [b'A', b'F', b'_', b'U', b'N', b'I', b'X', b',', ..] => Some(Transport::Unix),
            [b'A', b'F', b'_', b'L', b'O', b'C', b'A', b'L', b',', ..] => Some(Transport::Unix),
            [b'A', b'F', b'_', b'I', b'N', b'E', b'T', ..] => Some(Transport::Tcp),
            _ => None,
        };
        let closes = memchr::memmem::find(it.args, b"SOCK_CLOEXEC").is_some();
        let socket = transport.filter(|_| is_stream).map(|transport| {
            let (sockets, mut context) = self.sockets();
            sockets.born(&fd.annotation, transport, &mut context)
        });
        self.set(fd.number, socket, closes);
        self.socket(&fd);
    }

    fn made_pair(&mut self, it: &Returning<'_>) {
        if it.returned.value != Some(0) {
            return;
        }
        let Some((kind, list)) = split(it.args, b"[") else { return };
        let Some((first, rest)) = fd::fd(list) else { return };
        let Some((second, _)) = rest.strip_prefix(b", ").and_then(fd::fd) else { return };
        let closes = memchr::memmem::find(kind, b"SOCK_CLOEXEC").is_some();
        let is_stream = memchr::memmem::find(kind, b"SOCK_STREAM").is_some();
        // The second has the first one's other end already; it is not a new one then.
        let pair = is_stream.then(|| {
            let (sockets, mut context) = self.sockets();
            let one = sockets.born(&first.annotation, Transport::Unix, &mut context);
            let other = sockets.born(&second.annotation, Transport::Unix, &mut context);
            sockets.paired(one, other);
            (one, other)
        });
        self.set(first.number, pair.map(|(one, _)| one), closes);
        self.set(second.number, pair.map(|(_, other)| other), closes);
        for fd in [first, second] {
            self.socket(&fd);
        }
    }

    /// A call to `connect` has begun.
    fn connect(&mut self, args: &[u8]) {
        if let Some((fd, rest)) = fd::fd(args)
            && let Some(to) = fd::sockaddr(rest)
            && let Some(socket) = self.socket(&fd)
        {
            self.log.sockets.connecting(socket, to);
        }
    }

    fn connected(&mut self, it: &Returning<'_>) {
        let is_under_way = it.returned.text.starts_with(b"-1 EINPROGRESS");
        if it.returned.value == Some(0) || is_under_way {
            self.connect(it.args);
        } else if let Some((fd, _)) = fd::fd(it.args)
            && !it.returned.text.starts_with(b"-1 EISCONN")
            && !it.returned.text.starts_with(b"-1 EALREADY")
            && let Some(socket) = self.socket(&fd)
        {
            self.log.sockets.not_connected(socket);
        }
    }

    fn accepted(&mut self, it: &Returning<'_>) {
        if it.returned.value.is_none_or(|value| value < 0) {
            return;
        }
        let Some((made, _)) = fd::fd(it.returned.text) else { return };
        let Some((listening, rest)) = fd::fd(it.args) else { return };
        // If nothing is known of the listener, it still is a stream: it accepts.
        let listening = self.socket(&listening);
        if made.annotation == Annotation::Other {
            return;
        }
        let closes = memchr::memmem::find(rest, b"SOCK_CLOEXEC").is_some();
        let peer = fd::sockaddr(rest);
        let (sockets, mut context) = self.sockets();
        let accepted = sockets.born(&made.annotation, Transport::Unknown, &mut context);
        sockets.accepted(accepted, listening, peer.as_ref(), &mut context);
        self.set(made.number, Some(accepted), closes);
        self.socket(&made);
    }

    /// `bind`, `getsockname` and `getpeername`.
    fn named(&mut self, call: Call, it: &Returning<'_>) {
        if it.returned.value == Some(0)
            && let Some((fd, rest)) = fd::fd(it.args)
            && let Some(name) = fd::sockaddr(rest)
            && let Some(socket) = self.socket(&fd)
        {
            match call {
                Call::PeerName => self.log.sockets.set_peer_name(socket, &name),
                _ => {
                    self.log.sockets.set_name(socket, &name);
                    let (sockets, mut context) = self.sockets();
                    sockets.named_late(socket, &mut context);
                }
            }
        }
    }

    fn close_range(&mut self, it: &Returning<'_>) {
        if it.returned.value != Some(0) || memchr::memmem::find(it.args, b"CLOSE_RANGE_CLOEXEC").is_some() {
            return;
        }
        let Some((first, rest)) = number(it.args) else { return };
        let last = rest.strip_prefix(b", ").and_then(number).map_or(u64::MAX, |(last, _)| last);
        let [first, last] = [first, last].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        for fd in self.log.processes.range(self.thread, first, last) {
            let lost = self.log.processes.close(self.thread, fd);
            self.closed(lost.into_iter().collect());
        }
    }

    fn duplicated(&mut self, it: &Returning<'_>) {
        let Some((made, _)) = fd::fd(it.returned.text) else { return };
        let Some((old, rest)) = fd::fd(it.args) else { return };
        let closes = memchr::memmem::find(rest, b"O_CLOEXEC").is_some();
        self.copied(&old, &made, closes);
    }

    fn copied(&mut self, old: &Fd, made: &Fd, closes: bool) {
        if old.number == made.number {
            return;
        }
        let socket = self.socket(old);
        let is_known = socket.is_some() || self.log.processes.get(self.thread, old.number).is_some();
        if is_known || self.log.processes.get(self.thread, made.number).is_some() {
            self.set(made.number, socket, closes);
        }
    }

    fn fcntl(&mut self, it: &Returning<'_>) {
        let Some((old, rest)) = fd::fd(it.args) else { return };
        if rest.starts_with(b", F_DUPFD") {
            if let Some((made, _)) = fd::fd(it.returned.text) {
                let closes = rest.starts_with(b", F_DUPFD_CLOEXEC");
                self.copied(&old, &made, closes);
            }
        } else if rest.starts_with(b", F_SETFD")
            && it.returned.value == Some(0)
            && let Some(known) = self.log.processes.get(self.thread, old.number)
        {
            let closes = memchr::memmem::find(rest, b"FD_CLOEXEC").is_some();
            self.set(old.number, known.socket, closes);
        }
    }

    /// A descriptor is something else from now on.
    fn opened(&mut self, returned: &[u8]) {
        if let Some((made, _)) = fd::fd(returned)
            && (made.annotation == Annotation::Nothing || self.log.processes.get(self.thread, made.number).is_some())
        {
            self.set(made.number, None, false);
        }
    }
}

/// Whether a call only looked at what is there, by what follows its bytes.
fn is_peek(rest: &[u8]) -> bool {
    memchr::memmem::find(rest, b"MSG_PEEK").is_some()
}

/// Whether a call that read nothing would have read something: it asked for more than no bytes.
fn has_room(shape: Shape, args: &[u8]) -> bool {
    match shape {
        Shape::Buffer => {
            let Some(end) = string::decode(args, 0, &mut Vec::new()) else { return false };
            end.rest.strip_prefix(b", ").and_then(number).is_some_and(|(size, _)| size > 0)
        }
        Shape::Vector | Shape::Message => true,
        // It returns how many messages there were.
        Shape::Messages => false,
    }
}
