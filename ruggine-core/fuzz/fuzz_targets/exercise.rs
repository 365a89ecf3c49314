//! Everything that this crate does with bytes of a stranger, and what must
//! hold of whatever it accepts. The fuzz target and the tests share it.

use ruggine_core::api::{
    Method, Operation, account, conversation, identity, key_package, member, message, position,
    presence, session, sync,
};
use ruggine_core::codec::{Encoding, Raw};
use ruggine_core::content::{ContentError, Notice};
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ErrorFrame, RequestFrame, ResultFrame, ServerFrame};
use ruggine_core::{Content, for_each_operation};
use serde::Serialize;
use serde::de::DeserializeOwned;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

/// Reads `bytes` in every way in which a peer's bytes are read.
///
/// # Panics
/// When something that was read cannot be written and read again.
pub(crate) fn exercise(bytes: &[u8]) {
    for encoding in BOTH {
        if let Ok(frame) = ClientFrame::decode(encoding, bytes) {
            request(&frame);
        }
        match ServerFrame::decode(encoding, bytes) {
            Ok(ServerFrame::Event { name, data }) => event(&name, data),
            Ok(ServerFrame::Response {
                id,
                outcome: Ok(raw),
            }) => responses(id, raw),
            Ok(ServerFrame::Response {
                id,
                outcome: Err(error),
            }) => {
                survives(&error);
                let frame = ErrorFrame { id, error: &error };
                for encoding in BOTH {
                    let bytes = encoding.encode(&frame).expect("an error can be written");
                    let back = ServerFrame::decode(encoding, &bytes);
                    assert!(
                        matches!(&back, Ok(ServerFrame::Response { id: same, outcome: Err(again) })
                            if *same == id && again.message == error.message),
                        "{back:?}"
                    );
                }
            }
            Err(_) => {}
        }
    }
    content(bytes);
    if let Some(notice) = Notice::from_payload(bytes) {
        assert_eq!(Notice::from_payload(&notice.to_payload()), Some(notice));
    }
}

macro_rules! dispatch {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        /// Reads the parameters as those of the operation that the frame names.
        fn request(frame: &ClientFrame<'_>) {
            match Method::from_name(&frame.method) {
                $( Some(Method::$variant) => request_of::<$request>(frame), )+
                _ => {}
            }
        }

        /// Reads a result as the response of every operation, for a frame does not name it.
        fn responses(id: u64, result: Raw<'_>) {
            $( response_of::<$request>(id, result); )+
        }
    };
}

for_each_operation!(dispatch);

fn request_of<O: Operation>(frame: &ClientFrame<'_>) {
    let Ok(params) = frame.params.decode::<O>() else {
        return;
    };
    survives(&params);
    let again = RequestFrame {
        id: frame.id,
        method: &frame.method,
        params: &params,
        write_counter: frame.write_counter,
    };
    for encoding in BOTH {
        let bytes = encoding.encode(&again).expect("a request can be written");
        let back = ClientFrame::decode(encoding, &bytes).expect("own frames are read");
        assert_eq!(
            (back.id, &back.method, back.write_counter),
            (frame.id, &frame.method, frame.write_counter)
        );
        assert!(back.params.decode::<O>().is_ok());
    }
}

fn response_of<O: Operation>(id: u64, result: Raw<'_>) {
    let Ok(result) = result.decode::<O::Response>() else {
        return;
    };
    if !survives(&result) {
        return;
    }
    for encoding in BOTH {
        let frame = ResultFrame {
            id,
            result: &result,
        };
        let bytes = encoding.encode(&frame).expect("a result can be written");
        let Ok(ServerFrame::Response {
            outcome: Ok(back), ..
        }) = ServerFrame::decode(encoding, &bytes)
        else {
            panic!("a result's own frame is not read as one");
        };
        assert!(back.decode::<O::Response>().is_ok());
    }
}

fn event(name: &str, data: Raw<'_>) {
    let Ok(Some(event)) = Event::decode(name, data) else {
        return;
    };
    for encoding in BOTH {
        let bytes = match event.encode(encoding) {
            Ok(bytes) => bytes,
            Err(error) => return assert_is_of_a_newer_peer(&error),
        };
        let Ok(ServerFrame::Event { name: same, data }) = ServerFrame::decode(encoding, &bytes)
        else {
            panic!("an event's own frame is not read as one");
        };
        assert_eq!(same, name);
        assert!(matches!(Event::decode(&same, data), Ok(Some(_))));
    }
}

fn content(payload: &[u8]) {
    let Ok(content) = Content::from_payload(payload) else {
        return;
    };
    survives(&content);
    match content.to_payload() {
        Ok(again) => {
            let back = Content::from_payload(&again).expect("own payloads are read");
            assert_eq!(back, content);
        }
        // A short number such as 1e15 grows when it is written out.
        Err(ContentError::TooLarge(_)) => {}
        Err(error) => panic!("accepted content cannot be written: {error}"),
    }
}

/// Asserts that a value can be written in both encodings and is read as the
/// same value again.
/// False for a value that holds an entry of a newer peer, which cannot be written.
fn survives<T: Serialize + DeserializeOwned>(value: &T) -> bool {
    for encoding in BOTH {
        let bytes = match encoding.encode(value) {
            Ok(bytes) => bytes,
            Err(error) => {
                assert_is_of_a_newer_peer(&error);
                return false;
            }
        };
        let back: T = match encoding.decode_from_server(&bytes) {
            Ok(back) => back,
            Err(error) => panic!("what was written cannot be read: {error}"),
        };
        let again = encoding.encode(&back).expect("it was written before");
        assert_eq!(again, bytes, "the value has changed");
    }
    true
}

fn assert_is_of_a_newer_peer(error: &ruggine_core::codec::EncodeError) {
    let error = error.to_string();
    assert!(error.contains("Item::Unknown"), "{error}");
}
