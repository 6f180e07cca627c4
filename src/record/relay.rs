//! One connection: passes bytes, descriptors, half-closes and resets from each end to the other as they arrive.
//!
//! One thread polls both sockets. A direction reads only when everything it read before was passed on, so that a slow
//! reader slows its writer as it would without a recorder between them.
//!
//! What an end does, and what the other end sees:
//!
//! | an end                       | Unix, vsock              | TCP                       |
//! | ---------------------------- | ------------------------ | ------------------------- |
//! | shuts down writing           | end of file              | FIN                       |
//! | closes                       | close, once all is there | FIN (as TCP itself does)  |
//! | resets, or closes unread data| close                    | RST                       |
//! | shuts down reading           | its writes fail          | nothing (as TCP itself)   |
//!
//! The recording of a connection that has ended has the end of both directions, whichever end closed it. A connection that
//! the recorder closes because it is stopped has none.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rpcshark_captures::{Direction, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    Shutdown, recv, recvmsg, send, sendmsg, shutdown,
};

use super::journal::Entry;
use super::socket::{Socket, Transport};
use super::stderr::report;
use crate::signals::Stop;

/// Two connected sockets and what is on its way between them.
pub(super) struct Relay {
    /// The client's and the server's, in the order of the directions in which they send.
    ends: [End; 2],
    entry: Entry,
}

/// One end, and what it sends.
struct End {
    socket: Socket,
    direction: Direction,
    buffer: Box<[u8]>,
    /// The part of the buffer that was read and not yet passed on.
    from: usize,
    to: usize,
    /// Descriptors on their way.
    descriptors: Vec<OwnedFd>,
    /// The byte of the buffer with which they go.
    descriptors_at: usize,
    /// The last read filled the buffer: there is probably more.
    expects_more: bool,
    /// It sends no more.
    closed: bool,
    /// Its end of stream was passed on, or cannot be.
    end_passed_on: bool,
    /// The other end does not accept any more bytes.
    undeliverable: bool,
    /// It is closed or reset, according to the kernel. There may still be bytes to read.
    hung_up: bool,
    /// Writing to it failed as it does when it broke off; what it sent before may still be there to read.
    broken: bool,
    /// It was reset.
    reset: bool,
    /// The end of what it sends was recorded.
    end_recorded: bool,
}

impl End {
    fn new(socket: Socket, direction: Direction) -> Self {
        Self {
            socket,
            direction,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            from: 0,
            to: 0,
            descriptors: Vec::new(),
            descriptors_at: 0,
            expects_more: false,
            closed: false,
            end_passed_on: false,
            undeliverable: false,
            hung_up: false,
            broken: false,
            reset: false,
            end_recorded: false,
        }
    }

    const fn pending(&self) -> bool {
        self.from < self.to
    }

    const fn wants_read(&self) -> bool {
        !self.pending() && !self.closed && !self.undeliverable
    }

    /// Nothing more goes from it to the other end.
    const fn done(&self) -> bool {
        self.end_passed_on || self.undeliverable
    }

    /// The kernel said that this end is gone and all that it sent was passed on. (On TCP the end of writing and the end
    /// of everything look the same, and a late answer is reset by the end itself.)
    fn is_gone(&self) -> bool {
        let nothing_left = self.closed && self.end_passed_on || self.undeliverable;
        self.hung_up && nothing_left && self.socket.transport != Transport::Tcp
    }
}

impl Relay {
    pub(super) fn new(client: Socket, server: Socket, entry: Entry) -> Self {
        let ends = [End::new(client, Direction::ToServer), End::new(server, Direction::ToClient)];
        Self { ends, entry }
    }

