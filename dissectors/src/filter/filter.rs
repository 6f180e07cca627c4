//! A compiled filter, as everybody else uses it.

use super::check::Checker;
use super::error::FilterError;
use super::parser::parse;
use super::program::{self, FilterScratch, FrameTally, Node, PacketLengths, Subject, Test};
use super::truth::Truth;
use crate::schema::Schema;
use crate::view::{CallView, FrameView};

/// What a filter chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Calls: a comparison of a frame's or message's field is met by any frame or message of the call.
    Calls,
    /// Frames: comparisons of a call's fields are about the frame's call.
    Frames,
}

/// What evaluating a filter needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The bodies of messages.
    pub bodies: bool,
    /// Of a filter of calls: their frames, which are to be given to [`Filter::observe`] as they come.
    pub frames: bool,
    /// Of a filter of frames: their calls, as they are when they have ended.
    pub calls: bool,
    /// The lengths of packets.
    pub packet_lengths: bool,
}

/// What a text is as a filter, for somebody who is still typing.
#[derive(Debug)]
pub enum State {
    /// It is a filter.
    Valid(Filter),
    /// More text may make it one.
    Incomplete(FilterError),
    /// It is wrong.
    Wrong(FilterError),
}

/// A compiled filter.
///
/// It belongs to the schema that it was compiled with: calls have to be viewed with the same one.
#[derive(Debug)]
pub struct Filter {
    source: Box<str>,
    /// None matches everything.
    root: Option<Node>,
    tests: Vec<Test>,
    needs: Needs,
}

impl Filter {
    /// Compiles a filter. An empty text matches everything.
    ///
    /// # Errors
    ///
    /// If the text is not a filter, if it names a field that does not exist, or compares what cannot be compared. The error
    /// says where.
    pub fn compile(source: &str, schema: &Schema, target: Target) -> Result<Self, FilterError> {
        let checked = match parse(source) {
            Ok(None) => Ok((None, Vec::new())),
            Ok(Some(expr)) => {
                Checker::new(schema, source, target).check(&expr).map(|(node, tests)| (Some(node), tests))
            }
            Err(error) => Err(error),
        };
        let (root, tests) = checked.map_err(|error| error.of(source))?;
        let needs = needs(&tests, target);
        Ok(Self { source: source.into(), root, tests, needs })
    }

    /// What a text is as a filter of somebody who is still typing.
    pub fn state(source: &str, schema: &Schema, target: Target) -> State {
        match Self::compile(source, schema, target) {
            Ok(filter) => State::Valid(filter),
            Err(error) if error.incomplete => State::Incomplete(error),
            Err(error) => State::Wrong(error),
        }
    }

    /// The text that it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it matches everything.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// What evaluating it needs.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether a call matches. `frames`: what [`Filter::observe`] made of its frames, where [`Needs::frames`] asks for them.
    pub fn call(&self, call: &CallView<'_>, frames: Option<&FrameTally>, scratch: &mut FilterScratch) -> Truth {
        let subject = Subject { call: Some(call), frame: None, frames, lengths: None, schema: call.schema() };
        self.root.as_ref().map_or(Truth::True, |root| root.evaluate(&self.tests, subject, scratch))
    }

    /// Whether a frame matches. `call`: its call as it is when it has ended, if it belongs to one and [`Needs::calls`] asks
    /// for it.
    pub fn frame<'a>(
        &self,
        frame: FrameView<'a>,
        call: Option<&CallView<'a>>,
        lengths: Option<PacketLengths<'_>>,
        scratch: &mut FilterScratch,
    ) -> Truth {
        let subject = Subject { call, frame: Some(frame), frames: None, lengths, schema: frame.schema() };
        self.root.as_ref().map_or(Truth::True, |root| root.evaluate(&self.tests, subject, scratch))
    }

    /// Adds what the filter has to know of a frame to what it knows of the frame's call.
    pub fn observe(&self, frame: FrameView<'_>, lengths: Option<PacketLengths<'_>>, into: &mut FrameTally) {
        program::observe(&self.tests, frame, lengths, frame.schema(), into);
    }
}

fn needs(tests: &[Test], target: Target) -> Needs {
    let operands = || tests.iter().flat_map(Test::operands);
    let sources = || operands().map(|operand| &operand.source);
    let has_text = tests.iter().any(|test| matches!(test, Test::Text(_)));
    Needs {
        bodies: sources().any(program::Source::reads_bodies),
        frames: target == Target::Calls && sources().any(program::Source::is_of_frames),
        calls: target == Target::Frames && (has_text || sources().any(program::Source::needs_call)),
        packet_lengths: sources().any(|source| matches!(source, program::Source::PacketLength)),
    }
}
