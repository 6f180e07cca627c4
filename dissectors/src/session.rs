//! A connection from its first byte on: finding out what it speaks, then handing its bytes to the parser for that.
//!
//! At the beginning of a connection the first bytes decide. In the middle of one there is no beginning to look at:
//! then every protocol looks for its own frames in what comes, and enters nothing before it has found them; the first
//! that has is the one.

use rpcshark_captures::budget::{Held as HeldMemory, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, Gap, Input};

use crate::held::Held;
use crate::http1::Http1;
use crate::http2::{Http2, add_held};
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::probe::{Guess, first_bytes, last_bytes};
use crate::store::{ClientBy, ConnectionEventKind, ConnectionId, ConnectionProtocol};
use crate::tls::Tls;
use crate::ttrpc::preamble::{self, Preamble};
use crate::ttrpc::{Trunk, Ttrpc};
use crate::{Arrival, Context, FirstByte, Note, Origin, Severity};

/// What dissects a connection.
#[derive(Debug)]
pub struct Session {
    connection: ConnectionId,
    state: State,
    /// Whether the input's directions are the other way round: the client's first bytes came from the other side.
    roles_swapped: bool,
    closed: [Option<(Close, Arrival)>; 2],
    /// The protocol given with `--decode-as`.
    decode_as: Option<DecodeAs>,
    /// The lines of a hybrid vsock socket that were there: the client's, the server's.
    preamble: [bool; 2],
    /// By direction, as the input calls them: the offset after what has come, and what its sender had acknowledged.
    ends: [Origin; 2],
    /// Nothing has come yet; then whether the beginning of the connection will be seen.
    unopened: Option<bool>,
    /// Its bytes were encrypted. TLS in TLS is not looked for.
    decrypted: bool,
}

#[derive(Debug)]
enum State {
    /// The first bytes are not enough to tell.
    Beginning(Box<[Beginning; 2]>),
    /// Joined in the middle: several look for their frames.
    Seeking(Vec<Box<dyn Parser>>, u64),
    /// It is known what it speaks.
    Parsing(Box<dyn Parser>),
    /// Nothing that is read here.
    Passed,
}

/// The first bytes of one direction.
#[derive(Debug, Default)]
struct Beginning {
    held: Held,
    /// The beginning was not seen, or bytes are missing from it.
    broken: bool,
    /// What is missing before the bytes that are held.
    gap: Option<Gap>,
}

/// A protocol that a user names for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeAs {
    /// HTTP/2.
    Http2,
    /// ttrpc.
    Ttrpc,
}

impl DecodeAs {
    /// The word that users type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Ttrpc => "ttrpc",
        }
    }
}

/// What is known of a connection before its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Joining {
    /// Its beginning was not seen.
    pub joined: bool,
    /// The protocol given with `--decode-as`.
    pub decode_as: Option<DecodeAs>,
}

/// Bytes without a frame boundary after which a connection that was joined in the middle is skipped. Larger than any
/// frame that is sent without being asked for.
const MAX_SOUGHT: u64 = 4 << 20;

impl Session {
    /// A connection of which nothing was read.
    pub fn new(connection: ConnectionId, joining: Joining) -> Self {
        let state = match (joining.decode_as, joining.joined) {
            (None, _) => State::Beginning(Box::new([
                Beginning { broken: joining.joined, ..Beginning::default() },
                Beginning { broken: joining.joined, ..Beginning::default() },
            ])),
            (Some(_), false) => State::Beginning(Box::default()),
            (Some(DecodeAs::Http2), true) => {
                State::Seeking(vec![Box::new(Http2::new(connection, JoinPoint::Middle))], 0)
            }
            (Some(DecodeAs::Ttrpc), true) => State::Seeking(vec![Box::new(Ttrpc::decode_as(connection))], 0),
        };
        let decode_as = joining.decode_as;
        Self {
            connection,
            state,
            roles_swapped: false,
            closed: [None; 2],
            decode_as,
            preamble: [false; 2],
            ends: [Origin::default(); 2],
            unopened: Some(!joining.joined),
            decrypted: false,
        }
    }

    /// The bytes of an encrypted connection, decrypted.
    pub(crate) fn decrypted(connection: ConnectionId, decode_as: Option<DecodeAs>) -> Self {
        let joining = Joining { joined: false, decode_as };
        Self { unopened: None, decrypted: true, ..Self::new(connection, joining) }
    }

