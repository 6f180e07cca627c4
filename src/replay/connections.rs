//! The connections of a replay: made when they are needed, made again when they are lost.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use rpcshark_captures::Direction;
use rpcshark_captures::connection::Close;
use rpcshark_dissectors::DecodeAs;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, timeout};

use super::active::Active;
use super::engine::Engine;
use super::event::{CutShort, Event};
use super::plan::{PlannedTarget, Transport};
use super::settings::{Connections, OnConnectionLoss};
use super::wire::Frames;
use crate::rpc::{GrpcConnection, Io, Observed, Observer, TtrpcConnection, connect, over_http1};

/// A connection to a server.
pub(crate) struct Conn {
    /// Its number in the live record.
    pub(crate) no: u32,
    pub(crate) client: Client,
    /// Whether the server has sent its SETTINGS.
    pub(crate) is_ready: Cell<bool>,
    /// Whether it takes no more calls.
    pub(crate) is_draining: Cell<bool>,
    /// Why it has ended.
    pub(crate) down: RefCell<Option<String>>,
    /// Whether it ended before its server was done with it.
    was_lost: Cell<bool>,
    /// No call wants it any more.
    closing: Rc<Notify>,
    /// Calls on it.
    pub(crate) open: Cell<usize>,
    /// A call on it has ended, or what is known of it has changed.
    pub(crate) changed: Notify,
}

/// What speaks on a connection.
pub(crate) enum Client {
    Grpc(GrpcConnection),
    Ttrpc(TtrpcConnection),
}

impl Conn {
    fn is_usable(&self) -> bool {
        !self.is_draining.get() && self.down.borrow().is_none()
    }
}

/// Which connection a call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ConnKey {
    pub(crate) target: u16,
    pub(crate) group: u32,
}

/// Where the connections of a key are.
#[derive(Default)]
pub(crate) struct Slot {
    conn: Mutex<Option<Rc<Conn>>>,
    /// Calls that are still to come.
    left: Cell<u32>,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Pool {
    slots: RefCell<HashMap<ConnKey, Rc<Slot>>>,
    /// By target: whether it was ever reached.
    reached: RefCell<HashMap<u16, bool>>,
    /// Those that are open.
    pub(crate) open: RefCell<HashMap<u32, Rc<Conn>>>,
}

/// Pauses between tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the SETTINGS of a server are waited for before the first call: until they come, its limits are not known.
const LONGEST_SETTINGS: Duration = Duration::from_secs(1);

impl Pool {
    /// Counts a call that will want a connection.
    pub(crate) fn expect(&self, key: ConnKey) {
        let slot = Rc::clone(self.slots.borrow_mut().entry(key).or_default());
        slot.left.set(slot.left.get() + 1);
    }

    /// A call of this key is over. The last one closes the connection.
    pub(crate) fn done(&self, key: ConnKey) {
        let Some(slot) = self.slots.borrow().get(&key).cloned() else { return };
        slot.left.set(slot.left.get().saturating_sub(1));
        if slot.left.get() > 0 {
            return;
        }
        self.slots.borrow_mut().remove(&key);
        // Nobody waits for a connection of this key any more.
        if let Ok(mut held) = slot.conn.try_lock()
            && let Some(conn) = held.take()
        {
            self.open.borrow_mut().remove(&conn.no);
            conn.closing.notify_one();
        }
    }
}

impl Engine {
    /// Which connection a call is sent on.
    pub(crate) fn conn_key(&self, ix: u32) -> ConnKey {
        let call = &self.plan.calls[ix as usize];
        let group = match self.settings.connections {
            Connections::Recorded => call.connection,
            Connections::PerCall => ix,
            Connections::Pool(count) => ix % count,
        };
        ConnKey { target: call.target, group }
    }

    /// The connection of a key, made if there is none.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) async fn connection(self: &Rc<Self>, key: ConnKey) -> Result<Rc<Conn>, String> {
        let slot = self.pool.slots.borrow().get(&key).cloned().unwrap_or_default();
        let mut held = slot.conn.lock().await;
        if let Some(conn) = &*held {
            if conn.is_usable() {
                return Ok(Rc::clone(conn));
            }
            if let Some(why) = conn.down.borrow().clone().filter(|_| conn.was_lost.get()) {
                match self.settings.on_connection_loss {
                    OnConnectionLoss::Reconnect => {}
                    OnConnectionLoss::Drop | OnConnectionLoss::Abort => return Err(why),
                }
            }
        }
        let conn = self.connect(key.target).await?;
        *held = Some(Rc::clone(&conn));
        Ok(conn)
    }

