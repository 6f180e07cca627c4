//! How fast the screens are with ten million calls in the store. Slow: `cargo test --release --lib ui::tests::speed -- --ignored
//! --nocapture` prints what `docs/performance.md` says. `RPCSHARK_LARGE` names the large capture of that page.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use rpcshark_captures::{Direction, Endpoint, Packet, PacketNo, Place, Sources, Timestamp};
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::header::{Coded, Field, Octets, Text};
use rpcshark_dissectors::store::{
    Body, Call, ClientBy, Connection, ConnectionProtocol, End, Keep, Message, Protocol, Store,
};
use rpcshark_dissectors::view::Viewer;
use rpcshark_tui::backend::{Backend, Checked, Completion, Progress, Request};

use super::rig::Rig;
use crate::load::SharedStore;
use crate::ui::backend::ScreenBackend;

/// Calls in the store.
const CALLS: u32 = 10_000_000;

/// Lanes and connections among which they are.
const LANES: u16 = 64;

fn field(name: &str, value: &str) -> Field {
    let text = |text: &str| Text::Known(Octets::copied(text.as_bytes()));
    Field {
        name: text(name),
        value: text(value),
        coded: Coded::Literal,
        name_huffman: false,
        value_huffman: false,
        index: None,
        span: 0..0,
        value_span: 0..0,
    }
}