    /// Whether its bytes are encrypted: the session for the decrypted bytes enters what happens then.
    pub fn is_encrypted(&self) -> bool {
        matches!(&self.state, State::Parsing(parser) if parser.is_encrypted())
    }

    /// Whether it needs to know where the bytes lie that come next.
    pub fn needs_places(&self) -> bool {
        match &self.state {
            State::Passed => false,
            State::Parsing(parser) => parser.needs_places(),
            State::Beginning(_) | State::Seeking(..) => true,
        }
    }

    /// What comes next in one direction.
    pub fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) {
        if context.keep.events {
            self.record_input(direction, &input, context);
        }
        let direction = self.oriented(direction);
        match &self.state {
            State::Parsing(_) => self.parse(direction, input, context),
            State::Passed => {}
            State::Seeking(..) => self.seek(direction, input, context),
            State::Beginning(_) => self.begin(direction, input, context),
        }
    }

    /// One direction has ended.
    pub fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        let seen = direction;
        let direction = self.oriented(seen);
        if context.keep.events && !self.is_encrypted() {
            let origin = self.ends[seen.index()];
            let first = FirstByte { arrival: now, origin, order: 0 };
            let span = context.event_span(direction, first, origin.offset, now);
            context.add_connection_event(self.connection, &span, || ConnectionEventKind::Closed(how));
        }
        let [a, b] = &mut self.closed;
        let (this, other) = if direction == Direction::ToServer { (a, b) } else { (b, a) };
        *this = Some((how, now));
        let both = other.is_some();
        self.pass_on_close(direction, how, now, both, context);
    }

    /// Enters the opening, and how far the flow has come.
    fn record_input(&mut self, seen: Direction, input: &Input<'_>, context: &mut Context<'_>) {
        let (first, end) = match input {
            Input::Data(data) => (FirstByte::from(data), data.offset + data.bytes.len() as u64),
            Input::Gap(gap) => {
                let origin = self.ends[seen.index()];
                let arrival = Arrival::from(gap);
                (FirstByte { arrival, origin, order: gap.packet.order }, origin.offset + gap.length.unwrap_or(0))
            }
        };
        self.ends[seen.index()] = Origin { offset: end, acked: first.origin.acked };
        if let Some(whole) = self.unopened.take() {
            // An opening has no bytes: it ends where the first ones begin.
            let span = context.event_span(Direction::ToServer, first, 0, first.arrival);
            context.add_connection_event(self.connection, &span, || ConnectionEventKind::Opened { whole });
        }
    }

    /// The memory that it takes for things whose end is missing, and since when. Cheap: it is asked after each delivery.
    pub fn held(&self) -> HeldMemory {
        let mut held = HeldMemory::NOTHING;
        match &self.state {
            State::Passed => {}
            State::Parsing(parser) => held = parser.held(),
            State::Seeking(parsers, _) => {
                for HeldMemory { bytes, since } in parsers.iter().map(|parser| parser.held()) {
                    add_held(&mut held, bytes, since);
                }
            }
            State::Beginning(beginnings) => {
                for Beginning { held: first_bytes, .. } in beginnings.iter() {
                    add_held(&mut held, first_bytes.memory(), first_bytes.since());
                }
            }
        }
        held
    }

    /// Releases the oldest of these, with a note: its kind, and how much memory it took. `None`: there is nothing.
    pub fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        match &mut self.state {
            State::Passed => None,
            State::Parsing(parser) => parser.release(context),
            State::Seeking(parsers, _) => {
                let parsers = parsers.iter_mut().filter(|parser| parser.held().bytes > 0);
                parsers.min_by_key(|parser| parser.held().since)?.release(context)
            }
            State::Beginning(_) => {
                let bytes = self.held().bytes;
                if bytes == 0 {
                    return None;
                }
                // It begins nowhere any more: frames are searched in what comes.
                let broken = || Beginning { broken: true, ..Beginning::default() };
                self.state = State::Beginning(Box::new([broken(), broken()]));
                let text = "the first bytes did not show the protocol and were released: the memory limit is reached";
                context.connection_mut(self.connection).note(Note::new(Severity::Warning, "memory-limit", text));
                Some((Kind::Search, bytes))
            }
        }
    }

    fn pass_on_close(&mut self, direction: Direction, how: Close, now: Arrival, both: bool, context: &mut Context<'_>) {
        if let State::Parsing(parser) = &mut self.state {
            parser.closed(direction, how, now, context);
            if both && how == Close::Fin {
                // Both sides have closed: nothing is answered any more, whoever closed first.
                parser.closed(Direction::ToClient, how, now, context);
            }
        }
    }

    /// What had closed before the protocol of the connection was known.
    fn pass_on_earlier_closes(&mut self, context: &mut Context<'_>) {
        let both = self.closed.iter().all(Option::is_some);
        for direction in Direction::BOTH {
            if let Some((how, now)) = self.closed[direction.index()] {
                self.pass_on_close(direction, how, now, both, context);
            }
        }
    }

    /// The capture has ended, or the connection for good.
    pub fn finish(&mut self, context: &mut Context<'_>) {
        if let State::Beginning(beginnings) = &self.state
            && let [to_server, to_client] = &**beginnings
        {
            let firsts = [to_server.held.bytes(), to_client.held.bytes()];
            // What is known already has only waited for the rest of a preamble.
            let guess = match last_bytes(firsts) {
                Guess::None => first_bytes(firsts),
                known => known,
            };
            match guess {
                Guess::Http2 { swap } => {
                    self.swap_roles(swap, context, ClientBy::Protocol);
                    self.start(
                        Box::new(Http2::new(self.connection, JoinPoint::Start)),
                        ConnectionProtocol::Http2,
                        context,
                    );
                }
                Guess::Ttrpc { swap } => self.ttrpc(swap, context),
                _ if self.decode_as == Some(DecodeAs::Ttrpc) => self.ttrpc(false, context),
                _ => {}
            }
        }
        match &mut self.state {
            State::Parsing(parser) => parser.finish(context),
            State::Seeking(parsers, sought) if *sought > 0 => {
                let proven = parsers.iter_mut().position(|parser| {
                    parser.finish(context);
                    parser.is_proven()
                });
                if let Some(at) = proven {
                    self.state = State::Parsing(parsers.swap_remove(at));
                    self.pass_on_earlier_closes(context);
                    self.state = State::Passed;
                    return;
                }
                let note = match self.decode_as {
                    Some(protocol) => {
                        let text = format!("--decode-as names {}, but no such frames were found", protocol.name());
                        Note::new(Severity::Warning, "decode-as", text)
                    }
                    None => {
                        let text = "joined in the middle, and no frames of a known protocol were found";
                        Note::new(Severity::Info, "protocol-unknown", text)
                    }
                };
                context.connection_mut(self.connection).note(note);
            }
            _ => {}
        }
        self.state = State::Passed;
    }

    /// Whether nothing that comes is read any more.
    pub const fn is_passed(&self) -> bool {
        matches!(self.state, State::Passed)
    }

    fn oriented(&self, direction: Direction) -> Direction {
        if self.roles_swapped { direction.reverse() } else { direction }
    }

    fn parse(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) {
        let State::Parsing(parser) = &mut self.state else { return };
        if let Some(next) = parser.input(direction, input, context) {
            self.hand_over(direction, input, next, context);
        }
    }

    /// A parser has ended itself. What follows it in the same bytes may do so again; each uses up some of them.
    #[cold]
    fn hand_over(&mut self, direction: Direction, mut input: Input<'_>, mut next: HandOver, context: &mut Context<'_>) {
        loop {
            self.state = State::Parsing(next.parser);
            let Input::Data(data) = input else { return };
            if next.unused == 0 || next.unused >= data.bytes.len() {
                return;
            }
            input = Input::Data(data.skip(data.bytes.len() - next.unused));
            let State::Parsing(parser) = &mut self.state else { return };
            let Some(after) = parser.input(direction, input, context) else { return };
            next = after;
        }
    }

    /// Takes first bytes, and judges them.
    fn begin(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) {
        let State::Beginning(beginnings) = &mut self.state else { return };
        let beginning = &mut beginnings[direction.index()];
        match input {
            Input::Data(data) => beginning.held.push(&data),
            Input::Gap(gap) => {
                beginning.held.clear();
                beginning.broken = true;
                beginning.gap = Some(gap);
            }
        }
        if self.awaits_preamble(context) {
            return;
        }
        let State::Beginning(beginnings) = &self.state else { return };
        let [to_server, to_client] = &**beginnings;
        let broken = to_server.broken || to_client.broken;
        match first_bytes([to_server.held.bytes(), to_client.held.bytes()]) {
            // The user knows better than what the bytes look like. (HTTP/1 may yet be upgraded.)
            // Behind a hello, it is what TLS carries.
            Guess::Tls { hello: false, .. } | Guess::None | Guess::Ttrpc { .. } | Guess::Nri { .. }
                if self.decode_as == Some(DecodeAs::Http2) =>
            {
                self.hunt(context);
            }
            Guess::Tls { hello: false, .. } | Guess::Http1 { .. } | Guess::Http2 { .. }
                if self.decode_as == Some(DecodeAs::Ttrpc) =>
            {
                self.ttrpc(false, context);
            }
            Guess::Http2 { swap } => {
                self.swap_roles(swap, context, ClientBy::Preface);
                let join_point = JoinPoint::Start;
                self.start(Box::new(Http2::new(self.connection, join_point)), ConnectionProtocol::Http2, context);
            }
            Guess::Http1 { swap } => {
                let join_point = if broken { JoinPoint::Middle } else { JoinPoint::Start };
                self.swap_roles(swap, context, ClientBy::Protocol);
                self.start(Box::new(Http1::new(self.connection, join_point)), ConnectionProtocol::Http1, context);
            }
            // TLS in TLS.
            Guess::Tls { .. } if self.decrypted => self.state = State::Passed,
            Guess::Tls { swap, .. } => {
                self.swap_roles(swap, context, ClientBy::Protocol);
                let parser = Tls::new(self.connection, self.decode_as, self.roles_swapped);
                self.start(Box::new(parser), ConnectionProtocol::Tls, context);
            }
            Guess::Ttrpc { swap } => self.ttrpc(swap, context),
            Guess::Nri { swap } => {
                let join_point = if broken { JoinPoint::Middle } else { JoinPoint::Start };
                self.swap_roles(swap, context, ClientBy::Protocol);
                self.start(Box::new(Trunk::new(self.connection, join_point)), ConnectionProtocol::Nri, context);
            }
            Guess::NeedMore if to_server.held.bytes().len() + to_client.held.bytes().len() < MAX_UNASKED => {}
            Guess::NeedMore | Guess::None if broken => self.hunt(context),
            Guess::NeedMore | Guess::None if self.decode_as == Some(DecodeAs::Ttrpc) => self.ttrpc(false, context),
            // Bytes of the server that say nothing by themselves: the client's will.
            Guess::None if to_server.held.bytes().is_empty() && to_client.held.bytes().len() < MAX_UNASKED => {}
            Guess::NeedMore | Guess::None => self.state = State::Passed,
        }
    }

    /// Passes over the lines that a hybrid vsock socket begins with. Whether there may be more of them to come.
    fn awaits_preamble(&mut self, context: &mut Context<'_>) -> bool {
        let State::Beginning(beginnings) = &self.state else { return false };
        let [to_server, to_client] = &**beginnings;
        if to_server.broken || to_client.broken {
            return false;
        }
        let [asked, answered] = self.preamble;
        if !asked {
            let lines = [to_server, to_client].map(|beginning| preamble::connect(beginning.held.bytes()));
            let there = |beginning: &Beginning| !beginning.held.bytes().is_empty();
            return match lines {
                [Preamble::Line { len, port }, _] => self.pass_line(Direction::ToServer, len, port, context),
                [_, Preamble::Line { len, port }] => {
                    self.swap_roles(true, context, ClientBy::Protocol);
                    self.pass_line(Direction::ToServer, len, port, context)
                }
                [a, b] => {
                    let begun =
                        a == Preamble::NeedMore && there(to_server) || b == Preamble::NeedMore && there(to_client);
                    begun && to_server.held.bytes().len() + to_client.held.bytes().len() < MAX_UNASKED
                }
            };
        }
        match preamble::accepted(to_client.held.bytes()) {
            _ if answered => false,
            Preamble::Line { len, port } => self.pass_line(Direction::ToClient, len, port, context),
            Preamble::NeedMore => to_server.held.bytes().len() < MAX_UNASKED,
            Preamble::None => false,
        }
    }

    fn pass_line(&mut self, direction: Direction, len: usize, port: u32, context: &mut Context<'_>) -> bool {
        let State::Beginning(beginnings) = &mut self.state else { return false };
        let Some(beginning) = beginnings.get_mut(direction.index()) else { return false };
        let packet = beginning.held.data().next().map(|data| data.packet.no).unwrap_or_default();
        beginning.held.skip(len);
        self.preamble[direction.index()] = true;
        let text = match direction {
            Direction::ToServer => format!("hybrid vsock: CONNECT {port}"),
            Direction::ToClient => format!("hybrid vsock: OK {port}"),
        };
        context.connection_mut(self.connection).note(Note::new(Severity::Info, "vsock-preamble", text).at(packet));
        self.awaits_preamble(context)
    }

    /// It is ttrpc.
    fn ttrpc(&mut self, swap: bool, context: &mut Context<'_>) {
        // Where frames begin is only known of a beginning.
        if matches!(&self.state, State::Beginning(both) if both.iter().any(|beginning| beginning.broken)) {
            return self.hunt(context);
        }
        self.swap_roles(swap, context, ClientBy::Protocol);
        self.start(Box::new(Ttrpc::new(self.connection, JoinPoint::Start)), ConnectionProtocol::Ttrpc, context);
    }

    /// The bytes show that the client is the other side.
    fn swap_roles(&mut self, swap: bool, context: &mut Context<'_>, by: ClientBy) {
        context.connection_mut(self.connection).client_identified(swap, by);
        if swap {
            self.roles_swapped = !self.roles_swapped;
            self.closed.swap(0, 1);
            if let State::Beginning(beginnings) = &mut self.state {
                beginnings.swap(0, 1);
            }
        }
    }

    /// Hands what is held to the parser that is right for it.
    fn start(&mut self, parser: Box<dyn Parser>, protocol: ConnectionProtocol, context: &mut Context<'_>) {
        context.connection_mut(self.connection).protocol = protocol;
        let before = std::mem::replace(&mut self.state, State::Parsing(parser));
        self.replay(before, context);
        self.pass_on_earlier_closes(context);
    }

    /// Lets every protocol, or the one that the user names, look for its frames in what is held, and in what comes.
    fn hunt(&mut self, context: &mut Context<'_>) {
        // Its heads are text, and none of the others takes them for its own.
        let mut parsers: Vec<Box<dyn Parser>> = match self.decode_as {
            None => vec![Box::new(Http1::new(self.connection, JoinPoint::Middle))],
            Some(_) => Vec::new(),
        };
        if self.decode_as != Some(DecodeAs::Ttrpc) {
            parsers.push(Box::new(Http2::new(self.connection, JoinPoint::Middle)));
        }
        if self.decode_as != Some(DecodeAs::Http2) {
            // A trunk's pieces hold what looks like ttrpc: it is asked first.
            parsers.push(Box::new(Trunk::new(self.connection, JoinPoint::Middle)));
            parsers.push(Box::new(Ttrpc::new(self.connection, JoinPoint::Middle)));
        }
        let before = std::mem::replace(&mut self.state, State::Seeking(parsers, 0));
        self.replay(before, context);
    }

    fn replay(&mut self, before: State, context: &mut Context<'_>) {
        let State::Beginning(beginnings) = before else { return };
        for (direction, beginning) in Direction::BOTH.into_iter().zip(*beginnings) {
            let gap = beginning.gap.map(Input::Gap);
            for input in gap.into_iter().chain(beginning.held.data().map(Input::Data)) {
                match self.state {
                    State::Seeking(..) => self.seek(direction, input, context),
                    _ => self.parse(direction, input, context),
                }
            }
        }
    }

    /// Lets every protocol look for its frames.
    fn seek(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) {
        let State::Seeking(parsers, sought) = &mut self.state else { return };
        if let Input::Data(data) = input {
            *sought += data.bytes.len() as u64;
        }
        for at in 0..parsers.len() {
            let Some(parser) = parsers.get_mut(at) else { return };
            parser.input(direction, input, context);
            if parser.is_proven() {
                self.state = State::Parsing(parsers.swap_remove(at));
                return self.pass_on_earlier_closes(context);
            }
        }
        if *sought > MAX_SOUGHT {
            self.finish(context);
        }
    }
}

/// Bytes of a server that are held while nothing of its client is there: capturing may have missed only the client's first
/// packet.
const MAX_UNASKED: usize = 1 << 16;
