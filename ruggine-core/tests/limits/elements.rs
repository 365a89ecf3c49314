//! How many elements arrays and objects may have.

use ruggine_core::Content;
use ruggine_core::codec::{BoundsError, Encoding};
use ruggine_core::content::ContentError;
use ruggine_core::frame::{ClientFrame, ServerFrame};
use ruggine_core::limits::{ELEMENTS_MAX, SERVER_ELEMENTS_MAX};
use serde_json::Value;

use super::by_hand::{
    broken_bound, broken_server_bound, json_array, json_frame, json_object, nested_json,
    packed_array, packed_frame, packed_map, packed_object,
};

#[test]
fn a_clients_array_may_have_a_thousand_elements_and_not_one_more() {
    assert_eq!(ELEMENTS_MAX, 1_000);
    let bound = Some(BoundsError::TooManyElements(1_000));

    let frame = json_frame(&json_array(1_000));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    let frame = json_frame(&json_array(1_001));
    assert_eq!(broken_bound(Encoding::Json, &frame), bound);

    let frame = packed_frame(&packed_array(1_000));
    assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_ok());
    let frame = packed_frame(&packed_array(1_001));
    assert_eq!(broken_bound(Encoding::MsgPack, &frame), bound);
}

#[test]
fn a_clients_object_may_have_a_thousand_entries_and_not_one_more() {
    let bound = Some(BoundsError::TooManyElements(1_000));

    let frame = json_frame(&json_object(1_000));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    let frame = json_frame(&json_object(1_001));
    assert_eq!(broken_bound(Encoding::Json, &frame), bound);

    let frame = packed_frame(&packed_object(1_000));
    assert!(ClientFrame::decode(Encoding::MsgPack, &frame).is_ok());
    let frame = packed_frame(&packed_object(1_001));
    assert_eq!(broken_bound(Encoding::MsgPack, &frame), bound);
}

#[test]
fn a_servers_array_may_have_ten_thousand_elements_and_not_one_more() {
    assert_eq!(SERVER_ELEMENTS_MAX, 10_000);
    let bound = Some(BoundsError::TooManyElements(10_000));
    let json = |count| format!("{{\"id\":7,\"result\":{}}}", json_array(count)).into_bytes();
    assert!(ServerFrame::decode(Encoding::Json, &json(10_000)).is_ok());
    assert_eq!(broken_server_bound(Encoding::Json, &json(10_001)), bound);

    let packed = |count| packed_map(&[("id", &[7]), ("result", &packed_array(count))]);
    assert!(ServerFrame::decode(Encoding::MsgPack, &packed(10_000)).is_ok());
    assert_eq!(
        broken_server_bound(Encoding::MsgPack, &packed(10_001)),
        bound
    );
}

#[test]
fn elements_are_counted_for_each_array_and_not_in_strings() {
    let many = json_array(1_000);
    let text = ",".repeat(5_000);
    let frame = json_frame(&format!("[{many},{many},[\"{text}\",{many}]]"));
    assert!(ClientFrame::decode(Encoding::Json, &frame).is_ok());
    // An inner array does not hide the elements of the one around it.
    let halves = vec!["0"; 500].join(",");
    let frame = json_frame(&format!("[{halves},[1,2,3],{halves}]"));
    assert_eq!(
        broken_bound(Encoding::Json, &frame),
        Some(BoundsError::TooManyElements(1_000))
    );

    let mut params = vec![0x92];
    params.extend(packed_array(1_000).repeat(2));
    assert!(ClientFrame::decode(Encoding::MsgPack, &packed_frame(&params)).is_ok());
}

#[test]
fn a_body_has_the_same_bounds_as_a_frame() {
    let (fits, over) = (json_object(1_000), json_object(1_001));
    assert!(Encoding::Json.decode::<Value>(fits.as_bytes()).is_ok());
    assert!(Encoding::Json.decode::<Value>(over.as_bytes()).is_err());
    let over_for_a_client = Encoding::Json.decode_from_server::<Value>(over.as_bytes());
    assert!(over_for_a_client.is_ok());
    let (fits, over) = (packed_object(1_000), packed_object(1_001));
    assert!(Encoding::MsgPack.decode::<Value>(&fits).is_ok());
    assert!(Encoding::MsgPack.decode::<Value>(&over).is_err());
    assert!(Encoding::MsgPack.decode_from_server::<Value>(&over).is_ok());
}

#[test]
fn a_payload_lists_a_thousand_elements_and_not_one_more() {
    let payload = |count| format!("{{\"future\":{}}}", json_array(count));
    assert!(Content::from_payload(payload(1_000).as_bytes()).is_ok());
    assert!(matches!(
        Content::from_payload(payload(1_001).as_bytes()),
        Err(ContentError::Bounds(BoundsError::TooManyElements(1_000)))
    ));
}

#[test]
fn what_cannot_be_read_as_a_payload_is_not_written_as_one() {
    let content = |data: String| Content::Unknown {
        kind: "future".to_owned(),
        data: serde_json::from_str(&data).expect("JSON"),
    };
    let deepest = content(nested_json(31)).to_payload().expect("32 levels");
    assert!(Content::from_payload(&deepest).is_ok());
    assert!(matches!(
        content(nested_json(32)).to_payload(),
        Err(ContentError::Bounds(BoundsError::TooDeep(32)))
    ));
    let longest = content(json_array(1_000)).to_payload().expect("1000");
    assert!(Content::from_payload(&longest).is_ok());
    for data in [json_array(1_001), json_object(1_001)] {
        assert!(matches!(
            content(data).to_payload(),
            Err(ContentError::Bounds(BoundsError::TooManyElements(1_000)))
        ));
    }
}
