//! What is written leads back to itself.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::api::message::Page;
use ruggine_core::api::{account, message};
use ruggine_core::content::Notice;
use ruggine_core::event::Event;
use ruggine_core::frame::{ClientFrame, ErrorFrame, RequestFrame, ServerFrame};
use ruggine_core::{Content, Seq};
use serde_json::json;

use super::survival::{
    encode, request_survives, response_survives, value_survives, with_an_unknown_field,
};
use super::values::{
    ack, api_error, change_role, content, create, event, heads, hello, log_in, login, members,
    page, page_request, register, role, send, text, unknown_content, user_id,
};
use super::{BOTH, config};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn requests_of_accounts_lead_back_to_themselves(
        id: u64, counter: Option<u64>, register in register(), log_in in log_in(),
    ) {
        request_survives(id, counter, &register);
        request_survives(id, counter, &log_in);
    }

    #[test]
    fn requests_of_conversations_lead_back_to_themselves(
        id: u64, counter: Option<u64>, create in create(), change in change_role(),
        page in page_request(), hello in hello(),
    ) {
        request_survives(id, counter, &create);
        request_survives(id, counter, &change);
        request_survives(id, counter, &page);
        request_survives(id, counter, &hello);
    }

    #[test]
    fn messages_that_are_sent_lead_back_to_themselves(
        id: u64, counter: Option<u64>, send in send(),
    ) {
        request_survives(id, counter, &send);
        for encoding in BOTH {
            let back: message::Send = encoding.decode(&encode(encoding, &send)).unwrap();
            prop_assert_eq!(back.payload, send.payload.clone());
            prop_assert_eq!(back.content, send.content.clone());
        }
    }

    #[test]
    fn logins_lead_back_to_themselves_with_their_secrets(id: u64, login in login()) {
        response_survives(id, &login);
        for encoding in BOTH {
            let back: account::Login = encoding.decode(&encode(encoding, &login)).unwrap();
            prop_assert_eq!(back.tokens.access.expose(), login.tokens.access.expose());
            prop_assert_eq!(back.tokens, login.tokens.clone());
            prop_assert_eq!(back.device_secret, login.device_secret.clone());
            prop_assert_eq!(back.user, login.user.clone());
        }
    }

    #[test]
    fn pages_lead_back_to_themselves(id: u64, page in page()) {
        response_survives(id, &page);
        value_survives(&page);
    }

    #[test]
    fn other_responses_lead_back_to_themselves(
        id: u64, heads in heads(), members in members(), ack in ack(),
    ) {
        response_survives(id, &heads);
        response_survives(id, &members);
        response_survives(id, &ack);
        value_survives(&heads);
        value_survives(&members);
        value_survives(&ack);
    }

    #[test]
    fn errors_lead_back_to_themselves(id: u64, error in api_error()) {
        value_survives(&error);
        for encoding in BOTH {
            let bytes = encode(encoding, &ErrorFrame { id, error: &error });
            let bytes = with_an_unknown_field(encoding, bytes);
            let read = ServerFrame::decode(encoding, &bytes).unwrap();
            let ServerFrame::Response { id: same, outcome: Err(back) } = read else {
                panic!("an error is not read as one");
            };
            prop_assert_eq!(same, id);
            prop_assert_eq!(&back, &error);
        }
    }

    #[test]
    fn events_lead_back_to_themselves(event in event()) {
        for encoding in BOTH {
            let bytes = event.encode(encoding).unwrap().to_vec();
            for bytes in [bytes.clone(), with_an_unknown_field(encoding, bytes)] {
                let read = ServerFrame::decode(encoding, &bytes).unwrap();
                let ServerFrame::Event { name, data } = read else {
                    panic!("an event is not read as one");
                };
                prop_assert_eq!(&name, event.name());
                let back = Event::decode(&name, data).unwrap();
                prop_assert_eq!(back.as_ref(), Some(&event));
            }
        }
    }

    #[test]
    fn content_leads_back_to_itself_as_a_payload_and_as_an_object(content in content()) {
        value_survives(&content);
        let payload = content.to_payload().unwrap();
        prop_assert_eq!(Content::from_payload(&payload).unwrap(), content);
    }

    #[test]
    fn content_of_an_unknown_kind_is_kept_whole(content in unknown_content()) {
        let payload = content.to_payload().unwrap();
        let back = Content::from_payload(&payload).unwrap();
        prop_assert_eq!(back.kind(), content.kind());
        prop_assert_eq!(&back.to_payload().unwrap()[..], &payload[..]);
        value_survives(&content);
    }

    #[test]
    fn fractions_in_content_are_not_rounded(number in any::<f64>()) {
        let content = Content::Unknown { kind: "future".to_owned(), data: json!([number]) };
        let payload = content.to_payload().unwrap();
        let Content::Unknown { data, .. } = Content::from_payload(&payload).unwrap() else {
            panic!("content of an unknown kind is read as another");
        };
        let back = data[0].as_f64().expect("a fraction");
        prop_assert_eq!(back.to_bits(), number.to_bits());
        value_survives(&content);
    }

    #[test]
    fn positions_and_incarnations_of_any_size_are_cut_and_then_stay(number: u64) {
        let page = json!({
            "incarnation": number, "from": number, "to": number, "head": number, "items": [],
        });
        for encoding in BOTH {
            let read: Page = encoding.decode(&encode(encoding, &page)).unwrap();
            prop_assert_eq!(read.head.get(), number.min(Seq::MAX.get()));
            prop_assert_eq!(read.incarnation.get(), number % (1 << 53));
            value_survives(&read);
        }
    }

    #[test]
    fn methods_of_any_name_are_read_as_they_were_written(id: u64, name in text()) {
        for encoding in BOTH {
            let frame = RequestFrame { id, method: &name, params: &json!({}), write_counter: None };
            let bytes = encode(encoding, &frame);
            let read = ClientFrame::decode(encoding, &bytes).unwrap();
            prop_assert_eq!((read.id, &*read.method), (id, &*name));
        }
    }

    #[test]
    fn notices_lead_back_to_themselves(
        kind in select(ConversationKind::ALL), users in vec(user_id(), 0..4), user in user_id(),
        role in role(),
    ) {
        for notice in [
            Notice::Created { kind, members: users.clone() },
            Notice::Added { users },
            Notice::Removed { user },
            Notice::Left {},
            Notice::RoleChanged { user, role },
        ] {
            value_survives(&notice);
            prop_assert_eq!(Notice::from_payload(&notice.to_payload()), Some(notice));
        }
    }
}
