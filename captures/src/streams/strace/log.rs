//! A log: lines in, events out.

use hashbrown::HashMap;

use super::args::{self, Shape};
use super::call::{self, Call, Line, Returned};
use super::fd::{self, Fd, Note, split};
use super::prefix::{self, number};
use super::processes::{Descriptor, Processes};
use super::sockets::{Context, Move, SocketNo, Sockets, Transport};
use super::strangers::Strangers;
use super::string;
use crate::connection::Close;
use crate::streams::event::Sink;

/// What the first halves of calls may take together, in bytes. Behind it, further ones are not kept, and what their
/// calls move is missing.
const MAX_PENDING: usize = 256 << 20;

/// Calls that have begun and not returned, at a time. Behind it, further ones are not kept either.
const MAX_CALLS: usize = 1 << 16;

/// The largest descriptor that systems allow (`fs.nr_open` is at most this).
const MAX_FD: u32 = 1 << 30;

/// The log of one session: one file, or the files of `-ff` together.
#[derive(Debug, Default)]
pub(crate) struct Log {
    processes: Processes,
    sockets: Sockets,
    strangers: Strangers,
    /// Calls that have begun, by process.
    pending: HashMap<u32, Pending>,
    pending_bytes: usize,
    /// The whole of a call that stands on two lines.
    joined: Vec<u8>,
}

#[derive(Debug)]
struct Pending {
    name: Box<[u8]>,
    args: Box<[u8]>,
    /// The socket that it writes to.
    writes: Option<SocketNo>,
}

/// A call that has returned.
struct Returning<'a> {
    pid: u32,
    /// What stands between its parentheses.
    args: &'a [u8],
    returned: Returned<'a>,
    /// What is dumped behind the line.
    dump: &'a [u8],
}

