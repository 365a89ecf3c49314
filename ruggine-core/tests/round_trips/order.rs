//! The order of keys does not matter.

use proptest::prelude::*;
use ruggine_core::api::member;
use ruggine_core::api::message::Page;
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ServerFrame};
use serde_json::json;

use super::survival::{assert_same, encode, object};
use super::values::{api_error, change_role, event, page};
use super::{BOTH, config};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_order_of_keys_in_a_request_does_not_matter(
        order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(), id: u64, counter: u64,
        ack_order in Just([0usize, 1, 2, 3, 4]).prop_shuffle(), request in change_role(),
    ) {
        for encoding in BOTH {
            let params = [
                ("conversation", encode(encoding, &request.conversation)),
                ("user", encode(encoding, &request.user)),
                ("role", encode(encoding, &request.role)),
                ("future", encode(encoding, &json!({ "role": "owner" }))),
                ("more", encode(encoding, &json!([{ "user": 1 }]))),
            ];
            let params = object(encoding, ack_order.iter().map(|at| &params[*at]));
            let fields = [
                ("id", encode(encoding, &id)),
                ("method", encode(encoding, "member.role")),
                ("params", params),
                ("write_counter", encode(encoding, &counter)),
                ("future", encode(encoding, &json!({ "id": 0, "method": [null] }))),
            ];
            let bytes = object(encoding, order.iter().map(|at| &fields[*at]));
            let read = ClientFrame::decode(encoding, &bytes).unwrap();
            prop_assert_eq!((read.id, &*read.method), (id, "member.role"));
            prop_assert_eq!(read.write_counter, Some(counter));
            assert_same(&read.params.decode::<member::ChangeRole>().unwrap(), &request);
        }
    }

    #[test]
    fn the_order_of_keys_in_a_servers_frame_does_not_matter(
        order in Just([0usize, 1, 2]).prop_shuffle(), id: u64, page in page(), event in event(),
        error in api_error(),
    ) {
        for encoding in BOTH {
            let future = ("future", encode(encoding, &json!({ "event": "x", "result": 1 })));
            let in_order = |fields: [(&'static str, Vec<u8>); 3]| {
                object(encoding, order.iter().map(|at| &fields[*at]))
            };

            let id_field = ("id", encode(encoding, &id));
            let bytes = in_order([
                id_field.clone(), ("result", encode(encoding, &page)), future.clone(),
            ]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { id: same, outcome: Ok(raw) } = read else {
                panic!("a result is not read as one");
            };
            prop_assert_eq!(same, id);
            prop_assert_eq!(&raw.decode::<Page>().unwrap(), &page);

            let bytes = in_order([id_field, ("error", encode(encoding, &error)), future.clone()]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { outcome: Err(back), .. } = read else {
                panic!("an error is not read as one");
            };
            prop_assert_eq!(&back, &error);

            let frame = event.encode(encoding).unwrap();
            let ServerFrame::Event { name, data } = ServerFrame::decode(encoding, &frame).unwrap()
            else {
                panic!("an event is not read as one");
            };
            let bytes = in_order([
                ("event", encode(encoding, &*name)), ("data", data.bytes().to_vec()), future,
            ]);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Event { name, data } = read else {
                panic!("an event is not read as one");
            };
            let back = Event::decode(&name, data).unwrap();
            prop_assert_eq!(back.as_ref(), Some(&event));
        }
    }
}
