//! Tests of the store, its change log, and what it takes.

use std::collections::BTreeSet;

use rpcshark_captures::{Direction, Endpoint, Packet, PacketNo, Place, SourceNo, Timestamp};

use super::*;

/// A store that is filled by hand: each call to [`Filled::call`] is a packet.
struct Filled {
    store: Store,
    log: ChangeLog,
    order: u64,
    lanes: u16,
}

impl Filled {
    fn new(lanes: u16) -> Self {
        Self { store: Store::new(lanes, Keep::default()), log: ChangeLog::default(), order: 0, lanes }
    }

    fn packet(&mut self) -> Packet {
        self.order += 1;
        // Packets of two files in turn: their numbers say nothing about their order.
        Packet { order: self.order, no: PacketNo::new((self.order % 2) as u16, 1000 - self.order / 2 % 1000) }
    }

    fn connection(&mut self, lane: u16) -> ConnectionRef {
        let packet = self.packet();
        let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let connection = Connection::new(end(1), end(2), ClientBy::Syn, Timestamp::default());
        let lane = LaneNo(lane % self.lanes);
        ConnectionRef { lane, id: self.lane(lane).add_connection(packet, connection) }
    }

    fn lane(&mut self, no: LaneNo) -> &mut Lane {
        &mut self.store.lanes_mut()[no.0 as usize]
    }

    fn call(&mut self, connection: ConnectionRef) -> CallRef {
        let packet = self.packet();
        let lane = self.lane(connection.lane);
        lane.set_sort_key(packet.order, 0);
        let call = Call::new(Protocol::Grpc, connection.id, 1, Timestamp::default(), packet.no);
        CallRef { lane: connection.lane, id: lane.add_call(call) }
    }

    fn change(&mut self, call: CallRef) {
        self.lane(call.lane).call_mut(call.id).seen(PacketNo::new(0, 5000));
    }

    fn complete(&mut self, call: CallRef) {
        let packet = self.packet();
        let lane = self.lane(call.lane);
        lane.set_sort_key(packet.order, 0);
        lane.complete_call(call.id);
    }

    fn commit(&mut self) -> Committed {
        let committed = self.store.commit();
        self.log.add(&committed);
        committed
    }

    fn no(&self, call: CallRef) -> u32 {
        self.store.call(call).no.unwrap().get()
    }
}

#[test]
fn calls_are_numbered_by_their_place_in_the_reading_whatever_file_and_lane_they_are_in() {
    let numbered = |lanes| {
        let mut filled = Filled::new(lanes);
        let connections: Vec<_> = (0..7).map(|lane| filled.connection(lane)).collect();
        let calls: Vec<_> = (0..40).map(|at| filled.call(connections[at * 3 % 7])).collect();
        filled.commit();
        let connections: Vec<_> = connections.iter().map(|&at| filled.store.connection(at).number()).collect();
        (calls.iter().map(|&at| filled.no(at)).collect::<Vec<_>>(), connections)
    };
    let expected = ((1..=40).collect::<Vec<_>>(), (0..7).map(Some).collect::<Vec<_>>());
    assert_eq!(numbered(1), expected);
    assert_eq!(numbered(16), expected);
}

#[test]
fn a_commit_lists_each_changed_call_once_and_new_calls_only_as_new() {
    let mut filled = Filled::new(4);
    let connection = filled.connection(1);
    let first = filled.call(connection);
    filled.change(first);
    let committed = filled.commit();
    assert_eq!((committed.calls, committed.changed, committed.connections), (1..2, vec![], 0..1));
    for _ in 0..5 {
        filled.change(first);
    }
    let second = filled.call(connection);
    filled.change(second);
    filled.complete(first);
    filled.complete(first);
    let committed = filled.commit();
    assert_eq!((committed.calls, committed.changed, committed.completed), (2..3, vec![1], vec![first]));
    // A call changes its connection's count.
    assert_eq!(committed.changed_connections, [0]);
    let committed = filled.commit();
    assert_eq!((committed.calls, committed.changed, committed.completed), (3..3, vec![], vec![]));
}

