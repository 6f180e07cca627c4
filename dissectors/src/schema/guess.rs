//! Guessing a method from the messages of a call whose path is not known.
//!
//! The rule is: the pair of types is guessed when exactly one pair fits all messages, and the method is named only when
//! one method alone has that pair. Whether bytes fit a type is up to the caller.

use super::{MessageIx, Schema};
use hashbrown::HashMap;

/// A method by its place in the table: index into [`Schema::services`], index into the service's methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodIx {
    /// Index into [`Schema::services`].
    pub service: u32,
    /// Index into [`Service::methods`](super::Service::methods).
    pub method: u32,
}

/// A pair of request and response type, and the methods that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Request type.
    pub input: MessageIx,
    /// Response type.
    pub output: MessageIx,
    /// Methods of this signature, in the order of the schema; at least one.
    pub methods: Vec<MethodIx>,
}

/// What is seen of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// How many requests.
    pub requests: usize,
    /// How many responses.
    pub responses: usize,
}

impl Seen {
    /// The same with at most two of each: more say nothing else about a method.
    #[must_use]
    pub fn capped(self) -> Self {
        Self { requests: self.requests.min(2), responses: self.responses.min(2) }
    }
}

impl Schema {
    /// Every pair of types that a method has, in the order of the schema.
    pub fn signatures(&self) -> Vec<Signature> {
        let mut signatures: Vec<Signature> = Vec::new();
        let mut index: HashMap<(MessageIx, MessageIx), usize> = HashMap::new();
        for (service_ix, service) in (0..).zip(&self.services) {
            for (method_ix, method) in (0..).zip(&service.methods) {
                let at = *index.entry((method.input, method.output)).or_insert(signatures.len());
                if at == signatures.len() {
                    signatures.push(Signature { input: method.input, output: method.output, methods: Vec::new() });
                }
                signatures[at].methods.push(MethodIx { service: service_ix, method: method_ix });
            }
        }
        signatures
    }

    /// The only pair of types that fits what was seen of a call, with those of its methods that may have been called:
    /// one method means that it is known which. `None` if no pair fits, or several do.
    ///
    /// `input_fits` and `output_fits` say whether all requests, all responses are of a type; they are asked at most
    /// once for a type. A method without streams does not fit several messages on one side.
    pub fn guess(
        &self,
        seen: Seen,
        input_fits: impl FnMut(MessageIx) -> bool,
        output_fits: impl FnMut(MessageIx) -> bool,
    ) -> Option<Signature> {
        self.guess_among(&self.signatures(), seen, input_fits, output_fits)
    }

    /// The same where the schema's signatures have been made before.
    pub fn guess_among(
        &self,
        signatures: &[Signature],
        seen: Seen,
        mut input_fits: impl FnMut(MessageIx) -> bool,
        mut output_fits: impl FnMut(MessageIx) -> bool,
    ) -> Option<Signature> {
        let mut inputs = HashMap::new();
        let mut outputs = HashMap::new();
        let mut found = None;
        for signature in signatures {
            let fits = signature.methods.iter().any(|&ix| self.may_be(ix, seen))
                && *inputs.entry(signature.input).or_insert_with(|| input_fits(signature.input))
                && *outputs.entry(signature.output).or_insert_with(|| output_fits(signature.output));
            if fits && found.replace(signature).is_some() {
                return None;
            }
        }
        let mut found: Signature = found?.clone();
        found.methods.retain(|&ix| self.may_be(ix, seen));
        Some(found)
    }

    fn may_be(&self, ix: MethodIx, seen: Seen) -> bool {
        let service = self.services.get(ix.service as usize);
        service.and_then(|s| s.methods.get(ix.method as usize)).is_some_and(|method| {
            (method.client_streaming || seen.requests <= 1) && (method.server_streaming || seen.responses <= 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let (schema, diagnostics) = Schema::from_source(
            "syntax = \"proto3\"; message A {} message B {} message C {}
             service One { rpc X(A) returns (B); rpc Y(A) returns (stream B); rpc Z(C) returns (B); }
             service Two { rpc X(A) returns (B); }",
        );
        assert!(diagnostics.is_empty());
        schema
    }

    #[test]
    fn methods_are_gathered_by_their_types() {
        let schema = schema();
        let shown: Vec<_> = schema
            .signatures()
            .iter()
            .map(|s| (&*schema[s.input].name, &*schema[s.output].name, s.methods.len()))
            .collect();
        assert_eq!(shown, [("A", "B", 3), ("C", "B", 1)]);
        assert_eq!(schema.signatures()[0].methods[2], MethodIx { service: 1, method: 0 });
    }

    #[test]
    fn a_guess_needs_exactly_one_pair() {
        let schema = schema();
        let is = |name: &'static str| {
            let schema = &schema;
            move |ix: MessageIx| &*schema[ix].name == name
        };
        let one = Seen { requests: 1, responses: 1 };
        assert_eq!(schema.guess(one, is("C"), is("B")).unwrap().methods, [MethodIx { service: 0, method: 2 }]);
        assert_eq!(schema.guess(one, is("A"), is("B")).unwrap().methods.len(), 3);
        assert_eq!(schema.guess(one, |_| true, is("B")), None, "two pairs fit");
        assert_eq!(schema.guess(one, is("B"), is("B")), None, "no pair fits");
    }

    #[test]
    fn several_messages_leave_only_streams() {
        let schema = schema();
        let seen = Seen { requests: 1, responses: 3 };
        let guess = schema.guess(seen, |_| true, |_| true).unwrap();
        assert_eq!(guess.methods, [MethodIx { service: 0, method: 1 }]);
        assert_eq!(schema.guess(Seen { requests: 2, responses: 1 }, |_| true, |_| true), None);
    }

    #[test]
    fn each_type_is_asked_for_once() {
        let schema = schema();
        let mut asked = Vec::new();
        schema.guess(
            Seen::default(),
            |ix| {
                asked.push(ix);
                true
            },
            |_| false,
        );
        asked.sort();
        let count = asked.len();
        asked.dedup();
        assert_eq!((asked.len(), count), (2, 2));
    }
}
