//! One TLS connection: records are put together, opened, and their content handed to a session of its own.
//!
//! The content of a record has the packets and times of the record. Its place in the flow is counted in bytes of content, and
//! an acknowledgment counts the content of the records that are acknowledged whole. A record that cannot be proven genuine is never shown.

use rpcshark_captures::budget::{self, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, GapCause, Input};

use super::facts::{Decryption, MAX_HELLOS, TlsFacts};
use super::half::{Half, Position, Stage};
use super::handshake::{ClientHello, Message, ServerHello};
use super::keylog::{Random, Secrets};
use super::protect::Opener;
use super::record::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, RecordHeader};
use super::schedule::{next_secret, tls12_keys, tls13_keys};
use super::suite::{Suite, suite_name};
use crate::held::Held;
use crate::http2::add_held;
use crate::note::way;
use crate::parser::{HandOver, Parser};
use crate::session::{DecodeAs, Session};
use crate::store::ConnectionId;
use crate::{Arrival, Context, Note, Severity};

/// A TLS connection.
#[derive(Debug)]
pub struct Tls {
    connection: ConnectionId,
    /// The application's bytes.
    session: Box<Session>,
    halves: [Half; 2],
    /// Whether the directions are the reverse of those that were assumed at the beginning.
    roles_swapped: bool,
    /// The random of the last ClientHello.
    random: Option<Random>,
    server: Option<ServerHello>,
    /// The version that the server has chosen.
    version: Option<u16>,
    early: EarlyData,
    /// Nothing is read any more.
    over: bool,
    /// Records that were opened, and that could not be.
    opened: u64,
    refused: u64,
    /// How often the handshake has said something that the other direction may wait for.
    progress: u64,
    /// Ends of directions whose last records still wait.
    closes: [Option<(Close, Arrival)>; 2],
}

/// Application data that the client sends before the server answers (RFC 8446 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlyData {
    None,
    /// Whether the server accepts it is not known yet.
    Offered,
    Accepted,
    /// The client sends it again.
    Rejected,
}

/// What became of a record.
enum Outcome {
    /// It was read, or cannot be.
    Done,
    /// It cannot be opened yet.
    Wait,
}

/// A record at the beginning of what is held, and where it came from.
struct Record<'a> {
    header: RecordHeader,
    payload: &'a [u8],
    /// Its first byte.
    first: Data<'a>,
    /// The bytes that complete it.
    last: Data<'a>,
}

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

impl Tls {
    /// A connection whose first bytes are TLS records. `decode_as`: what the user says that it carries. `roles_swapped`:
    /// whether the directions are the reverse of those that were assumed at the beginning.
    pub fn new(connection: ConnectionId, decode_as: Option<DecodeAs>, roles_swapped: bool) -> Self {
        Self {
            connection,
            session: Box::new(Session::decrypted(connection, decode_as)),
            halves: [Half::default(), Half::default()],
            roles_swapped,
            random: None,
            server: None,
            version: None,
            early: EarlyData::None,
            over: false,
            opened: 0,
            refused: 0,
            progress: 0,
            closes: [None; 2],
        }
    }

    fn facts<'a>(&self, context: &'a mut Context<'_>) -> &'a mut TlsFacts {
        context.lane.connection_mut(self.connection).tls.get_or_insert_default()
    }

    fn note(&self, context: &mut Context<'_>, note: Note) {
        context.lane.connection_mut(self.connection).note(note);
    }

    /// Reads what is held in `direction`, and what that allows to read in the other one.
    fn pump(&mut self, mut direction: Direction, at_end: bool, context: &mut Context<'_>) {
        loop {
            let before = self.progress;
            self.advance(direction, at_end, context);
            if self.progress == before || self.over {
                return;
            }
            direction = direction.reverse();
        }
    }