    /// Connects to a target, again and again for some time.
    async fn connect(self: &Rc<Self>, target: u16) -> Result<Rc<Conn>, String> {
        let PlannedTarget { address, transport, .. } = &self.plan.targets[usize::from(target)];
        let tls = match transport {
            Transport::Http1 => self.settings.tls.offering(&[b"http/1.1"]),
            Transport::Http2 | Transport::Ttrpc => self.settings.tls.clone(),
        };
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let was_reached = self.pool.reached.borrow().get(&target).copied().unwrap_or(false);
        let mut said = false;
        loop {
            if self.control.is_stopped() {
                return Err("the replay was ended".to_owned());
            }
            let error = match connect(address, &tls).await {
                Ok(connected) => match self.begin(target, connected).await {
                    Ok(conn) => {
                        self.pool.reached.borrow_mut().insert(target, true);
                        if said {
                            let seconds = began.elapsed().as_secs_f64();
                            self.tell(Event::Note(format!("{address} can be reached again, after {seconds:.1} s")));
                        }
                        return Ok(conn);
                    }
                    Err(error) => error,
                },
                Err(error) => error.to_string(),
            };
            if began.elapsed() + pause > self.settings.connect_for {
                let text = format!("cannot connect to {address}: {error}");
                self.control.stop(match was_reached {
                    true => CutShort::Lost(text.clone()),
                    false => CutShort::Unreachable(text.clone()),
                });
                return Err(text);
            }
            if !std::mem::replace(&mut said, true) {
                let seconds = self.settings.connect_for.as_secs_f64();
                self.tell(Event::Note(format!("cannot connect to {address}: {error}; trying for {seconds} s")));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Begins the protocol on a connection.
    async fn begin(self: &Rc<Self>, target: u16, connected: crate::rpc::Connected) -> Result<Rc<Conn>, String> {
        let transport = self.plan.targets[usize::from(target)].transport;
        let is_ttrpc = transport == Transport::Ttrpc;
        let decode_as = if is_ttrpc { DecodeAs::Ttrpc } else { DecodeAs::Http2 };
        let no = self.connections.replace(self.connections.get() + 1);
        self.outbox.open(connected.client, connected.server, decode_as, self.now());
        let frames = if is_ttrpc { Frames::ttrpc() } else { Frames::http2() };
        let observer = Watcher { engine: Rc::downgrade(self), no, frames };
        // What is sent over HTTP/1.1 looks like HTTP/2 to everything else.
        let io: Box<dyn Io> = match transport {
            Transport::Http1 => Box::new(over_http1(connected.io)),
            Transport::Http2 | Transport::Ttrpc => connected.io,
        };
        let io = Observed::new(io, observer);
        let (client, driver): (Client, Driver) = match is_ttrpc {
            true => {
                let (connection, reading) = TtrpcConnection::new(Box::new(io));
                (Client::Ttrpc(connection), Box::pin(async { reading.await.map_err(|error| error.to_string()) }))
            }
            false => {
                let (connection, driver) = GrpcConnection::new(io).await.map_err(|error| error.to_string())?;
                (Client::Grpc(connection), Box::pin(async { driver.await.map_err(|error| error.to_string()) }))
            }
        };
        let conn = Rc::new(Conn {
            no,
            client,
            is_ready: Cell::new(is_ttrpc),
            is_draining: Cell::default(),
            down: RefCell::default(),
            was_lost: Cell::default(),
            closing: Rc::default(),
            open: Cell::default(),
            changed: Notify::new(),
        });
        self.pool.open.borrow_mut().insert(no, Rc::clone(&conn));
        self.tell(Event::ConnectionUp { target, connection: no });
        let engine = Rc::clone(self);
        let weak = Rc::downgrade(&conn);
        let closing = Rc::clone(&conn.closing);
        self.drivers.borrow_mut().spawn_local(async move {
            let result = tokio::select! {
                result = driver => result,
                // HTTP/2 says goodbye before it closes, ttrpc just closes.
                () = closing.notified(), if is_ttrpc => Ok(()),
            };
            engine.connection_ended(no, weak, result);
        });
        let settings = async {
            while !conn.is_ready.get() && conn.down.borrow().is_none() {
                conn.changed.notified().await;
            }
        };
        let _ = timeout(LONGEST_SETTINGS, settings).await;
        match conn.down.borrow().clone() {
            Some(why) => Err(why),
            None => Ok(Rc::clone(&conn)),
        }
    }

    fn connection_ended(&self, no: u32, conn: std::rc::Weak<Conn>, result: Result<(), String>) {
        let why = match result {
            Ok(()) => "the server closed the connection".to_owned(),
            Err(error) => error,
        };
        self.pool.open.borrow_mut().remove(&no);
        self.outbox.end(no, self.now());
        let is_open = |active: &Rc<Active>| active.ended.get().is_none();
        let streams = self.streams.borrow();
        let has_calls = streams.iter().any(|(&(connection, _), active)| connection == no && is_open(active));
        drop(streams);
        if let Some(conn) = conn.upgrade() {
            // A server that says that it is done, and is, may close the connection.
            let was_lost = has_calls || !conn.is_draining.get();
            conn.was_lost.set(was_lost);
            conn.down.replace(Some(why.clone()));
            conn.changed.notify_waiters();
            if was_lost && self.settings.on_connection_loss == OnConnectionLoss::Abort && !self.is_over.get() {
                self.control.stop(CutShort::Aborted(format!("a connection was lost: {why}")));
            }
        }
        self.lose(no, &why);
        self.tell(Event::ConnectionDown { connection: no, why });
    }
}

/// Drives a connection to its end, and says why it ended.
type Driver = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Hands the bytes of a connection to the live record, and its frames to the engine.
struct Watcher {
    engine: std::rc::Weak<Engine>,
    no: u32,
    frames: Frames,
}

impl Observer for Watcher {
    fn data(&mut self, direction: Direction, bytes: &[u8]) {
        let Some(engine) = self.engine.upgrade() else { return };
        engine.outbox.data(&engine.live, self.no, direction, bytes, engine.now());
        self.frames.read(direction, bytes, &mut |seen| engine.see(self.no, direction, seen));
    }

    fn closed(&mut self, direction: Direction, how: Close) {
        let Some(engine) = self.engine.upgrade() else { return };
        engine.outbox.closed(self.no, direction, how, engine.now());
    }
}
