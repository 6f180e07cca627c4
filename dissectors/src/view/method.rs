//! What method a call is of, and what types its messages have: as the path says, or guessed from the messages.

use std::borrow::Cow;

use rpcshark_captures::Direction;

use super::Describer;
use crate::protobuf::fits;
use crate::schema::{MessageIx, Method, Seen, Service};
use crate::store::{Call, Lane};

/// A call's method and types, as far as they are known or can be guessed.
#[derive(Debug, Default)]
pub(super) struct Meaning<'a> {
    /// `/service/method`.
    pub(super) path: Option<Cow<'a, str>>,
    /// The path is a guess.
    pub(super) path_guessed: bool,
    /// The method in the schema.
    pub(super) method: Option<&'a Method>,
    /// Request and response type.
    pub(super) types: Option<(MessageIx, MessageIx)>,
    /// The types are a guess.
    pub(super) types_guessed: bool,
}

impl Meaning<'_> {
    /// The type of the messages of a direction.
    pub(super) fn message(&self, direction: Direction) -> Option<MessageIx> {
        self.types.map(|(request, response)| match direction {
            Direction::ToServer => request,
            Direction::ToClient => response,
        })
    }
}

/// Service and method of a path; a path of another form has none.
pub(super) fn split_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.rsplit_once('/')
}

impl<'a> Describer<'a> {
    /// What `call` is.
    pub(super) fn meaning(&self, lane: &'a Lane, call: &Call) -> Meaning<'a> {
        let path = call.request_headers.and_then(|list| lane.headers[list].facts.path.known()?.known());
        let Some(path) = path else { return self.guessed_meaning(lane, call) };
        let path = String::from_utf8_lossy(path);
        let method = split_path(&path).and_then(|(service, method)| self.schema.method(service, method));
        let types = method.map(|method| (method.input, method.output));
        Meaning { path: Some(path), method, types, ..Meaning::default() }
    }

    /// The rule: the pair of types when exactly one pair fits all messages; the method only when one method has that pair.
    fn guessed_meaning(&self, lane: &Lane, call: &Call) -> Meaning<'a> {
        if self.schema.services.is_empty() {
            return Meaning::default();
        }
        let contents = Direction::BOTH.map(|direction| {
            let bodies = call.messages(direction).take(MAX_TRIED).map(|message| self.body(lane, call, message));
            bodies.filter_map(|body| body.content().map(<[u8]>::to_vec)).collect::<Vec<_>>()
        });
        let [requests, responses] = &contents;
        let mut right_fields = 0;
        let mut all_fit = |bodies: &[Vec<u8>], message: MessageIx| {
            bodies.iter().all(|body| {
                let fit = fits(self.schema, message, body);
                right_fields += fit.fields;
                fit.is_clean()
            })
        };
        let seen = Seen {
            requests: call.messages(Direction::ToServer).count(),
            responses: call.messages(Direction::ToClient).count(),
        };
        // Empty messages fit every type.
        if requests.iter().chain(responses).all(Vec::is_empty) {
            return Meaning::default();
        }
        let signature = {
            let all_fit = std::cell::RefCell::new(&mut all_fit);
            self.schema.guess(
                seen,
                |message| (all_fit.borrow_mut())(requests, message),
                |message| (all_fit.borrow_mut())(responses, message),
            )
        };
        let Some(signature) = signature.filter(|_| right_fields > 0) else { return Meaning::default() };
        let types = Some((signature.input, signature.output));
        let [only] = signature.methods[..] else {
            return Meaning { types, types_guessed: true, ..Meaning::default() };
        };
        let service: Option<&Service> = self.schema.services.get(only.service as usize);
        let method = service.and_then(|service| service.methods.get(only.method as usize));
        let path =
            service.zip(method).map(|(service, method)| Cow::Owned(format!("/{}/{}", service.name, method.name)));
        Meaning { path, path_guessed: true, method, types, types_guessed: true }
    }
}

/// Messages of each direction that a guess is tried on.
const MAX_TRIED: usize = 16;