    /// Reads the records of one direction that are complete and need not wait.
    fn advance(&mut self, direction: Direction, at_end: bool, context: &mut Context<'_>) {
        let index = direction.index();
        while !self.over {
            let half = &mut self.halves[index];
            half.skip_lost();
            let is_known = match half.position {
                Position::Known => half.has_header(),
                Position::Searching => self.search(direction, at_end, context),
                Position::GivenUp => {
                    half.discard();
                    return;
                }
            };
            let half = &mut self.halves[index];
            // Taken out while its bytes are read: nothing is added meanwhile.
            let held = std::mem::take(&mut half.held);
            let mut done = None;
            if is_known && let Some(record) = first_record(&held) {
                match record {
                    Ok(record) => match self.record(direction, &record, at_end, context) {
                        Outcome::Done => done = Some(record.header.record_len()),
                        Outcome::Wait => {}
                    },
                    Err(header) => {
                        let text = format!(
                            "no TLS record begins {} where one should (the bytes would mean kind {}, version 0x{:04x}, \
                             {} bytes): the next record is searched",
                            way(direction),
                            header.kind,
                            header.version,
                            header.length
                        );
                        let packet = held.data().next().map(|data| data.packet.no).unwrap_or_default();
                        self.note(context, Note::new(Severity::Warning, "tls-record", text).at(packet));
                        self.halves[index].lose(None);
                        done = Some(1);
                    }
                }
            }
            let half = &mut self.halves[index];
            half.held = held;
            match done {
                Some(len) => half.consume(len),
                // What is after a gap is read once nothing before it waits.
                None if half.is_waiting() && !at_end => return,
                None => match half.next_run() {
                    Some(gap) => self.gap_reached(direction, &gap),
                    None => return,
                },
            }
        }
    }

    /// Bytes are missing here.
    fn gap_reached(&mut self, direction: Direction, gap: &Gap) {
        self.halves[direction.index()].gap(gap);
        if direction == Direction::ToClient && self.early == EarlyData::Offered {
            // Whether it was accepted may be in what is missing. What was not is sent again.
            self.early = EarlyData::Rejected;
        }
        self.progress += 1;
    }

    /// Looks for a record after a gap: one that opens proves itself. Whether one begins at the first byte that is held now.
    fn search(&mut self, direction: Direction, at_end: bool, context: &mut Context<'_>) -> bool {
        let index = direction.index();
        let held = std::mem::take(&mut self.halves[index].held);
        let bytes = held.bytes();
        let mut begin = 0;
        let mut found = false;
        while let Some(rest) = bytes.get(begin..)
            && let Some((header, behind)) = rest.split_first_chunk::<{ RecordHeader::LEN }>()
            && self.halves[index].position == Position::Searching
        {
            let header = RecordHeader::parse(header);
            if !header.is_plausible() {
                begin += 1;
                continue;
            }
            let Some(payload) = behind.get(..header.length.into()) else {
                if at_end {
                    begin += 1;
                    continue;
                }
                break;
            };
            // The next record begins after it, if its header is there.
            let next = rest.get(header.record_len()..).and_then(<[u8]>::first_chunk).map(RecordHeader::parse);
            let fits = next.is_none_or(RecordHeader::is_plausible);
            let is_clear = self.halves[index].stage == Stage::Clear && !self.may_be_protected(direction, header);
            found = fits && (is_clear || self.finds_key(direction, header, payload, context));
            if found {
                break;
            }
            begin += 1;
        }
        let half = &mut self.halves[index];
        half.held = held;
        half.consume(begin);
        if found {
            half.position = Position::Known;
        }
        found
    }

    /// Whether a record after a gap in the handshake may be encrypted already.
    fn may_be_protected(&self, direction: Direction, header: RecordHeader) -> bool {
        header.kind == APPLICATION_DATA
            || self.server.as_ref().is_some_and(|server| server.version == TLS_1_2)
                && header.kind == HANDSHAKE
                && self.halves[direction.index()].missing > 0
    }

    /// One record.
    fn record(
        &mut self,
        direction: Direction,
        record: &Record<'_>,
        at_end: bool,
        context: &mut Context<'_>,
    ) -> Outcome {
        let half = &mut self.halves[direction.index()];
        let kind = record.header.kind;
        let is_tls13 = self.version == Some(TLS_1_3);
        match (half.stage, kind) {
            // RFC 8446 §5: sent for the sake of middleboxes, and never protected.
            (_, CHANGE_CIPHER_SPEC) if is_tls13 => Outcome::Done,
            (Stage::Clear, CHANGE_CIPHER_SPEC) => match &self.server {
                None if !at_end && self.random.is_some() => Outcome::Wait,
                None => Outcome::Done,
                Some(_) => self.change_keys(direction, at_end, context),
            },
            (Stage::Clear, HANDSHAKE) if self.may_be_protected(direction, record.header) => {
                // Where a ChangeCipherSpec is missing, what follows it is encrypted.
                let stage = self.find_key(direction, record.header, record.payload, context);
                match stage {
                    Some(()) => self.protected(direction, record, at_end, context),
                    None => self.handshake(direction, record.payload, context),
                }
            }
            (Stage::Clear, HANDSHAKE) => self.handshake(direction, record.payload, context),
            (Stage::Clear, ALERT) => Outcome::Done,
            _ => self.protected(direction, record, at_end, context),
        }
    }