#[test]
fn a_slow_reader_is_told_everything_once() {
    let mut filled = Filled::new(4);
    let connection = filled.connection(0);
    let (fast, slow) = (filled.log.join(), filled.log.join());
    let mut calls = Vec::new();
    for seen in 0..50 {
        calls.push(filled.call(connection));
        let before = calls[calls.len() / 2];
        filled.change(before);
        if calls.len() > 3 {
            filled.complete(calls[calls.len() - 4]);
        }
        filled.commit();
        let changes = filled.log.take(fast);
        assert!(!changes.restarted);
        assert_eq!(changes.calls, seen + 1..seen + 2);
    }
    let changes = filled.log.take(slow);
    assert_eq!((changes.restarted, changes.calls, changes.changed), (false, 1..51, vec![]));
    assert_eq!(changes.completed, calls[..47]);
    // It knows all of them now: what changes is listed by number, once however many commits changed it.
    for _ in 0..3 {
        filled.change(calls[30]);
        filled.change(calls[4]);
        filled.commit();
    }
    let changes = filled.log.take(slow);
    assert_eq!((changes.calls, changes.changed), (51..51, vec![5, 31]));
    assert!(filled.log.take(slow).is_empty());
    assert!(!filled.log.is_behind(slow) && filled.log.is_behind(fast));
}

#[test]
fn a_reader_that_joins_late_gets_the_present_state_and_goes_on_from_there() {
    let mut filled = Filled::new(4);
    let connection = filled.connection(0);
    let calls: Vec<_> = (0..9).map(|_| filled.call(connection)).collect();
    filled.complete(calls[2]);
    filled.commit();
    let late = filled.log.join();
    assert!(filled.log.is_behind(late));
    let changes = filled.log.take(late);
    assert_eq!((changes.restarted, changes.calls, changes.connections), (true, 1..10, 0..1));
    assert!(changes.completed.is_empty() && filled.store.call(calls[2]).is_complete());
    filled.complete(calls[3]);
    filled.commit();
    let changes = filled.log.take(late);
    assert_eq!((changes.restarted, changes.changed, changes.completed), (false, vec![4], vec![calls[3]]));
}

#[test]
fn a_reader_that_stops_is_not_waited_for() {
    let mut filled = Filled::new(1);
    let connection = filled.connection(0);
    let (gone, slow) = (filled.log.join(), filled.log.join());
    let first = filled.call(connection);
    filled.commit();
    filled.log.leave(gone);
    assert!(filled.log.take(gone).is_empty());
    // One that neither takes nor leaves gets the present state once it is too far behind.
    let others: Vec<_> = (0..999).map(|_| filled.call(connection)).collect();
    filled.commit();
    for _ in 0..3000 {
        others.iter().for_each(|&call| filled.change(call));
        filled.commit();
        assert!(filled.log.held() <= MAX_HELD + 1000, "{}", filled.log.held());
    }
    filled.change(first);
    filled.commit();
    let changes = filled.log.take(slow);
    assert_eq!((changes.restarted, changes.calls, changes.changed), (true, 1..1001, vec![]));
    // Nobody is left: nothing is held.
    filled.log.leave(slow);
    filled.change(first);
    filled.commit();
    assert_eq!(filled.log.held(), 0);
}

#[test]
fn calls_that_are_forgotten_take_no_memory_and_the_others_keep_their_numbers() {
    let mut filled = Filled::new(3);
    let connections: Vec<_> = (0..3).map(|lane| filled.connection(lane)).collect();
    let mut open = BTreeSet::new();
    for round in 0..300_u32 {
        let calls: Vec<_> = (0..200).map(|at| filled.call(connections[at % 3])).collect();
        filled.commit();
        if round % 10 == 0 {
            open.insert(filled.no(calls[17]));
        }
        let done: Vec<_> = calls.into_iter().filter(|&at| !open.contains(&filled.no(at))).collect();
        filled.store.forget(&done);
        // What still comes for them goes nowhere.
        filled.change(done[0]);
        assert!(filled.commit().changed.is_empty());
    }
    assert_eq!(filled.store.call_count(), 60_000);
    assert!(filled.store.calls().len() < 10_000, "{}", filled.store.calls().len());
    let held: usize = filled.store.lanes_mut().iter().map(|lane| lane.held()[0]).sum();
    assert!(held < 10_000, "{held}");
    for &no in &open {
        let at = filled.store.call_by_no(no).unwrap();
        assert_eq!(filled.no(at), no);
    }
    assert_eq!(filled.store.call_by_no(1), None);
    assert_eq!(filled.store.call_by_no(60_001), None);
}

