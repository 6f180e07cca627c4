//! Describes connections to the reader: names, sides, processes.

use super::pair::{Open, PairNo};
use super::socket::{Role, Socket, name_of};
use super::table::{Context, Sockets};
use super::transfer::direction;
use crate::streams::event::{ClientBy, EventKind, Opened, StreamNo};
use crate::streams::strace::processes::Processes;
use crate::{Direction, Endpoint};

impl Sockets {
    /// The number of a connection, and the direction of what `sender` sends. Reports the connection the first time.
    pub(super) fn open(
        &mut self,
        pair: PairNo,
        sender: usize,
        context: &mut Context<'_, '_>,
    ) -> Option<(StreamNo, Direction)> {
        let known = self.pairs.get(&pair)?;
        if let Some(open) = &known.open {
            return Some((open.no, direction(open.client, sender)));
        }
        let (client, by) = self.client(pair, sender);
        let description = self.describe(pair, client, by, context.processes)?;
        let no = context.sink.open(description.clone());
        let known = self.pairs.get_mut(&pair)?;
        known.open = Some(Open { no, client, description });
        for (sender, flow) in known.flows.iter().enumerate() {
            if let Some(how) = flow.closed {
                context.sink.closed(no, direction(client, sender), how);
            }
        }
        Some((no, direction(client, sender)))
    }

    /// More may be known of a connection now: reports it if so.
    pub(super) fn refresh(&mut self, pair: PairNo, context: &mut Context<'_, '_>) {
        let open = self.pairs.get(&pair).and_then(|pair| pair.open.as_ref());
        let Some(Open { client, description, .. }) = open else { return };
        let Some(now) = self.describe(pair, *client, description.client_by, context.processes) else { return };
        let now = Opened { joined: description.joined, ..now };
        if now != *description
            && let Some(open) = self.pairs.get_mut(&pair).and_then(|pair| pair.open.as_mut())
        {
            open.description = now.clone();
            context.sink.push(open.no, EventKind::Updated(Box::new(now)));
        }
    }

    /// Which end is the client, and why. `sender` is the first end whose bytes are seen.
    fn client(&self, pair: PairNo, sender: usize) -> (usize, ClientBy) {
        let ends = [0, 1].map(|end| self.end(pair, end));
        let find = |wanted: &dyn Fn(&Socket) -> bool| ends.iter().position(|end| end.is_some_and(wanted));
        if let Some(client) = find(&|end| end.role == Some(Role::Connected)) {
            return (client, ClientBy::Connect);
        }
        if let Some(server) = find(&|end| end.role == Some(Role::Accepted)) {
            return (1 - server, ClientBy::Accept);
        }
        if let Some(first) = find(&|end| end.role == Some(Role::First)) {
            return (first, ClientBy::First);
        }
        let addresses = ends.iter().flatten().find_map(|end| end.addresses);
        if let Some((local, peer)) = addresses {
            let end = find(&|end| end.addresses == Some((local, peer))).unwrap_or_default();
            return match local.port().cmp(&peer.port()) {
                std::cmp::Ordering::Less => (1 - end, ClientBy::Port),
                std::cmp::Ordering::Greater => (end, ClientBy::Port),
                std::cmp::Ordering::Equal => (sender, ClientBy::First),
            };
        }
        let is_path = |name: &Option<Endpoint>| matches!(name, Some(Endpoint::UnixPath(_) | Endpoint::UnixAbstract(_)));
        if let Some(server) = find(&|end| is_path(&end.name)) {
            return (1 - server, ClientBy::Path);
        }
        if let Some(client) = find(&|end| is_path(&end.peer_name)) {
            return (client, ClientBy::Path);
        }
        // Servers have names.
        if let Some(client) = find(&|end| end.shows_name) {
            return (client, ClientBy::Path);
        }
        (sender, ClientBy::First)
    }

    fn describe(&self, pair: PairNo, client: usize, client_by: ClientBy, processes: &Processes) -> Option<Opened> {
        let known = self.pairs.get(&pair)?;
        let numbers = [0, 1].map(|end| known.ends.get(end).copied().flatten());
        let ends = [0, 1].map(|end| self.end(pair, end));
        let process = |end: usize| ends.get(end)?.and_then(|end| processes.describe(end.thread));
        let joined = !ends.iter().flatten().any(|end| end.is_born);
        let end = |end: usize| {
            let (this, other) = (ends.get(end).copied().flatten(), ends.get(1 - end).copied().flatten());
            let number = numbers.iter().flatten().next().map_or(0, |no| no.0);
            name_of(this, other, end == client, number)
        };
        Some(Opened {
            client: end(client),
            server: end(1 - client),
            client_by,
            client_process: process(client),
            server_process: process(1 - client),
            joined,
        })
    }
}