    /// The content of a handshake record.
    fn handshake(&mut self, direction: Direction, content: &[u8], context: &mut Context<'_>) -> Outcome {
        self.halves[direction.index()].messages.push(content);
        while let Some(message) = self.halves[direction.index()].messages.next() {
            self.message(direction, message, context);
        }
        Outcome::Done
    }

    fn message(&mut self, direction: Direction, message: Message, context: &mut Context<'_>) {
        let half = &mut self.halves[direction.index()];
        match message {
            Message::ClientHello(hello) if direction == Direction::ToServer => self.client_hello(hello, context),
            Message::ServerHello(hello) if direction == Direction::ToClient => self.server_hello(hello, context),
            Message::EncryptedExtensions { alpn, early_data } if direction == Direction::ToClient => {
                if self.early == EarlyData::Offered {
                    self.early = if early_data { EarlyData::Accepted } else { EarlyData::Rejected };
                }
                self.facts(context).alpn = alpn;
                self.progress += 1;
            }
            Message::EndOfEarlyData if half.stage == Stage::Early => half.enter(Stage::Handshake),
            Message::Finished if half.stage == Stage::Handshake => half.enter(Stage::Application),
            Message::KeyUpdate if half.stage == Stage::Application => {
                let suite = self.server.as_ref().and_then(|server| Suite::by_id(server.suite));
                if let (Some(suite), Some(secret)) = (suite, &half.secret) {
                    let secret = next_secret(suite.hash, secret);
                    let opener = Opener::new(suite, &tls13_keys(suite, &secret), false);
                    half.enter(Stage::Application);
                    (half.opener, half.secret) = (opener, Some(secret));
                }
            }
            _ => {}
        }
    }

    fn client_hello(&mut self, hello: ClientHello, context: &mut Context<'_>) {
        if self.early == EarlyData::None && hello.early_data && self.random.is_none() {
            self.early = EarlyData::Offered;
        }
        if self.random.is_some_and(|random| random != hello.random) {
            // A renegotiation (RFC 5246 §7.4.1.1): another ServerHello follows.
            self.server = None;
        }
        self.random = Some(hello.random);
        let facts = self.facts(context);
        if !facts.randoms.contains(&hello.random) && facts.randoms.len() < MAX_HELLOS {
            facts.randoms.push(hello.random);
        }
        (facts.server_name, facts.offered) = (hello.server_name, hello.alpn);
        self.progress += 1;
    }

    fn server_hello(&mut self, hello: ServerHello, context: &mut Context<'_>) {
        self.progress += 1;
        self.version = Some(hello.version);
        let facts = self.facts(context);
        facts.version = self.version;
        if hello.is_retry() {
            // RFC 8446 §4.2.10: no early data after a HelloRetryRequest.
            self.early = EarlyData::Rejected;
            return;
        }
        facts.suite = Some(hello.suite);
        if hello.alpn.is_some() {
            facts.alpn.clone_from(&hello.alpn);
        }
        let suite = Suite::by_id(hello.suite).filter(|suite| suite.is_tls13() == (hello.version == TLS_1_3));
        if !matches!(hello.version, TLS_1_2 | TLS_1_3) || suite.is_none() {
            let version = facts.version_name().unwrap_or("TLS");
            let text = format!("decryption of {version} with {} is not supported", suite_name(hello.suite));
            self.note(context, Note::new(Severity::Warning, "tls-unsupported", text));
            return self.give_up(Decryption::Unsupported, context);
        }
        if hello.version == TLS_1_3 {
            // RFC 8446 §4.4: everything after the ServerHello is encrypted.
            self.halves[Direction::ToClient.index()].enter(Stage::Handshake);
        }
        self.server = Some(hello);
    }

