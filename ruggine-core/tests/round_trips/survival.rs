//! How values are written, widened, read again and compared.

use std::fmt::Debug;

use ruggine_core::api::{Method, Operation};
use ruggine_core::codec::Encoding;
use ruggine_core::frame::{ClientFrame, RequestFrame, ResultFrame, ServerFrame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::BOTH;

pub(crate) fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Vec<u8> {
    encoding.encode(value).expect("plain data").to_vec()
}

/// Asserts that two values are the same in each encoding: requests have no equality.
pub(crate) fn assert_same<T: Serialize>(left: &T, right: &T) {
    for encoding in BOTH {
        assert_eq!(encode(encoding, left), encode(encoding, right));
    }
}

/// The same object with one more field, that of a newer peer.
pub(crate) fn with_an_unknown_field(encoding: Encoding, mut bytes: Vec<u8>) -> Vec<u8> {
    let value = json!({ "deep": [{ "er": null }, 1.5, "x"] });
    match encoding {
        Encoding::Json => {
            assert_eq!(bytes.pop(), Some(b'}'), "an object");
            if bytes.last() != Some(&b'{') {
                bytes.push(b',');
            }
            bytes.extend(b"\"from_the_future\":");
            bytes.extend(encode(encoding, &value));
            bytes.push(b'}');
        }
        Encoding::MsgPack => {
            assert!((0x80..0x8f).contains(&bytes[0]), "a map of up to 14 fields");
            bytes[0] += 1;
            bytes.extend(encode(encoding, "from_the_future"));
            bytes.extend(encode(encoding, &value));
        }
    }
    bytes
}

/// An object of these fields in this order.
pub(crate) fn object<'a>(
    encoding: Encoding,
    fields: impl IntoIterator<Item = &'a (&'static str, Vec<u8>)>,
) -> Vec<u8> {
    let fields: Vec<_> = fields.into_iter().collect();
    let mut bytes = match encoding {
        Encoding::Json => b"{".to_vec(),
        Encoding::MsgPack => vec![0x80 + u8::try_from(fields.len()).expect("a few fields")],
    };
    for (index, (key, value)) in fields.into_iter().enumerate() {
        if encoding == Encoding::Json && index > 0 {
            bytes.push(b',');
        }
        bytes.extend(encode(encoding, key));
        if encoding == Encoding::Json {
            bytes.push(b':');
        }
        bytes.extend(value);
    }
    if encoding == Encoding::Json {
        bytes.push(b'}');
    }
    bytes
}

pub(crate) fn value_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for encoding in BOTH {
        let bytes = encode(encoding, value);
        let back: T = encoding.decode(&bytes).expect("own bytes");
        assert_eq!(&back, value, "{encoding:?}");
    }
}

pub(crate) fn request_survives<O: Operation>(id: u64, write_counter: Option<u64>, params: &O) {
    let frame = RequestFrame {
        id,
        method: O::METHOD.as_str(),
        params,
        write_counter,
    };
    for encoding in BOTH {
        let bytes = encode(encoding, &frame);
        for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
            let read = ClientFrame::decode(encoding, &bytes).expect("own frame");
            assert_eq!(read.id, id);
            assert_eq!(Method::from_name(&read.method), Some(O::METHOD));
            assert_eq!(read.write_counter, write_counter);
            assert_same(&read.params.decode::<O>().expect("own request"), params);
        }
        let bytes = with_an_unknown_field(encoding, encode(encoding, params));
        assert_same(
            &encoding.decode::<O>(&bytes).expect("a wider request"),
            params,
        );
    }
}

pub(crate) fn response_survives<T: Serialize + DeserializeOwned>(id: u64, result: &T) {
    for encoding in BOTH {
        let bytes = encode(encoding, &ResultFrame { id, result });
        for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
            let Ok(ServerFrame::Response {
                id: same,
                outcome: Ok(raw),
            }) = ServerFrame::decode(encoding, &bytes)
            else {
                panic!("a result is not read as one");
            };
            assert_eq!(same, id);
            assert_same(&raw.decode::<T>().expect("own response"), result);
        }
        let bytes = with_an_unknown_field(encoding, encode(encoding, result));
        assert_same(
            &encoding.decode::<T>(&bytes).expect("a wider response"),
            result,
        );
    }
}