#[test]
fn what_ended_calls_refer_to_is_forgotten_with_them() {
    use crate::header::Field;
    use crate::http2::hpack::Decoder;
    let mut filled = Filled { store: Store::new(2, Keep { bodies: true, ..Keep::default() }), ..Filled::new(2) };
    // Literal without indexing: x-id, and a value.
    let id = |text: String| -> Vec<Field> {
        let block = [b"\0\x04x-id", &[text.len() as u8][..], text.as_bytes()].concat();
        Decoder::new(true).decode(&block).fields.to_vec()
    };
    let long_lived = filled.connection(0);
    let open = filled.call(long_lived);
    let list = filled.lane(open.lane).headers.enter(&id("open".to_owned()));
    filled.lane(open.lane).call_mut(open.id).request_headers = Some(list);
    let mut numbers = Vec::new();
    for round in 0..2000_u32 {
        let connection = filled.connection(round as u16);
        let calls: Vec<_> = (0..30).map(|_| filled.call(connection)).collect();
        for (&call, no) in calls.iter().zip(0..) {
            let lane = filled.lane(call.lane);
            let list = lane.headers.enter(&id(format!("{round} {no}")));
            let piece = |len| Piece { at: Place::new(SourceNo(0), 7), len };
            let body = lane.add_pieces(&[piece(3), piece(4)], 7);
            let entry = lane.call_mut(call.id);
            entry.request_headers = Some(list);
            entry.add_message(Message::new(Direction::ToServer, 7, body, Timestamp::EPOCH, PacketNo::new(0, 1)));
        }
        filled.lane(connection.lane).end_connection(connection.id);
        filled.commit();
        numbers.push(filled.store.connection(connection).number().unwrap());
        filled.store.forget(&calls);
    }
    filled.store.forget(&[]);
    for what in 0..4 {
        let held: usize = filled.store.lanes_mut().iter().map(|lane| lane.held()[what]).sum();
        assert!(held < 20_000, "{what}: {held}");
    }
    // What is left is as it was.
    assert_eq!(filled.store.connections().collect::<Vec<_>>(), [long_lived]);
    assert_eq!(filled.store.forgotten_connections().count, 2000);
    assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
    let lane = filled.store.lane(open.lane);
    let field = lane.headers.fields(list).next().and_then(|field| field.value.as_str());
    assert_eq!(field, Some("open"));
    // A list that was forgotten is entered anew.
    let lane = filled.lane(LaneNo(0));
    let again = lane.headers.enter(&id("0 0".to_owned()));
    assert_eq!(lane.headers.fields(again).count(), 1);
}

#[test]
fn what_the_store_holds_many_of_stays_small() {
    // A capture has millions of some of these: whoever makes one larger weighs what it costs.
    let sizes = [
        ("Call", size_of::<Call>(), 168),
        ("Message", size_of::<Message>(), 32),
        ("Piece", size_of::<Piece>(), 16),
        ("CallRef", size_of::<CallRef>(), 8),
        ("HeaderList", size_of::<HeaderList>(), 96),
        ("Connection", size_of::<Connection>(), 200),
        ("RareFacts", size_of::<RareFacts>(), 168),
        ("CallEvent", size_of::<CallEvent>(), 88),
        ("Frame", size_of::<Frame>(), 144),
    ];
    for (name, size, limit) in sizes {
        println!("{name}: {size} bytes");
        assert!(size <= limit, "{name} takes {size} bytes, not {limit}");
    }
}