    /// TLS 1.2: what follows in this direction has new keys.
    fn change_keys(&mut self, direction: Direction, at_end: bool, context: &mut Context<'_>) -> Outcome {
        match self.tls12_opener(direction, context) {
            Some(opener) => {
                let half = &mut self.halves[direction.index()];
                half.enter(Stage::Protected);
                half.opener = Some(opener);
                Outcome::Done
            }
            None => self.keys_missing(at_end, context),
        }
    }

    /// There are no secrets. Waits for them if they may still come.
    fn keys_missing(&mut self, at_end: bool, context: &mut Context<'_>) -> Outcome {
        let decryption = match self.random {
            Some(_) if context.keys.is_growing() && !at_end => return Outcome::Wait,
            Some(_) => Decryption::NoKeys,
            None => Decryption::NoHello,
        };
        self.give_up(decryption, context);
        Outcome::Done
    }

    /// A record that is encrypted.
    fn protected(
        &mut self,
        direction: Direction,
        record: &Record<'_>,
        at_end: bool,
        context: &mut Context<'_>,
    ) -> Outcome {
        let index = direction.index();
        let has_secrets = self.random.is_some_and(|random| context.keys.get(&random).is_some());
        if !has_secrets {
            return match self.server {
                // The hello of the server may say why it cannot be read at all.
                None if self.random.is_some() && !at_end && self.halves[1 - index].missing == 0 => Outcome::Wait,
                _ => self.keys_missing(at_end, context),
            };
        }
        if self.halves[index].stage == Stage::Clear {
            match (&self.server, self.early) {
                // The hello of the server has not come yet.
                (None, _) if self.halves[Direction::ToClient.index()].missing == 0 && !at_end => return Outcome::Wait,
                (_, EarlyData::Offered) if direction == Direction::ToServer && !at_end => return Outcome::Wait,
                (_, EarlyData::Accepted) if direction == Direction::ToServer => self.halves[index].enter(Stage::Early),
                _ => self.halves[index].enter(Stage::Handshake),
            }
        }
        if self.find_key(direction, record.header, record.payload, context).is_none() {
            self.refuse(direction, record, context);
            return Outcome::Done;
        }
        let half = &mut self.halves[index];
        let (sequence, lost) = (half.sequence, half.lost_content);
        let mut content = std::mem::take(&mut half.content);
        let opener = half.opener.as_ref();
        let kind = opener.and_then(|opener| opener.open(sequence, record.header, record.payload, &mut content));
        half.opened();
        self.opened += 1;
        if self.opened == 1 {
            self.facts(context).decryption = Decryption::Decrypted;
        }
        match kind {
            Some(APPLICATION_DATA) => {
                if let Some(gap) = lost {
                    self.halves[index].lost_content = None;
                    self.pass_on(direction, Input::Gap(Gap { length: None, ..gap }), context);
                }
                self.deliver(direction, record, &content, context);
            }
            Some(HANDSHAKE) => {
                self.handshake(direction, &content, context);
            }
            Some(CHANGE_CIPHER_SPEC) => {
                self.change_keys(direction, true, context);
            }
            _ => {}
        }
        content.clear();
        self.halves[index].content = content;
        Outcome::Done
    }

    /// Hands the content of a record to the application's session.
    fn deliver(&mut self, direction: Direction, record: &Record<'_>, content: &[u8], context: &mut Context<'_>) {
        if content.is_empty() {
            return;
        }
        let (first, last) = (record.first, record.last);
        let acked = first.acked.map(|acked| self.halves[direction.reverse().index()].content_in(acked));
        let data = Data {
            bytes: content,
            packet: last.packet,
            time: last.time,
            at: context.keep(content),
            offset: self.halves[direction.index()].delivered(content.len()),
            acked,
        };
        self.pass_on(direction, Input::Data(data), context);
    }

    /// What comes next of the application's bytes.
    fn pass_on(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) {
        if let Some(observer) = &mut context.observer {
            let seen = if self.roles_swapped { direction.reverse() } else { direction };
            observer.decrypted(self.connection, seen, &input);
        }
        self.session.input(direction, input, context);
    }

