//! Frames, errors, and the names and numbers in them.

use std::fmt::Write as _;

use ruggine_core::api::conversation::{ConversationKind, ProtectionMode, Role};
use ruggine_core::api::message::RowKind;
use ruggine_core::api::{Done, Method, position, presence};
use ruggine_core::codec::Encoding;
use ruggine_core::error::CloseCode;
use ruggine_core::frame::{ClientFrame, ErrorFrame, EventFrame, RequestFrame, ResultFrame};
use ruggine_core::version::{
    ProtocolVersion, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK, WEBSOCKET_PATH,
};
use ruggine_core::{ApiError, ErrorCode, Seq};

use super::snapshot::{both, check, frame};
use super::values::{chat, overloaded, user};

#[test]
fn every_form_of_frame_travels_as_recorded() {
    let request = position::Read {
        conversation: chat(1),
        seq: Seq::new(41),
    };
    let plain = RequestFrame {
        id: 7,
        method: Method::PositionRead.as_str(),
        params: &request,
        write_counter: None,
    };
    let counted = RequestFrame {
        write_counter: Some(1_000),
        ..plain
    };
    let mut out = String::new();
    frame(&mut out, "request", &plain);
    frame(&mut out, "request, with a write counter", &counted);
    frame(
        &mut out,
        "result",
        &ResultFrame {
            id: 7,
            result: &Done {},
        },
    );
    let error = overloaded();
    frame(
        &mut out,
        "error",
        &ErrorFrame {
            id: 7,
            error: &error,
        },
    );
    let data = presence::Presence {
        user: user(2),
        online: true,
    };
    frame(
        &mut out,
        "event",
        &EventFrame {
            event: "presence",
            data: &data,
        },
    );
    check("frames", &out);

    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let bytes = encoding.encode(&plain).unwrap();
        assert_eq!(
            ClientFrame::decode(encoding, &bytes).unwrap().write_counter,
            None
        );
        let bytes = encoding.encode(&counted).unwrap();
        assert_eq!(
            ClientFrame::decode(encoding, &bytes).unwrap().write_counter,
            Some(1_000)
        );
    }
}

#[test]
fn every_form_of_error_travels_as_recorded() {
    let least = ApiError {
        code: ErrorCode::UsernameTaken,
        message: "ERR: Username già in uso".to_owned(),
        retryable: false,
        retry_after_ms: None,
        details: None,
    };
    let mut out = String::new();
    both(&mut out, "with the least", &least);
    both(&mut out, "with everything", &overloaded());
    check("errors", &out);
}

#[test]
fn every_name_and_number_is_as_recorded() {
    let mut out = String::from("# errors: number, name, whether to try again\n");
    for code in ErrorCode::ALL {
        let (number, retry) = (code.number(), code.is_retryable());
        writeln!(out, "{number} {code} {retry}").unwrap();
    }
    writeln!(out, "\n# close codes").unwrap();
    for code in [
        CloseCode::NotUtf8,
        CloseCode::TooBig,
        CloseCode::BadFrame,
        CloseCode::Unauthenticated,
        CloseCode::SessionRevoked,
        CloseCode::Silent,
        CloseCode::SlowConsumer,
        CloseCode::GoingAway,
        CloseCode::TooManyConnections,
    ] {
        writeln!(out, "{} {code:?}", code.number()).unwrap();
    }
    writeln!(out, "\n# enums").unwrap();
    writeln!(out, "conversation kind: {:?}", names(ConversationKind::ALL)).unwrap();
    writeln!(out, "protection mode: {:?}", names(ProtectionMode::ALL)).unwrap();
    writeln!(out, "role: {:?}", names(Role::ALL)).unwrap();
    writeln!(out, "row kind: {:?}", names(RowKind::ALL)).unwrap();
    writeln!(out, "\n# socket").unwrap();
    writeln!(
        out,
        "{WEBSOCKET_PATH} {SUBPROTOCOL_JSON} {SUBPROTOCOL_MSGPACK}"
    )
    .unwrap();
    writeln!(out, "version {}", ProtocolVersion::CURRENT.get()).unwrap();
    check("names", &out);
}

fn names<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}