impl Log {
    /// Takes a line, and the lines of a dump behind it. `pid`: whose line it is where it does not say.
    pub(crate) fn line(&mut self, text: &[u8], pid: Option<u32>, sink: &mut Sink<'_>) {
        let (line, dump) = match memchr::memchr(b'\n', text) {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let columns = prefix::prefix(line);
        let by_return = pid.is_none();
        let pid = if columns.pid == 0 { pid.unwrap_or_default() } else { columns.pid };
        self.sockets.next_line(&mut Context { processes: &self.processes, sink, by_return });
        match call::line(columns.body) {
            Line::Call { name, rest } => {
                let Some(call) = Call::named(name) else { return };
                self.enter(pid, columns.comm);
                self.call(call, pid, rest, dump, by_return, sink);
            }
            Line::Unfinished { name, args } => {
                let Some(call) = Call::named(name) else { return };
                self.enter(pid, columns.comm);
                self.begin(call, pid, name, args, by_return, sink);
            }
            Line::Resumed { name, rest } => {
                let Some(pending) = self.take_pending(pid) else { return };
                let Some(call) = Call::named(name).filter(|_| *pending.name == *name) else { return };
                let mut joined = std::mem::take(&mut self.joined);
                joined.clear();
                joined.extend_from_slice(&pending.args);
                joined.extend_from_slice(rest);
                self.call(call, pid, &joined, dump, by_return, sink);
                self.joined = joined;
            }
            Line::Exited => {
                self.take_pending(pid);
                let lost = self.processes.exited(pid);
                self.closed(lost, by_return, sink);
            }
            Line::Other => {}
        }
    }

    /// The log has ended.
    pub(crate) fn finish(&mut self, sink: &mut Sink<'_>) {
        let mut context = Context { processes: &self.processes, sink, by_return: true };
        self.sockets.finish(&mut context);
        *self = Self::default();
    }

    fn enter(&mut self, pid: u32, comm: Option<&[u8]>) {
        self.processes.seen(pid);
        if let Some(comm) = comm {
            self.processes.name(pid, comm);
        }
    }

    fn take_pending(&mut self, pid: u32) -> Option<Pending> {
        let pending = self.pending.remove(&pid)?;
        self.pending_bytes -= pending.args.len();
        if let Some(socket) = pending.writes {
            self.sockets.ends_to_write(socket);
        }
        Some(pending)
    }

    /// The first half of a call.
    fn begin(&mut self, call: Call, pid: u32, name: &[u8], args: &[u8], by_return: bool, sink: &mut Sink<'_>) {
        self.take_pending(pid);
        if self.pending.len() >= MAX_CALLS {
            return;
        }
        let mut writes = None;
        match call {
            Call::Data(Move::Write, _) | Call::Splice { .. } => {
                writes = fd::fd(args).and_then(|(fd, _)| self.socket(pid, &fd, by_return, sink));
            }
            Call::Connect => self.connect(pid, args, by_return, sink),
            Call::Clone => self.processes.cloning(pid, args),
            _ => {}
        }
        if let Some(socket) = writes {
            self.sockets.begins_to_write(socket);
        }
        let args = if self.pending_bytes + args.len() > MAX_PENDING { &[] } else { args };
        self.pending_bytes += args.len();
        self.pending.insert(pid, Pending { name: name.into(), args: args.into(), writes });
    }

    /// A whole call.
    fn call(&mut self, call: Call, pid: u32, rest: &[u8], dump: &[u8], by_return: bool, sink: &mut Sink<'_>) {
        let Some((args, returned)) = call::result(rest) else {
            self.broken(call, pid, rest, by_return, sink);
            return;
        };
        let it = Returning { pid, args, returned, dump };
        match call {
            Call::Data(way, shape) => self.data(way, shape, &it, by_return, sink),
            Call::Splice { output_first } => self.splice(output_first, &it, by_return, sink),
            Call::Socket => self.made_socket(&it, by_return, sink),
            Call::SocketPair => self.made_pair(&it, by_return, sink),
            Call::Connect => self.connected(&it, by_return, sink),
            Call::Accept => self.accepted(&it, by_return, sink),
            Call::Bind | Call::Name | Call::PeerName => self.named(call, &it, by_return, sink),
            Call::Close => {
                if returned.value == Some(0)
                    && let Some((fd, _)) = fd::fd(args)
                {
                    self.socket(pid, &fd, by_return, sink);
                    self.no_stranger(pid, fd.number);
                    let lost = self.processes.close(pid, fd.number);
                    self.closed(lost.into_iter().collect(), by_return, sink);
                }
            }
            Call::CloseRange => self.close_range(&it, by_return, sink),
            Call::Shutdown => {
                let ends = [&b"SHUT_WR"[..], b"SHUT_RDWR"].iter().any(|how| memchr::memmem::find(args, how).is_some());
                if returned.value == Some(0)
                    && ends
                    && let Some((fd, _)) = fd::fd(args)
                    && let Some(socket) = self.socket(pid, &fd, by_return, sink)
                {
                    let mut context = Context { processes: &self.processes, sink, by_return };
                    self.sockets.ended(socket, Move::Write, Close::Fin, &mut context);
                }
            }
            Call::Dup => self.duplicated(&it, by_return, sink),
            Call::Fcntl => self.fcntl(&it, by_return, sink),
            Call::Clone => {
                let child = returned.value.and_then(|child| u32::try_from(child).ok()).filter(|child| *child > 0);
                self.processes.cloned_by_call(pid, child, args);
            }
            Call::Execute => {
                if returned.value == Some(0) {
                    let mut program = Vec::new();
                    // `execveat` has a descriptor in front of it.
                    let path = memchr::memchr(b'"', args).and_then(|at| args.get(at..)).unwrap_or_default();
                    string::decode(path, 4096, &mut program);
                    let lost = self.processes.executed(pid, &program);
                    self.closed(lost, by_return, sink);
                }
            }
            Call::Opens => self.opened(returned.text, pid, by_return, sink),
            Call::Pipe => {
                if returned.value == Some(0)
                    && let Some((_, list)) = split(args, b"[")
                    && let Some((first, rest)) = fd::fd(list)
                    && let Some((second, _)) = rest.strip_prefix(b", ").and_then(fd::fd)
                {
                    self.set(pid, first.number, None, false, by_return, sink);
                    self.set(pid, second.number, None, false, by_return, sink);
                }
            }
        }
    }

    /// A call of which the end is missing: the log was cut, or the line was too long.
    fn broken(&mut self, call: Call, pid: u32, rest: &[u8], by_return: bool, sink: &mut Sink<'_>) {
        // With the message that a process was attached in the middle of it, where both went to the terminal.
        if call == Call::Clone
            && let Some((args, attached)) = split(rest, b"strace: Process ")
        {
            let child = number(attached).and_then(|(child, _)| u32::try_from(child).ok());
            self.processes.cloned_by_call(pid, child, args);
        }
        if let Call::Data(way, _) = call
            && let Some((fd, _)) = fd::fd(rest)
            && let Some(socket) = self.socket(pid, &fd, by_return, sink)
        {
            let mut context = Context { processes: &self.processes, sink, by_return };
            self.sockets.moved_unknown(socket, way, &mut context);
        }
    }

    /// The stream socket that a descriptor is.
    fn socket(&mut self, pid: u32, fd: &Fd, by_return: bool, sink: &mut Sink<'_>) -> Option<SocketNo> {
        let known = self.processes.get(pid, fd.number);
        let is_known_otherwise = known.is_some_and(|known| known.socket.is_none());
        if matches!(fd.note, Note::Nothing | Note::Socket(_)) && is_known_otherwise {
            return None;
        }
        let mut known_socket = known.and_then(|known| known.socket);
        if known.is_none() && fd.note == Note::Nothing {
            known_socket = self.processes.borrow(pid, fd.number);
        }
        let mut context = Context { processes: &self.processes, sink, by_return };
        let socket = self.sockets.find(known_socket, &fd.note, &mut context)?;
        if known.and_then(|known| known.socket) != Some(socket) && fd.note != Note::Nothing && fd.number < MAX_FD {
            let closes_on_exec = known.is_some_and(|known| known.closes_on_exec);
            let lost = self.processes.set(pid, fd.number, Descriptor { socket: Some(socket), closes_on_exec });
            self.closed(lost.into_iter().collect(), by_return, sink);
        }
        let mut context = Context { processes: &self.processes, sink, by_return };
        self.sockets.used(socket, pid, &mut context);
        Some(socket)
    }

    fn set(
        &mut self,
        pid: u32,
        fd: u32,
        socket: Option<SocketNo>,
        closes_on_exec: bool,
        by_return: bool,
        sink: &mut Sink<'_>,
    ) {
        self.no_stranger(pid, fd);
        let lost = self.processes.set(pid, fd, Descriptor { socket, closes_on_exec });
        self.closed(lost.into_iter().collect(), by_return, sink);
    }

    fn no_stranger(&mut self, pid: u32, fd: u32) {
        if let Some(table) = self.processes.table(pid) {
            self.strangers.forget((table, fd));
        }
    }

    /// A call moved bytes of a descriptor of which nothing is known.
    fn stranger(&mut self, way: Move, shape: Shape, fd: u32, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        /// What is opened for every process: input, output, errors.
        const STANDARD: u32 = 2;

        let Some(count @ 1..) = it.returned.value.and_then(|value| u64::try_from(value).ok()) else { return };
        let Some(table) = self.processes.table(it.pid) else { return };
        if fd <= STANDARD || self.processes.get(it.pid, fd).is_some() || shape == Shape::Messages {
            return;
        }
        let args = fd::fd(it.args).map_or(&[][..], |(_, rest)| rest.strip_prefix(b", ").unwrap_or(rest));
        let start = sink.events.bytes.len();
        let (pieces, rest) = args::collect(shape, args, count, &mut sink.events.bytes);
        if is_peek(rest) {
            sink.events.bytes.truncate(start);
            return;
        }
        let bytes = &sink.events.bytes;
        let found = self.strangers.moved((table, fd), way, &pieces, bytes, sink.packet, sink.time);
        sink.events.bytes.truncate(start);
        let Some(stranger) = found else { return };
        let socket = self.sockets.new_socket(Transport::Unknown, false);
        self.set(it.pid, fd, Some(socket), false, by_return, sink);
        let now = (sink.packet, sink.time);
        for call in &stranger.calls {
            // It is told of now, but with its own line and time.
            (sink.packet.no, sink.time) = (call.packet.no, call.time);
            let start = sink.events.bytes.len();
            let mut pieces = Vec::new();
            for piece in &call.pieces {
                let from = sink.events.bytes.len();
                sink.events.bytes.extend_from_slice(stranger.bytes.get(piece.bytes.clone()).unwrap_or_default());
                pieces.push(args::Piece { bytes: from..sink.events.bytes.len(), missing: piece.missing });
            }
            let mut context = Context { processes: &self.processes, sink, by_return };
            self.sockets.used(socket, it.pid, &mut context);
            self.sockets.moved(socket, call.way, &pieces, start, &mut context);
        }
        (sink.packet, sink.time) = now;
    }

    fn closed(&mut self, sockets: Vec<SocketNo>, by_return: bool, sink: &mut Sink<'_>) {
        let mut context = Context { processes: &self.processes, sink, by_return };
        for socket in sockets {
            self.sockets.closed(socket, &mut context);
        }
    }

    fn data(&mut self, way: Move, shape: Shape, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        let Some(value) = it.returned.value else { return };
        let Some((fd, rest)) = fd::fd(it.args) else { return };
        if fd.note == Note::Other {
            return;
        }
        let Some(socket) = self.socket(it.pid, &fd, by_return, sink) else {
            if fd.note == Note::Nothing {
                self.stranger(way, shape, fd.number, it, by_return, sink);
            }
            return;
        };
        let args = rest.strip_prefix(b", ").unwrap_or(rest);
        let end = match value {
            1.. => None,
            0 => (way == Move::Read && has_room(shape, args)).then_some((way, Close::Fin)),
            _ if it.returned.text.starts_with(b"-1 ECONNRESET") => Some((way, Close::Rst)),
            _ if it.returned.text.starts_with(b"-1 EPIPE") => Some((Move::Write, Close::Rst)),
            _ => None,
        };
        let mut context = Context { processes: &self.processes, sink, by_return };
        if let Some((way, how)) = end {
            self.sockets.ended(socket, way, how, &mut context);
            if how == Close::Rst {
                self.sockets.ended(socket, Move::Write, how, &mut context);
                self.sockets.ended(socket, Move::Read, how, &mut context);
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
                pieces = vec![args::Piece { bytes: dumped.start..end, missing: 0 }];
            }
        }
        self.sockets.moved(socket, way, &pieces, start, &mut context);
        if memchr::memmem::find(rest, b"SCM_RIGHTS").is_some() {
            self.rights(way, socket, it.pid, rest, by_return, sink);
        }
    }

    /// Descriptors that were sent or received beside the bytes.
    fn rights(&mut self, way: Move, by: SocketNo, pid: u32, rest: &[u8], by_return: bool, sink: &mut Sink<'_>) {
        let mut rest = rest;
        while let Some((_, message)) = split(rest, b"SCM_RIGHTS") {
            let Some((_, mut list)) = split(message, b"cmsg_data=[") else { return };
            while let Some((fd, after)) = fd::fd(list) {
                match way {
                    Move::Write => {
                        if let Some(socket) = self.socket(pid, &fd, by_return, sink) {
                            self.sockets.sent_socket(by, socket);
                        }
                    }
                    Move::Read => {
                        let sent = self.sockets.received_socket(by);
                        let socket = if fd.note == Note::Nothing { sent } else { None };
                        if socket.is_some() {
                            self.set(pid, fd.number, socket, false, by_return, sink);
                        } else {
                            self.socket(pid, &fd, by_return, sink);
                        }
                    }
                }
                list = after.strip_prefix(b", ").unwrap_or_default();
            }
            rest = message;
        }
    }

    /// Bytes that went from one descriptor to another.
    fn splice(&mut self, output_first: bool, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        let Some(count @ 1..) = it.returned.value.and_then(|value| u64::try_from(value).ok()) else { return };
        let Some((first, rest)) = fd::fd(it.args) else { return };
        let rest = rest.strip_prefix(b", ").unwrap_or_default();
        // `splice(3, NULL, 4, NULL, 9, 0)`, `sendfile(4, 3, NULL, 9)`.
        let rest = if output_first { rest } else { split(rest, b", ").map_or(&[][..], |(_, rest)| rest) };
        let second = fd::fd(rest).map(|(fd, _)| fd);
        let ways = if output_first { [Move::Write, Move::Read] } else { [Move::Read, Move::Write] };
        for (fd, way) in [(Some(first), ways[0]), (second, ways[1])] {
            let Some(socket) = fd.and_then(|fd| self.socket(it.pid, &fd, by_return, sink)) else { continue };
            let mut context = Context { processes: &self.processes, sink, by_return };
            let start = context.sink.events.bytes.len();
            let pieces = [args::Piece { bytes: start..start, missing: count }];
            self.sockets.moved(socket, way, &pieces, start, &mut context);
        }
    }

    fn made_socket(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
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
            let mut context = Context { processes: &self.processes, sink, by_return };
            self.sockets.born(&fd.note, transport, &mut context)
        });
        self.set(it.pid, fd.number, socket, closes, by_return, sink);
        self.socket(it.pid, &fd, by_return, sink);
    }

    fn made_pair(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        if it.returned.value != Some(0) {
            return;
        }
        let Some((kind, list)) = split(it.args, b"[") else { return };
        let Some((first, rest)) = fd::fd(list) else { return };
        let Some((second, _)) = rest.strip_prefix(b", ").and_then(fd::fd) else { return };
        let closes = memchr::memmem::find(kind, b"SOCK_CLOEXEC").is_some();
        let is_stream = memchr::memmem::find(kind, b"SOCK_STREAM").is_some();
        let mut context = Context { processes: &self.processes, sink, by_return };
        // The second has the first one's other end already; it is not a new one then.
        let sockets = is_stream.then(|| {
            let one = self.sockets.born(&first.note, Transport::Unix, &mut context);
            let other = self.sockets.born(&second.note, Transport::Unix, &mut context);
            self.sockets.paired(one, other);
            (one, other)
        });
        self.set(it.pid, first.number, sockets.map(|(one, _)| one), closes, by_return, sink);
        self.set(it.pid, second.number, sockets.map(|(_, other)| other), closes, by_return, sink);
        for fd in [first, second] {
            self.socket(it.pid, &fd, by_return, sink);
        }
    }

    /// A call to `connect` has begun.
    fn connect(&mut self, pid: u32, args: &[u8], by_return: bool, sink: &mut Sink<'_>) {
        if let Some((fd, rest)) = fd::fd(args)
            && let Some(to) = fd::sockaddr(rest)
            && let Some(socket) = self.socket(pid, &fd, by_return, sink)
        {
            self.sockets.connecting(socket, to);
        }
    }

    fn connected(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        let is_under_way = it.returned.text.starts_with(b"-1 EINPROGRESS");
        if it.returned.value == Some(0) || is_under_way {
            self.connect(it.pid, it.args, by_return, sink);
        } else if let Some((fd, _)) = fd::fd(it.args)
            && !it.returned.text.starts_with(b"-1 EISCONN")
            && !it.returned.text.starts_with(b"-1 EALREADY")
            && let Some(socket) = self.socket(it.pid, &fd, by_return, sink)
        {
            self.sockets.not_connected(socket);
        }
    }

    fn accepted(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        if it.returned.value.is_none_or(|value| value < 0) {
            return;
        }
        let Some((made, _)) = fd::fd(it.returned.text) else { return };
        let Some((listening, rest)) = fd::fd(it.args) else { return };
        let Some(listening) = self.socket(it.pid, &listening, by_return, sink) else {
            // It accepts, so it is a stream; but nothing is known of it.
            self.accepted_by(None, &made, rest, it.pid, by_return, sink);
            return;
        };
        self.accepted_by(Some(listening), &made, rest, it.pid, by_return, sink);
    }

    fn accepted_by(
        &mut self,
        listening: Option<SocketNo>,
        made: &Fd,
        rest: &[u8],
        pid: u32,
        by_return: bool,
        sink: &mut Sink<'_>,
    ) {
        if made.note == Note::Other {
            return;
        }
        let closes = memchr::memmem::find(rest, b"SOCK_CLOEXEC").is_some();
        let peer = fd::sockaddr(rest);
        let mut context = Context { processes: &self.processes, sink, by_return };
        let accepted = self.sockets.born(&made.note, Transport::Unknown, &mut context);
        self.sockets.accepted(accepted, listening, peer.as_ref(), &mut context);
        self.set(pid, made.number, Some(accepted), closes, by_return, sink);
        self.socket(pid, made, by_return, sink);
    }

    /// `bind`, `getsockname` and `getpeername`.
    fn named(&mut self, call: Call, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        if it.returned.value == Some(0)
            && let Some((fd, rest)) = fd::fd(it.args)
            && let Some(name) = fd::sockaddr(rest)
            && let Some(socket) = self.socket(it.pid, &fd, by_return, sink)
        {
            match call {
                Call::PeerName => self.sockets.set_peer_name(socket, &name),
                _ => {
                    self.sockets.set_name(socket, &name);
                    let mut context = Context { processes: &self.processes, sink, by_return };
                    self.sockets.named_late(socket, &mut context);
                }
            }
        }
    }

    fn close_range(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        if it.returned.value != Some(0) || memchr::memmem::find(it.args, b"CLOSE_RANGE_CLOEXEC").is_some() {
            return;
        }
        let Some((first, rest)) = number(it.args) else { return };
        let last = rest.strip_prefix(b", ").and_then(number).map_or(u64::MAX, |(last, _)| last);
        let [first, last] = [first, last].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        for fd in self.processes.range(it.pid, first, last) {
            let lost = self.processes.close(it.pid, fd);
            self.closed(lost.into_iter().collect(), by_return, sink);
        }
    }

    fn duplicated(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        let Some((made, _)) = fd::fd(it.returned.text) else { return };
        let Some((old, rest)) = fd::fd(it.args) else { return };
        let closes = memchr::memmem::find(rest, b"O_CLOEXEC").is_some();
        self.copied(&old, &made, closes, it.pid, by_return, sink);
    }

    fn copied(&mut self, old: &Fd, made: &Fd, closes: bool, pid: u32, by_return: bool, sink: &mut Sink<'_>) {
        if old.number == made.number {
            return;
        }
        let socket = self.socket(pid, old, by_return, sink);
        let is_known = socket.is_some() || self.processes.get(pid, old.number).is_some();
        if is_known || self.processes.get(pid, made.number).is_some() {
            self.set(pid, made.number, socket, closes, by_return, sink);
        }
    }

    fn fcntl(&mut self, it: &Returning<'_>, by_return: bool, sink: &mut Sink<'_>) {
        let Some((old, rest)) = fd::fd(it.args) else { return };
        if rest.starts_with(b", F_DUPFD") {
            if let Some((made, _)) = fd::fd(it.returned.text) {
                let closes = rest.starts_with(b", F_DUPFD_CLOEXEC");
                self.copied(&old, &made, closes, it.pid, by_return, sink);
            }
        } else if rest.starts_with(b", F_SETFD")
            && it.returned.value == Some(0)
            && let Some(known) = self.processes.get(it.pid, old.number)
        {
            let closes = memchr::memmem::find(rest, b"FD_CLOEXEC").is_some();
            self.set(it.pid, old.number, known.socket, closes, by_return, sink);
        }
    }

    /// A descriptor is something else from now on.
    fn opened(&mut self, returned: &[u8], pid: u32, by_return: bool, sink: &mut Sink<'_>) {
        if let Some((made, _)) = fd::fd(returned)
            && (made.note == Note::Nothing || self.processes.get(pid, made.number).is_some())
        {
            self.set(pid, made.number, None, false, by_return, sink);
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