    /// A record that cannot be opened: nothing of it is shown.
    fn refuse(&mut self, direction: Direction, record: &Record<'_>, context: &mut Context<'_>) {
        let half = &mut self.halves[direction.index()];
        if self.early == EarlyData::Rejected && half.stage == Stage::Handshake && direction == Direction::ToServer {
            // Early data that the server does not read either.
            return;
        }
        let packet = record.last.packet;
        let gap = Gap { length: None, cause: GapCause::Lost, packet, time: record.last.time };
        half.lose_record(gap);
        let lacks_secret = half.opener.is_none();
        self.refused += 1;
        if self.opened == 0 && lacks_secret {
            // The key log has no secrets for the handshake: those for the data may fit.
            return;
        }
        let text = format!(
            "a TLS record of {} bytes {} could not be decrypted: its authentication tag does not fit",
            record.header.length,
            way(direction)
        );
        self.note(context, Note::new(Severity::Warning, "tls-record", text).at(packet.no));
    }

    /// As [`find_key`](Self::find_key), without secrets also false.
    fn finds_key(&mut self, direction: Direction, header: RecordHeader, payload: &[u8], context: &Context<'_>) -> bool {
        let half = &mut self.halves[direction.index()];
        if half.stage == Stage::Clear && header.kind == APPLICATION_DATA && self.early != EarlyData::Offered {
            half.enter(Stage::Handshake);
        }
        self.find_key(direction, header, payload, context).is_some()
    }

    /// Finds the keys and the sequence number with which a record opens, and leaves them in the half. Without missing
    /// records only the next number can be right.
    fn find_key(
        &mut self,
        direction: Direction,
        header: RecordHeader,
        payload: &[u8],
        context: &Context<'_>,
    ) -> Option<()> {
        let index = direction.index();
        self.set_opener(direction, context);
        let half = &mut self.halves[index];
        if half.try_numbers(header, payload) {
            return Some(());
        }
        let stage = half.stage;
        let may_skip = half.missing > 0 || half.opener.is_none();
        if !may_skip || half.position == Position::GivenUp {
            return None;
        }
        // What announced new keys may be missing.
        let later: &[Stage] = match stage {
            Stage::Clear => &[Stage::Protected],
            Stage::Early => &[Stage::Handshake, Stage::Application],
            Stage::Handshake => &[Stage::Application],
            Stage::Application | Stage::Protected => &[],
        };
        for &later in later {
            let opener = self.opener(direction, later, context);
            if let Some((opener, secret)) = opener
                && self.halves[index].try_later(later, opener, secret, header, payload)
            {
                return Some(());
            }
        }
        if stage == Stage::Application {
            let suite = self.suite()?;
            let secret = next_secret(suite.hash, self.halves[index].secret.as_ref()?);
            let opener = Opener::new(suite, &tls13_keys(suite, &secret), false)?;
            let half = &mut self.halves[index];
            return half.try_later(stage, opener, Some(secret), header, payload).then_some(());
        }
        None
    }

    /// Makes the opener of the stage that a half is in.
    fn set_opener(&mut self, direction: Direction, context: &Context<'_>) {
        let half = &self.halves[direction.index()];
        if half.opener.is_some() {
            return;
        }
        if let Some((opener, secret)) = self.opener(direction, half.stage, context) {
            let half = &mut self.halves[direction.index()];
            (half.opener, half.secret) = (Some(opener), secret);
        }
    }

    fn opener(
        &self,
        direction: Direction,
        stage: Stage,
        context: &Context<'_>,
    ) -> Option<(Opener, Option<super::keylog::Secret>)> {
        if stage == Stage::Protected {
            return Some((self.tls12_opener(direction, context)?, None));
        }
        let secrets = context.keys.get(&self.random?)?;
        let secret = tls13_secret(secrets, direction, stage)?;
        let suite = self.suite().filter(|suite| suite.is_tls13())?;
        let opener = Opener::new(suite, &tls13_keys(suite, secret), false)?;
        Some((opener, Some(secret.clone())))
    }

    fn tls12_opener(&self, direction: Direction, context: &Context<'_>) -> Option<Opener> {
        let (random, server) = (self.random?, self.server.as_ref()?);
        let master = context.keys.get(&random)?.master.as_ref()?;
        let suite = self.suite().filter(|suite| !suite.is_tls13())?;
        let [client_keys, server_keys] = tls12_keys(suite, master, &random, &server.random);
        let keys = if direction == Direction::ToServer { client_keys } else { server_keys };
        Opener::new(suite, &keys, server.encrypt_then_mac)
    }

