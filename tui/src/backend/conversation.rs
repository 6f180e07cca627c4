//! A call as a conversation: decoded by the worker that looks at single calls.

use std::sync::Arc;

use crate::model::Detail;
use crate::model::follow::{Conversation, MessageDifference, MessageNo};

/// What is asked of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConversationRequest {
    /// What both sides of a call sent. Answered by [`ConversationReply::Conversation`].
    Conversation {
        /// The call.
        no: u32,
        /// Messages as differences from those before them.
        differences: bool,
    },
    /// A message in full. Answered by [`ConversationReply::Message`].
    Message {
        /// The call.
        no: u32,
        /// Which message.
        message: MessageNo,
    },
    /// How two messages differ. Answered by [`ConversationReply::Difference`].
    Difference {
        /// The call.
        no: u32,
        /// The older one.
        old: MessageNo,
        /// The newer one.
        new: MessageNo,
    },
}

/// Replies about a conversation.
#[derive(Clone, Debug)]
pub enum ConversationReply {
    /// What both sides of a call sent.
    Conversation(Arc<Conversation>),
    /// A message in full.
    Message(MessageNo, Arc<Detail>),
    /// How two messages differ.
    Difference(Arc<MessageDifference>),
}
