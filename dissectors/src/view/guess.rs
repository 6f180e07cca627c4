//! Guessing the types of a call whose method is not in the capture, once for all calls that look alike.

use std::sync::{PoisonError, RwLock};

use hashbrown::HashMap;

use crate::protobuf::{Shapes, fits};
use crate::schema::{MessageIx, Method, MethodIx, Schema, Seen, Signature};

/// Guesses the types of calls by what their messages hold, and remembers what it has guessed.
///
/// The rule is that of [`Schema::guess`]. What is remembered belongs to one schema.
#[derive(Debug)]
pub struct Guesser {
    signatures: Vec<Signature>,
    shapes: Shapes,
    guesses: RwLock<HashMap<(Seen, u128), Option<Guess>>>,
}

/// The types of a call, and its method where only one method has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) types: (MessageIx, MessageIx),
    pub(super) method: Option<MethodIx>,
}

/// Guesses that are remembered. Beyond, all are forgotten: what a peer sends decides how many there are.
const MAX_GUESSES: usize = 1 << 16;

/// Messages of each direction that a guess is tried on.
pub(super) const MAX_TRIED: usize = 16;

impl Guesser {
    /// One for `schema`.
    pub fn new(schema: &Schema) -> Self {
        Self { signatures: schema.signatures(), shapes: Shapes::of(schema), guesses: RwLock::default() }
    }

    /// Whether there is nothing to guess from.
    pub(super) const fn is_empty(&self) -> bool {
        self.signatures.is_empty()
    }

    /// The types that fit `requests` and `responses`, if exactly one pair does.
    pub(super) fn guess(
        &self,
        schema: &Schema,
        seen: Seen,
        requests: &[Vec<u8>],
        responses: &[Vec<u8>],
    ) -> Option<Guess> {
        // Empty messages fit every type.
        if requests.iter().chain(responses).all(Vec::is_empty) {
            return None;
        }
        let key = (seen.capped(), self.shapes.of_messages(requests, responses));
        if let Some(&known) = self.guesses.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known;
        }
        let all_fit = |bodies: &[Vec<u8>], message| bodies.iter().all(|body| fits(schema, message, body).is_clean());
        let signature = schema.guess_among(
            &self.signatures,
            seen,
            |message| all_fit(requests, message),
            |message| all_fit(responses, message),
        );
        let guess = signature.map(|signature| Guess {
            types: (signature.input, signature.output),
            method: match signature.methods[..] {
                [only] => Some(only),
                _ => None,
            },
        });
        let mut guesses = self.guesses.write().unwrap_or_else(PoisonError::into_inner);
        if guesses.len() >= MAX_GUESSES {
            guesses.clear();
        }
        guesses.insert(key, guess);
        guess
    }
}

/// A method and its path.
pub(super) fn method_at(schema: &Schema, at: MethodIx) -> Option<(String, &Method)> {
    let service = schema.services.get(at.service as usize)?;
    let method = service.methods.get(at.method as usize)?;
    Some((format!("/{}/{}", service.name, method.name), method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_look_alike_are_guessed_once() {
        let (schema, _) = Schema::from_source(
            "syntax = \"proto3\"; message A { int32 a = 1; } message B { string b = 2; }
             service S { rpc X(A) returns (B); rpc Y(B) returns (A); }",
        );
        let guesser = Guesser::new(&schema);
        let one = Seen { requests: 1, responses: 1 };
        // Field 1 with a number that no call has twice, and a text in field 2.
        let guess = |number: u8| {
            let response = [&[0x12, 2][..], format!("{number:02}").as_bytes()].concat();
            guesser.guess(&schema, one, &[vec![0x08, number]], &[response])
        };
        for number in 30..80 {
            let guess = guess(number).unwrap();
            assert_eq!((&*schema[guess.types.0].name, &*schema[guess.types.1].name), ("A", "B"));
            assert_eq!(method_at(&schema, guess.method.unwrap()).unwrap().0, "/S/X");
        }
        // The schema's built-in types have packed numbers in field 2, too: some letters are numbers of enumerations.
        let guesses = guesser.guesses.read().unwrap().len();
        assert!(guesses <= 3, "{guesses} guesses for 50 calls");
        assert_eq!(guesser.guess(&schema, one, &[vec![]], &[vec![]]), None, "empty messages fit every type");
    }
}