    fn suite(&self) -> Option<&'static Suite> {
        Suite::by_id(self.server.as_ref()?.suite)
    }

    /// Nothing of the connection can be read.
    fn give_up(&mut self, decryption: Decryption, context: &mut Context<'_>) {
        self.over = true;
        self.halves = [Half::default(), Half::default()];
        self.facts(context).decryption = decryption;
    }

    /// Hands on ends of directions whose records have all been read.
    fn pass_on_closes(&mut self, at_end: bool, context: &mut Context<'_>) {
        for direction in Direction::BOTH {
            let is_read = at_end || !self.halves[direction.index()].is_waiting();
            if let Some((how, now)) = self.closes[direction.index()].take_if(|_| is_read) {
                self.session.closed(direction, how, now, context);
            }
        }
    }
}

impl Parser for Tls {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        if self.over {
            return None;
        }
        let half = &mut self.halves[direction.index()];
        match input {
            Input::Data(data) => half.push(&data),
            Input::Gap(gap) => half.push_gap(gap),
        }
        self.pump(direction, false, context);
        self.pass_on_closes(false, context);
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        self.closes[direction.index()] = Some((how, now));
        self.pass_on_closes(false, context);
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        for direction in Direction::BOTH {
            self.pump(direction, true, context);
        }
        for direction in Direction::BOTH {
            if let Some(gap) = self.halves[direction.index()].lost_content.take() {
                self.pass_on(direction, Input::Gap(Gap { length: None, ..gap }), context);
            }
        }
        self.pass_on_closes(true, context);
        self.session.finish(context);
        if self.opened == 0 && !self.over {
            let decryption = match (self.random, self.refused) {
                (None, _) => Decryption::NoHello,
                (Some(_), 1..) => Decryption::WrongKeys,
                (Some(random), 0) if context.keys.get(&random).is_none() => Decryption::NoKeys,
                (Some(_), 0) => Decryption::Pending,
            };
            self.facts(context).decryption = decryption;
        }
    }

    fn is_proven(&self) -> bool {
        true
    }

    fn held(&self) -> budget::Held {
        let mut held = self.session.held();
        for half in &self.halves {
            add_held(&mut held, half.memory(), half.since());
        }
        held
    }

    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        let inner = self.session.held();
        let oldest = Direction::BOTH.into_iter().filter(|direction| self.halves[direction.index()].memory() > 0);
        let oldest = oldest.min_by_key(|direction| self.halves[direction.index()].since());
        let direction = match oldest {
            Some(direction) if inner.bytes == 0 || self.halves[direction.index()].since() <= inner.since => direction,
            _ => return self.session.release(context),
        };
        let half = &mut self.halves[direction.index()];
        let bytes = half.memory();
        half.release();
        let text = format!(
            "{bytes} bytes of TLS records {} that waited were released: the memory limit is reached",
            way(direction)
        );
        self.note(context, Note::new(Severity::Warning, "memory-limit", text));
        Some((Kind::Unfinished, bytes))
    }

    fn needs_places(&self) -> bool {
        false
    }

    fn is_encrypted(&self) -> bool {
        self.opened > 0
    }
}

/// The record at the beginning of what is held, if it is complete; its header where it is not a record. `None`: more is needed.
fn first_record(held: &Held) -> Option<Result<Record<'_>, RecordHeader>> {
    let (header, behind) = held.bytes().split_first_chunk::<{ RecordHeader::LEN }>()?;
    let header = RecordHeader::parse(header);
    if !header.is_plausible() {
        return Some(Err(header));
    }
    let payload = behind.get(..header.length.into())?;
    let (first, last) = held.ends(header.record_len())?;
    Some(Ok(Record { header, payload, first, last }))
}

/// The secret of a direction in a stage of TLS 1.3.
fn tls13_secret(secrets: &Secrets, direction: Direction, stage: Stage) -> Option<&super::keylog::Secret> {
    match (stage, direction) {
        (Stage::Early, Direction::ToServer) => secrets.client_early.as_ref(),
        (Stage::Handshake, Direction::ToServer) => secrets.client_handshake.as_ref(),
        (Stage::Handshake, Direction::ToClient) => secrets.server_handshake.as_ref(),
        (Stage::Application, Direction::ToServer) => secrets.client_application.as_ref(),
        (Stage::Application, Direction::ToClient) => secrets.server_application.as_ref(),
        _ => None,
    }
}