    /// Copies until both directions have ended, one end breaks off, or `stop` is raised.
    pub(super) fn run(mut self, stop: &Stop) {
        while !self.is_over() {
            let ready = match self.poll(stop) {
                Ok(ready) => ready,
                Err(Errno::INTR) => continue,
                Err(error) => {
                    report(format_args!("a connection was cut: poll: {error}"));
                    return self.record_end();
                }
            };
            if stop.is_raised() {
                return;
            }
            for (side, seen) in ready.into_iter().enumerate() {
                if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
                    self.hung_up(side);
                }
                if seen.contains(PollFlags::OUT) {
                    self.write(1 - side);
                }
                if seen.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP) {
                    self.read(side);
                }
            }
        }
        self.record_end();
        if self.ends.iter().any(|end| end.reset) {
            self.break_off();
        }
    }

    fn is_over(&self) -> bool {
        self.ends.iter().any(|end| end.is_gone() || end.reset) || self.ends.iter().all(End::done)
    }

    /// What the two sockets are ready for.
    fn poll(&self, stop: &Stop) -> Result<[PollFlags; 2], Errno> {
        let mut fds = Vec::with_capacity(3);
        let mut sides = [None; 2];
        for (side, end) in self.ends.iter().enumerate() {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, end.wants_read());
            events.set(PollFlags::OUT, self.ends[1 - side].pending());
            // poll reports a hang-up every time; once it is known, the relay stops asking for it.
            if events.is_empty() && end.hung_up {
                continue;
            }
            sides[side] = Some(fds.len());
            fds.push(PollFd::new(&end.socket.fd, events));
        }
        fds.push(PollFd::new(stop, PollFlags::IN));
        poll(&mut fds, None)?;
        Ok(sides.map(|at| at.map_or(PollFlags::empty(), |at| fds[at].revents())))
    }

    fn hung_up(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if end.hung_up {
            return;
        }
        end.hung_up = true;
        // A TCP end that is read to its end and hangs up afterwards has reset the connection.
        if end.socket.transport == Transport::Tcp && (end.closed || end.undeliverable) && !end.reset {
            self.was_reset(side);
        }
    }

    /// Reads from an end as long as more is expected, and passes it on.
    fn read(&mut self, side: usize) {
        for _ in 0..MOST_READS {
            if !self.ends[side].wants_read() {
                return;
            }
            match self.ends[side].receive() {
                Ok(0) => return self.closed(side),
                Ok(len) => {
                    let time = now();
                    let end = &self.ends[side];
                    let bytes = end.buffer.get(..len).unwrap_or_default();
                    // First written down, then passed on: the answer cannot come before its question.
                    self.entry.data(end.direction, bytes, end.descriptors.len(), time);
                    self.write(side);
                    if len < MUCH {
                        return;
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => return self.was_reset(side),
            }
        }
    }

    /// An end will send no more.
    fn closed(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if end.broken {
            return self.was_reset(side);
        }
        end.closed = true;
        self.tell_closed(side);
        self.pass_close(side);
    }

    fn pass_close(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if end.closed && !end.pending() && !end.end_passed_on {
            end.end_passed_on = true;
            let _ = shutdown(&self.ends[1 - side].socket.fd, Shutdown::Write);
        }
    }

    /// Passes on what was read from an end.
    fn write(&mut self, side: usize) {
        let [first, second] = &mut self.ends;
        let (end, to) = if side == 0 { (first, second) } else { (second, first) };
        while end.pending() {
            match end.send_to(&to.socket) {
                Ok(len) => end.from += len,
                Err(Errno::AGAIN | Errno::INTR) => return,
                Err(_) => {
                    // Nobody takes it any more: what an end without a recorder would see when it writes.
                    end.from = end.to;
                    end.undeliverable = true;
                    match to.socket.transport {
                        Transport::Tcp if to.closed => self.was_reset(1 - side),
                        Transport::Tcp => to.broken = true,
                        _ => drop(shutdown(&end.socket.fd, Shutdown::Read)),
                    }
                    return;
                }
            }
        }
        self.pass_close(side);
    }

    /// An end broke off.
    fn was_reset(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if end.reset {
            return;
        }
        end.reset = true;
        match end.socket.transport {
            Transport::Tcp => {
                self.entry.reset(end.direction, now());
                // Nothing follows a reset, from neither end.
                self.ends.iter_mut().for_each(|end| end.end_recorded = true);
            }
            // The kernel says the same of an end that closed and had not read everything: no more than a close.
            _ => self.tell_closed(side),
        }
    }

    /// Records that an end sends no more, once.
    fn tell_closed(&mut self, side: usize) {
        let end = &mut self.ends[side];
        if !std::mem::replace(&mut end.end_recorded, true) {
            self.entry.closed(end.direction, now());
        }
    }

    /// Records that the connection is over for both ends. One that is gone takes the other direction with it: nobody will
    /// read from that any more, and its sender, which may never say so, is closed to.
    fn record_end(&mut self) {
        for side in 0..self.ends.len() {
            if self.ends[side].broken {
                self.was_reset(side);
            }
            self.tell_closed(side);
        }
    }

    /// Passes a reset on, after what its sender had sent before.
    fn break_off(mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        for side in 0..2 {
            while self.ends[side].reset && self.ends[side].pending() && !self.ends[side].undeliverable {
                let left = deadline.saturating_duration_since(Instant::now());
                let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
                let mut fds = [PollFd::new(&self.ends[1 - side].socket.fd, PollFlags::OUT)];
                if left.is_zero() || poll(&mut fds, Some(&timeout)).is_err() {
                    break;
                }
                self.write(side);
            }
        }
        for end in self.ends {
            end.socket.abort();
        }
    }
}

impl End {
    /// Fills the buffer, which is empty.
    fn receive(&mut self) -> Result<usize, Errno> {
        let len = match self.socket.transport {
            Transport::Unix => self.receive_message()?,
            _ => recv(&self.socket.fd, &mut *self.buffer, RecvFlags::empty())?.0,
        };
        (self.from, self.to) = (0, len);
        self.expects_more = len >= MUCH;
        Ok(len)
    }

    /// Descriptors lie between the bytes of a Unix stream: with the first byte of the message that brought them. One read
    /// may give them together with bytes from before; an end that reads those on their own would lose them. So it is
    /// first looked whether there are any, but in streams of large pieces, where looking costs.
    fn receive_message(&mut self) -> Result<usize, Errno> {
        let mut limit = self.buffer.len();
        if !self.expects_more {
            let flags = RecvFlags::PEEK | RecvFlags::CMSG_CLOEXEC;
            let (len, descriptors) = message(&self.socket, &mut self.buffer, flags)?;
            if !descriptors.is_empty() {
                return self.receive_with_descriptors(len);
            }
            limit = len.max(1);
        }
        let (len, descriptors) = message(&self.socket, &mut self.buffer[..limit], RecvFlags::CMSG_CLOEXEC)?;
        self.descriptors_at = 0;
        self.descriptors = descriptors;
        Ok(len)
    }

    /// Reads `len` bytes, the end of which is that of the first message with descriptors. Only a read tells where it
    /// begins: the kernel, when asked to peek, also tells of descriptors after the bytes that it gives.
    fn receive_with_descriptors(&mut self, len: usize) -> Result<usize, Errno> {
        let mut at = 0;
        while at < len {
            let until = if self.descriptors.is_empty() { at + 1 } else { len };
            match message(&self.socket, &mut self.buffer[at..until], RecvFlags::CMSG_CLOEXEC) {
                Ok((0, _)) => break,
                Ok((read, descriptors)) => {
                    if !descriptors.is_empty() {
                        self.descriptors_at = at;
                        self.descriptors.extend(descriptors);
                    }
                    at += read;
                }
                Err(error) if at == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(at)
    }

    /// Sends what is pending, with the descriptors that belong to it.
    fn send_to(&mut self, to: &Socket) -> Result<usize, Errno> {
        let bytes = self.buffer.get(self.from..self.to).unwrap_or_default();
        let before = self.descriptors_at.saturating_sub(self.from);
        if before > 0 && !self.descriptors.is_empty() {
            return send(&to.fd, bytes.get(..before).unwrap_or(bytes), SendFlags::NOSIGNAL);
        }
        if self.descriptors.is_empty() {
            return send(&to.fd, bytes, SendFlags::NOSIGNAL);
        }
        if to.transport != Transport::Unix {
            let count = self.descriptors.len();
            let what = if count == 1 { "1 file descriptor".to_owned() } else { format!("{count} file descriptors") };
            report(format_args!("{what} could not be passed on: the other end is not a Unix socket"));
            self.descriptors.clear();
            return send(&to.fd, bytes, SendFlags::NOSIGNAL);
        }
        let descriptors: Vec<_> = self.descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let sent = sendmsg(&to.fd, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
        self.descriptors.clear();
        Ok(sent)
    }
}

/// One read from a Unix socket: how many bytes, and the descriptors that came with them.
fn message(socket: &Socket, into: &mut [u8], flags: RecvFlags) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(&socket.fd, &mut [IoSliceMut::new(into)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    Ok((received.bytes, descriptors))
}

impl Socket {
    /// Closes so that the other end sees a broken connection, where its kind has that.
    pub(super) fn abort(self) {
        if self.transport == Transport::Tcp {
            // socket(7): a close that does not linger discards and, on TCP, resets.
            let _ = rustix::net::sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO));
        }
    }
}

/// The clock's time.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// One segment of the written file.
const BUFFER: usize = 60 << 10;

/// After a read of so much there is probably more: it is tried at once.
const MUCH: usize = 16 << 10;

/// Then the other direction has its turn.
const MOST_READS: usize = 16;

/// As many as the kernel passes in one message (`SCM_MAX_FD`).
const MOST_DESCRIPTORS: usize = 253;

/// How long a reset waits for the bytes before it to be taken.
const LAST_WORDS: Duration = Duration::from_secs(1);
