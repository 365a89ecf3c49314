//! Errors as they travel: a stable code, a sentence, and whether to try again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire_enum::wire_enum;

wire_enum! {
    /// The stable name of a failure. Programs act on this; people read
    /// [`ApiError::message`].
    pub enum ErrorCode {
        /// The frame is not valid JSON or MessagePack, or breaks a limit of the codec.
        BadFrame = "bad_frame",
        /// The frame or body is longer than allowed.
        FrameTooLarge = "frame_too_large",
        /// No operation has this name.
        UnknownMethod = "unknown_method",
        /// The parameters do not have the operation's form.
        InvalidParams = "invalid_params",
        /// The server does not speak this protocol version.
        UnsupportedProtocol = "unsupported_protocol",
        /// A socket must say `hello` before anything else that needs a login.
        HelloRequired = "hello_required",

        /// No token, or one that is unknown, expired or revoked.
        Unauthenticated = "unauthenticated",
        /// Username and password, or device and secret, do not match.
        InvalidCredentials = "invalid_credentials",
        /// The username belongs to somebody.
        UsernameTaken = "username_taken",
        /// The text cannot be a username.
        InvalidUsername = "invalid_username",
        /// The text cannot be a display or device name.
        InvalidDisplayName = "invalid_display_name",
        /// The password is too short, too long or too common.
        WeakPassword = "weak_password",
        /// A refresh token was used again after its successor; the login is revoked.
        TokenReused = "token_reused",
        /// The client's local store is older than the server remembers.
        DeviceRestored = "device_restored",
        /// The caller may not do this.
        Forbidden = "forbidden",

        /// No user has this name or id.
        UserNotFound = "user_not_found",
        /// No such conversation, or the caller is not in it.
        ConversationNotFound = "conversation_not_found",
        /// No such session.
        SessionNotFound = "session_not_found",
        /// No such message, or it lies outside the caller's window.
        MessageNotFound = "message_not_found",
        /// The operation does not exist in this protection mode or kind of conversation.
        WrongMode = "wrong_mode",
        /// A group keeps at least one owner.
        LastOwner = "last_owner",
        /// The user is not a member.
        NotAMember = "not_a_member",
        /// A limit on members or conversations is reached.
        LimitReached = "limit_reached",
        /// The conversation id is already in use.
        ConversationExists = "conversation_exists",

        /// The payload is longer than allowed.
        PayloadTooLarge = "payload_too_large",
        /// The payload is not valid content for this conversation.
        InvalidContent = "invalid_content",
        /// The same message id was sent before with another payload.
        IdempotencyConflict = "idempotency_conflict",
        /// The message was sealed in an MLS epoch that is no longer current.
        StaleEpoch = "stale_epoch",
        /// The stored record could not be opened.
        Undecryptable = "undecryptable",
        /// The device list does not follow the newest one that is stored.
        IdentityConflict = "identity_conflict",
        /// The device list is not well-formed, or breaks a rule.
        InvalidIdentity = "invalid_identity",
        /// A key package is not well-formed, or breaks a rule.
        InvalidKeyPackage = "invalid_key_package",

        /// Too many requests; wait for `retry_after_ms`.
        RateLimited = "rate_limited",
        /// The server is at its limit and stored nothing; wait for `retry_after_ms`.
        Overloaded = "overloaded",
        /// Too many connections from this user or address.
        TooManyConnections = "too_many_connections",
        /// A hook of the embedding service refused the action.
        Refused = "refused",
        /// The server cannot serve now: it is starting, draining or has lost its store.
        Unavailable = "unavailable",
        /// A fault on the server's side, with details in its log only.
        Internal = "internal",
    }
}

impl ErrorCode {
    /// The code's number in the protocol document; zero for an unknown one.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::BadFrame => 1001,
            Self::FrameTooLarge => 1002,
            Self::UnknownMethod => 1003,
            Self::InvalidParams => 1004,
            Self::UnsupportedProtocol => 1005,
            Self::HelloRequired => 1006,
            Self::Unauthenticated => 2001,
            Self::InvalidCredentials => 2002,
            Self::UsernameTaken => 2003,
            Self::InvalidUsername => 2004,
            Self::InvalidDisplayName => 2005,
            Self::WeakPassword => 2006,
            Self::TokenReused => 2007,
            Self::DeviceRestored => 2008,
            Self::Forbidden => 2009,
            Self::UserNotFound => 3001,
            Self::ConversationNotFound => 3002,
            Self::SessionNotFound => 3003,
            Self::MessageNotFound => 3004,
            Self::WrongMode => 3005,
            Self::LastOwner => 3006,
            Self::NotAMember => 3007,
            Self::LimitReached => 3008,
            Self::ConversationExists => 3009,
            Self::PayloadTooLarge => 4001,
            Self::InvalidContent => 4002,
            Self::IdempotencyConflict => 4003,
            Self::StaleEpoch => 4004,
            Self::Undecryptable => 4005,
            Self::IdentityConflict => 4006,
            Self::InvalidIdentity => 4007,
            Self::InvalidKeyPackage => 4008,
            Self::RateLimited => 5001,
            Self::Overloaded => 5002,
            Self::TooManyConnections => 5003,
            Self::Refused => 5004,
            Self::Unavailable => 5005,
            Self::Internal => 5006,
            Self::Unknown => 0,
        }
    }

    /// Whether the same request may succeed later without being changed.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::TooManyConnections
                | Self::Unavailable
                | Self::Internal
        )
    }
}

/// A failed request, as the peer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{code}: {message}")]
pub struct ApiError {
    /// What went wrong, for programs.
    pub code: ErrorCode,
    /// What went wrong and what to do, for people, in the connection's language.
    pub message: String,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long to wait before trying again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The field or rule concerned, for developers; never secret, never localised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// Why a WebSocket was closed, as an application close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCode {
    /// A frame or message exceeded its limit (RFC 6455: 1009).
    TooBig,
    /// A text frame was not UTF-8 (RFC 6455: 1007).
    NotUtf8,
    /// A frame was not valid in the negotiated encoding.
    BadFrame,
    /// No valid `hello` in time, or one that was refused.
    Unauthenticated,
    /// The login was revoked.
    SessionRevoked,
    /// The peer took nothing for too long.
    SlowConsumer,
    /// The server is shutting down; the reason holds `retry_in_ms=N`.
    GoingAway,
    /// Nothing was heard from the peer for too long.
    Silent,
    /// Too many sockets of this user or address.
    TooManyConnections,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            Self::BadFrame => 4000,
            Self::Unauthenticated => 4001,
            Self::SessionRevoked => 4003,
            Self::Silent => 4007,
            Self::SlowConsumer => 4008,
            Self::GoingAway => 4009,
            Self::TooManyConnections => 4029,
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_a_number_of_its_own() {
        let numbers: HashSet<u16> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn a_code_of_a_newer_server_is_read_as_unknown() {
        let error: ApiError =
            serde_json::from_str(r#"{"code":"from_the_future","message":"?","retryable":false}"#)
                .unwrap();
        assert_eq!(error.code, ErrorCode::Unknown);
    }
}
