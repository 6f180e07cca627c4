//! Accepts clients, and starts a thread for each connection.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rpcshark_captures::write::{Ends, Party};
use rustix::event::{PollFd, PollFlags, poll};

use super::journal::{Entry, Journal, Summary};
use super::relay::{Relay, now};
use super::socket::{Listener, Socket, Target};
use super::stderr::report;
use crate::signals::Stop;

/// A recorder at work.
#[derive(Debug)]
pub struct Recorder {
    stop: Arc<Stop>,
    running: Arc<Running>,
    accepting: Option<JoinHandle<Listener>>,
    journal: Option<Journal>,
    endpoint: Endpoint,
}

impl Recorder {
    /// Begins to take clients from `listener` to `target` and to record them.
    pub fn start(listener: Listener, target: Target, journal: Journal) -> io::Result<Self> {
        Self::start_with(listener, target, journal, Stop::new()?)
    }

    /// The same, until `stop` is raised.
    pub(super) fn start_with(
        listener: Listener,
        target: Target,
        journal: Journal,
        stop: Arc<Stop>,
    ) -> io::Result<Self> {
        let running = Arc::new(Running::default());
        let endpoint = listener.endpoint().clone();
        let acceptor = Acceptor {
            via: (!target.stands_in()).then(|| endpoint.clone()),
            target: Arc::new(target),
            stop: Arc::clone(&stop),
            running: Arc::clone(&running),
        };
        let entries = EntrySource(journal.entry());
        let accepting = std::thread::Builder::new().name("accept".into()).spawn(move || {
            acceptor.run(&listener, &entries);
            listener
        })?;
        Ok(Self { stop, running, accepting: Some(accepting), journal: Some(journal), endpoint })
    }

    /// Where it listens.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes no more clients in, cuts the connections that there are, and ends the file.
    pub fn stop(mut self) -> Summary {
        self.end()
    }

    fn end(&mut self) -> Summary {
        self.stop.raise();
        drop(self.accepting.take().and_then(|thread| thread.join().ok()));
        self.running.wait_until_none(LONGEST_GOODBYE);
        self.journal.take().map(Journal::finish).unwrap_or_default()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.journal.is_some() {
            self.end();
        }
    }
}

/// What the accepting thread needs.
struct Acceptor {
    target: Arc<Target>,
    /// Where clients connect, where that is not where the server seems to be.
    via: Option<Endpoint>,
    stop: Arc<Stop>,
    running: Arc<Running>,
}

impl Acceptor {
    fn run(&self, listener: &Listener, entries: &EntrySource) {
        while !self.stop.is_raised() {
            match listener.accept() {
                Ok((client, party)) => self.begin(client, party, entries.entry()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(&listener.fd, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN)];
                    let _ = poll(&mut fds, None);
                }
                Err(error) if is_passing(&error) => {}
                // Descriptors or memory have run out: they come back when a connection ends.
                Err(error) => {
                    report(format_args!("cannot accept a connection: {error}"));
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    fn begin(&self, client: Socket, party: Party, entry: Entry) {
        let running = Ticket::new(&self.running);
        let (target, via, stop) = (Arc::clone(&self.target), self.via.clone(), Arc::clone(&self.stop));
        let spawned = std::thread::Builder::new().name("relay".into()).stack_size(STACK).spawn(move || {
            serve(client, party, &target, via, entry, &stop);
            drop(running);
        });
        if let Err(error) = spawned {
            report(format_args!("cannot accept a connection: {error}"));
        }
    }
}

/// One connection, from the connecting to its end.
fn serve(client: Socket, party: Party, target: &Target, via: Option<Endpoint>, mut entry: Entry, stop: &Stop) {
    let time = now();
    match target.connect() {
        Ok((server, server_party)) => {
            entry.opened(Ends { client: party, server: server_party, via }, time);
            Relay::new(client, server, entry).run(stop);
        }
        Err((error, server_party)) => {
            report(format_args!("cannot connect to {}: {error}", server_party.endpoint));
            entry.refused(Ends { client: party, server: server_party, via }, error.to_string(), time);
            client.abort();
        }
    }
}

/// Gives every connection its entry into the journal, without holding the journal itself.
struct EntrySource(Entry);

impl EntrySource {
    fn entry(&self) -> Entry {
        self.0.another()
    }
}

/// How many connections there are.
#[derive(Debug, Default)]
struct Running {
    count: Mutex<usize>,
    none: Condvar,
}

impl Running {
    fn wait_until_none(&self, longest: Duration) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.none.wait_timeout_while(count, longest, |count| *count > 0);
    }
}

struct Ticket(Arc<Running>);

impl Ticket {
    fn new(running: &Arc<Running>) -> Self {
        *running.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(Arc::clone(running))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut count = self.0.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

/// Errors of `accept` that concern the one connection, or nothing at all.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// A relay keeps its buffers on the heap.
const STACK: usize = 256 << 10;

/// How long stopping waits for connections. They end at once, except one that is still connecting to the server.
const LONGEST_GOODBYE: Duration = Duration::from_secs(1);
