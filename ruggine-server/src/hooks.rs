//! The seam through which an embedding service watches and refuses actions.

use std::net::IpAddr;

use ruggine_core::api::Method;
use ruggine_core::{ConversationId, ErrorCode};

use crate::auth::Principal;
use crate::seam::seam;

/// Something that is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The operation.
    pub method: Method,
    /// Who does it; absent before a login.
    pub principal: Option<Principal>,
    /// Where the request came from.
    pub address: IpAddr,
    /// The conversation that it concerns.
    pub conversation: Option<ConversationId>,
}

/// What a hook says of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Verdict {
    /// It may be done.
    #[default]
    Allow,
    /// It may be done; the note is handed to the hook called afterwards.
    Annotate(String),
    /// It may not be done. The reason is shown to the caller.
    Deny {
        /// Why.
        reason: String,
    },
}

/// Something that was done or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// What was attempted.
    pub attempt: Attempt,
    /// The note that the hook before it left.
    pub note: Option<String>,
    /// The failure, where it failed.
    pub error: Option<ErrorCode>,
}

seam! {
    /// Called around every operation. A hook that is slower than the configured
    /// deadline counts as a refusal: what cannot be judged is not done.
    pub trait Hooks / DynHooks {
        /// Before an operation, after its caller is known.
        async fn before(&self, attempt: Attempt) -> Verdict;

        /// After an operation. Its result is already decided.
        async fn after(&self, outcome: Outcome) -> ();
    }
}