/// A store with calls of a hundred methods, one in fifty of which failed.
fn store(calls: u32) -> Store {
    let mut store = Store::new(LANES, Keep::default());
    let end = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
    for (index, lane) in (0u16..).zip(store.lanes_mut()) {
        let mut connection = Connection::new(end(index + 1), end(50_051), ClientBy::Syn, Timestamp::default());
        connection.protocol = ConnectionProtocol::Http2;
        lane.add_connection(Packet { order: index.into(), no: PacketNo::new(0, u64::from(index) + 1) }, connection);
    }
    store.commit();
    // Batches, as a loader commits them: numbers go through all lanes in turn.
    let mut added = 0;
    while added < calls {
        let batch = (added + 20_000).min(calls);
        for no in added..batch {
            let lane = &mut store.lanes_mut()[usize::from(no as u16 % LANES)];
            let order = u64::from(no) * 4 + 1000;
            lane.set_sort_key(order, 0);
            let method = format!("/shop.v1.Service{}/Method{}", no % 10, no / 10 % 10);
            let path = lane.headers.enter(&[field(":path", &method), field("content-type", "application/grpc")]);
            let status = if no % 50 == 7 { "14" } else { "0" };
            let trailers = lane.headers.enter(&[field("grpc-status", status)]);
            let start = Timestamp::from_nanos(i64::from(no) * 1_000);
            let connection = rpcshark_dissectors::store::ConnectionId(0);
            let mut call = Call::new(Protocol::Grpc, connection, no * 2 + 1, start, PacketNo::new(0, order));
            call.request_headers = Some(path);
            call.request_headers_at = Some(start);
            call.trailers = Some(trailers);
            call.end = Some(End::Trailers);
            let took = u64::from(no).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            call.ended_at = Some(start.plus(Duration::from_nanos(took)));
            for direction in Direction::BOTH {
                let message = Message::new(direction, 100, Body::Whole(Place::NOWHERE), start, PacketNo::new(0, order));
                call.add_message(message);
            }
            let id = lane.add_call(call);
            lane.complete_call(id);
        }
        added = batch;
        store.commit();
    }
    store
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long it takes until the list with this filter and order is there.
fn list_time(rig: &mut Rig, keys: &str, filter: &str, until: &str) -> (Duration, Duration) {
    rig.keys_at_once(keys);
    rig.text(filter);
    let began = Instant::now();
    rig.keys_at_once("Enter");
    let mut first = None;
    loop {
        rig.take_waiting(Duration::from_millis(2));
        let screen = rig.draw();
        if first.is_none() && screen.contains('✓') {
            first = Some(began.elapsed());
        }
        if screen.contains(until) && !screen.contains("judged") {
            return (first.unwrap_or_default(), began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{screen}");
    }
}

#[test]
#[ignore = "takes gigabytes and half a minute: run it in a release build"]
fn ten_million_calls_scroll_sort_and_filter() {
    let began = Instant::now();
    let shared = SharedStore::finished(store(CALLS), Arc::new(Sources::default()));
    println!("store of {CALLS} calls made in {:.1?}", began.elapsed());
    let mut rig = Rig::over(Arc::new(shared));
    for size in [(80, 24), (120, 36), (160, 50)] {
        rig.size = size;
        let mut times = Vec::new();
        for step in 0..200u64 {
            rig.keys_at_once(["PageDown", "G", "PageUp", "g", "j"][(step % 5) as usize]);
            let mut buffer = Buffer::empty(Rect::new(0, 0, size.0, size.1));
            let began = Instant::now();
            rig.app.draw(&mut buffer, &rig.backend);
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let worst = times[times.len() * 99 / 100];
        let frame = median(times);
        println!("{} by {}: a frame takes {frame:.1?}, 99 of 100 at most {worst:.1?}", size.0, size.1);
        assert!(frame < Duration::from_millis(2), "{frame:?}");
    }
    rig.size = (100, 29);
    let (first, all) = list_time(&mut rig, "/", "rpc.status == UNAVAILABLE", "✓ 200,000 of 10,000,000");
    println!("filter by status: first rows after {first:.1?}, all after {all:.1?}");
    rig.keys_at_once("Esc");
    rig.take_waiting(Duration::from_millis(50));
    for (key, name, heading) in [("d", "duration", "Took ▾"), ("m", "method", "Method ▴"), ("t", "time", "Time ▴")]
    {
        let began = Instant::now();
        rig.keys_at_once("s");
        rig.keys_at_once(key);
        loop {
            rig.take_waiting(Duration::from_millis(2));
            let screen = rig.draw();
            if screen.contains(heading) && screen.contains('✓') && !screen.contains("judged") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{screen}");
        }
        println!("sort by {name}: {:.1?}", began.elapsed());
    }
    // A list that is not wanted any more is given up at once: the next one does not wait for it.
    rig.keys_at_once("/");
    rig.text("rpc.path contains \"Method3\"");
    rig.keys_at_once("Enter");
    let (first, _) = list_time(&mut rig, "/", " && rpc.no < 100", "✓ ");
    println!("a filter while another one is applied: first rows after {first:.1?}");
}

/// Measures how long the screens wait until they may look at the store.
struct Timed<'a> {
    inner: &'a ScreenBackend,
    /// Of the frame that is being drawn.
    waited: Cell<Duration>,
}

impl Backend for Timed<'_> {
    fn look(&self, see: &mut dyn FnMut(Viewer<'_>)) {
        let began = Instant::now();
        let mut waited = None;
        self.inner.look(&mut |viewer| {
            waited.get_or_insert_with(|| began.elapsed());
            see(viewer);
        });
        self.waited.set(self.waited.get() + waited.unwrap_or_default());
    }

    fn progress(&self) -> Progress {
        let began = Instant::now();
        let progress = self.inner.progress();
        self.waited.set(self.waited.get() + began.elapsed());
        progress
    }

    fn request(&self, request: Request) {
        self.inner.request(request);
    }

    fn check(&self, filter: &str, target: Target) -> Checked {
        self.inner.check(filter, target)
    }

    fn complete(&self, filter: &str, cursor: usize, target: Target) -> Vec<Completion> {
        self.inner.complete(filter, cursor, target)
    }
}

#[test]
#[ignore = "needs a large capture, RPCSHARK_LARGE=FILE: run it in a release build"]
fn the_screen_hardly_waits_for_the_store_while_a_large_capture_is_read() {
    let path = std::env::var_os("RPCSHARK_LARGE").expect("RPCSHARK_LARGE names a large capture");
    let began = Instant::now();
    let mut rig = Rig::loading(std::path::Path::new(&path));
    let mut waits = Vec::new();
    let mut frames = Vec::new();
    for step in 0u32.. {
        rig.take_waiting(Duration::from_millis(15));
        let backend = Timed { inner: &rig.backend, waited: Cell::default() };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 30));
        let frame = Instant::now();
        let key = KeyCode::Char(if step % 8 == 7 { 'G' } else { 'j' });
        rig.app.event(&Event::Key(KeyEvent::new(key, KeyModifiers::NONE)), &backend);
        rig.app.draw(&mut buffer, &backend);
        frames.push(frame.elapsed());
        waits.push(backend.waited.get());
        if backend.progress().finished {
            break;
        }
    }
    let count = waits.len();
    waits.sort_unstable();
    frames.sort_unstable();
    let (p99, longest) = (waits[count * 99 / 100], waits[count - 1]);
    println!(
        "read in {:.2?}; {count} keys and frames: waited {:.1?} (median), {p99:.1?} (99 of 100), {longest:.1?} (longest); \
         a frame took {:.1?} (median), {:.1?} (99 of 100)",
        began.elapsed(),
        waits[count / 2],
        frames[count / 2],
        frames[count * 99 / 100],
    );
    assert!(p99 <= Duration::from_millis(8), "{p99:?}");
}
