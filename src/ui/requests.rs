//! The channel on which a worker is asked. In tests it also tells when the worker has done everything that it was asked for, so
//! that nobody has to wait for a fixed time.

use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

/// What goes through the channel.
enum Item<R> {
    Request(R),
    /// Answered when the worker waits for its next request.
    #[cfg(test)]
    Idle(Sender<()>),
}

/// The end of those who ask.
pub(super) struct Asker<R>(Sender<Item<R>>);

/// The end of the worker.
pub(super) struct Requests<R> {
    receiver: Receiver<Item<R>>,
    #[cfg(test)]
    idle: std::cell::RefCell<Vec<Sender<()>>>,
}

/// A channel of requests.
pub(super) fn requests<R>() -> (Asker<R>, Requests<R>) {
    let (sender, receiver) = channel();
    let requests = Requests {
        receiver,
        #[cfg(test)]
        idle: Default::default(),
    };
    (Asker(sender), requests)
}

impl<R> Asker<R> {
    /// Asks. `false` if the worker has ended.
    pub(super) fn ask(&self, request: R) -> bool {
        self.0.send(Item::Request(request)).is_ok()
    }

    /// Has `done` written to when the worker has done everything that it was asked for until now.
    #[cfg(test)]
    pub(super) fn when_idle(&self, done: Sender<()>) {
        let _ = self.0.send(Item::Idle(done));
    }
}

impl<R> Requests<R> {
    /// Waits for the next request: the worker has nothing else to do.
    pub(super) fn recv(&self) -> Result<R, RecvError> {
        loop {
            #[cfg(test)]
            self.answer_idle();
            if let Some(request) = self.taken(self.receiver.recv()?) {
                return Ok(request);
            }
        }
    }

    /// The next request, if there is one: the worker has more to do.
    pub(super) fn try_recv(&self) -> Result<R, TryRecvError> {
        loop {
            if let Some(request) = self.taken(self.receiver.try_recv()?) {
                return Ok(request);
            }
        }
    }

    /// The next request, if one comes within `longest`: the worker has more to do then.
    pub(super) fn recv_timeout(&self, longest: Duration) -> Result<R, RecvTimeoutError> {
        loop {
            if let Some(request) = self.taken(self.receiver.recv_timeout(longest)?) {
                return Ok(request);
            }
        }
    }

    /// The next request, if one comes within `longest`. What the worker has begun continues by itself and has no end that anybody
    /// waits for.
    pub(super) fn recv_beside(&self, longest: Duration) -> Result<R, RecvTimeoutError> {
        #[cfg(test)]
        self.answer_idle();
        self.recv_timeout(longest)
    }

    #[cfg(test)]
    fn answer_idle(&self) {
        for done in self.idle.borrow_mut().drain(..) {
            let _ = done.send(());
        }
    }

    /// The requests that wait.
    pub(super) fn try_iter(&self) -> impl Iterator<Item = R> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    fn taken(&self, item: Item<R>) -> Option<R> {
        match item {
            Item::Request(request) => Some(request),
            #[cfg(test)]
            Item::Idle(done) => {
                self.idle.borrow_mut().push(done);
                None
            }
        }
    }
}
