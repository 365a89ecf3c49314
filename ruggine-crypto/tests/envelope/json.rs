//! The stored JSON: its fields, their values and their one spelling.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ruggine_crypto::at_rest::{ALGORITHM, Envelope, KeyId, Malformed, OpenError};
use serde_json::json;

use super::samples::{ALG_AT, PRIMARY, field, key, open_bytes, ring, row, sealed, stored};

#[test]
fn the_stored_json_has_the_fields_of_the_format_in_their_order() {
    let envelope = sealed(&row());
    let text = envelope.to_json();
    let value = stored(&envelope);
    let expected = format!(
        concat!(
            r#"{{"v":1,"alg":"A256GCM-HKDF-SHA256-C","kid":"{}","salt":{},"nonce":{},"#,
            r#""commit":{},"ciphertext":{},"meta":{{"purpose":"message","#,
            r#""conv":"01010101-0101-0101-0101-010101010101","#,
            r#""msg":"02020202-0202-0202-0202-020202020202","#,
            r#""sender":"03030303-0303-0303-0303-030303030303","#,
            r#""device":"04040404-0404-0404-0404-040404040404","ts":1753000000000}}}}"#,
        ),
        key(PRIMARY).id(),
        value["salt"],
        value["nonce"],
        value["commit"],
        value["ciphertext"],
    );
    assert_eq!(text, expected);
    assert_eq!(ALGORITHM, "A256GCM-HKDF-SHA256-C");
    for (name, length) in [("salt", 20), ("nonce", 12), ("commit", 32)] {
        let bytes = URL_SAFE_NO_PAD.decode(field(&envelope, name)).unwrap();
        assert_eq!(bytes.len(), length, "{name}");
    }
}

#[test]
fn a_json_text_may_be_laid_out_differently_and_say_the_same() {
    let envelope = sealed(&row());
    let pretty = serde_json::to_string_pretty(&stored(&envelope)).unwrap();
    assert_eq!(Envelope::from_json(&pretty), Ok(envelope));
}

#[test]
fn a_field_of_the_wrong_kind_is_malformed() {
    let good = stored(&sealed(&row()));
    let fields: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    for name in &fields {
        for wrong in [json!(null), json!(7), json!(""), json!([]), json!({})] {
            let mut bad = good.clone();
            bad[name] = wrong.clone();
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name}: {wrong}");
        }
    }
    for name in ["purpose", "conv", "msg", "sender", "device", "ts"] {
        for wrong in [json!(null), json!(1.5), json!([]), json!({})] {
            let mut bad = good.clone();
            bad["meta"][name] = wrong.clone();
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name}: {wrong}");
        }
    }
}

#[test]
fn a_missing_field_is_malformed() {
    let good = stored(&sealed(&row()));
    for name in good.as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(name);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{name}");
    }
    for name in good["meta"].as_object().unwrap().keys() {
        let mut bad = good.clone();
        bad["meta"].as_object_mut().unwrap().remove(name);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "meta.{name}");
    }
}

#[test]
fn an_unknown_field_is_malformed() {
    let mut bad = stored(&sealed(&row()));
    bad["note"] = json!("hello");
    assert_eq!(Envelope::from_json(&bad.to_string()), Err(Malformed));

    let mut bad = stored(&sealed(&row()));
    bad["meta"]["content_type"] = json!("message");
    assert_eq!(Envelope::from_json(&bad.to_string()), Err(Malformed));
}

#[test]
fn a_field_that_stands_twice_is_malformed() {
    let text = sealed(&row()).to_json();
    for (once, twice) in [
        ("{\"v\":1,", "{\"v\":1,\"v\":1,"),
        ("\"ts\":", "\"ts\":0,\"ts\":"),
    ] {
        assert!(text.contains(once));
        let bad = text.replacen(once, twice, 1);
        assert_eq!(Envelope::from_json(&bad), Err(Malformed), "{twice}");
    }
}

#[test]
fn another_version_is_malformed() {
    for version in [0, 2, 255, 256, -1] {
        let mut bad = stored(&sealed(&row()));
        bad["v"] = json!(version);
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{version}");
    }
}

#[test]
fn another_algorithm_is_refused_and_none_above_all() {
    for algorithm in [
        "none",
        "None",
        "",
        "A256GCM",
        "A128GCM-HKDF-SHA256-C",
        "a256gcm-hkdf-sha256-c",
        "A256GCM-HKDF-SHA256-C ",
    ] {
        let mut bad = stored(&sealed(&row()));
        bad["alg"] = json!(algorithm);
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
        // With the plaintext in the ciphertext's place.
        bad["ciphertext"] = json!(URL_SAFE_NO_PAD.encode(b"ciao, not sealed at all"));
        let answer = ring().open_json(&row(), &bad.to_string());
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
    }
    let mut bytes = sealed(&row()).to_bytes();
    for algorithm in [0, 2, 255] {
        bytes[ALG_AT] = algorithm;
        let answer = open_bytes(&ring(), &row(), &bytes);
        assert_eq!(answer, Err(OpenError::Malformed), "{algorithm}");
    }
}

#[test]
fn a_salt_nonce_or_commitment_of_another_length_is_malformed() {
    for (name, length) in [("salt", 20), ("nonce", 12), ("commit", 32)] {
        for length in [0, length - 1, length + 1, 16, 64] {
            let mut bad = stored(&sealed(&row()));
            bad[name] = json!(URL_SAFE_NO_PAD.encode(vec![7; length]));
            let answer = Envelope::from_json(&bad.to_string());
            assert_eq!(answer, Err(Malformed), "{name} of {length}");
        }
    }
    for length in 0..16 {
        let mut bad = stored(&sealed(&row()));
        bad["ciphertext"] = json!(URL_SAFE_NO_PAD.encode(vec![7; length]));
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{length} bytes are no tag");
    }
}

#[test]
fn bytes_have_one_spelling_only() {
    let good = stored(&sealed(&row()));
    let salt = [0xfb_u8; 20];
    for wrong in [
        // Padded; of the other alphabet; with bits behind the last byte; broken
        // into lines; in hexadecimal.
        URL_SAFE.encode(salt),
        STANDARD.encode(salt).replace('=', ""),
        format!("{}9", "-_v7".repeat(6) + "-_"),
        format!("{}\n", URL_SAFE_NO_PAD.encode(salt)),
        "fb".repeat(20),
    ] {
        let mut bad = good.clone();
        bad["salt"] = json!(wrong);
        let answer = Envelope::from_json(&bad.to_string());
        assert_eq!(answer, Err(Malformed), "{wrong:?}");
    }
    let mut fine = good;
    fine["salt"] = json!(URL_SAFE_NO_PAD.encode(salt));
    assert!(Envelope::from_json(&fine.to_string()).is_ok());
}

#[test]
fn a_key_id_that_is_not_sixteen_small_hexadecimal_characters_is_malformed() {
    for kid in [
        "",
        "abc",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789ABCDEF",
        "0123456789abcdeg",
        "+123456789abcdef",
        "01234567 9abcdef",
        "éééééééé",
    ] {
        let mut bad = stored(&sealed(&row()));
        bad["kid"] = json!(kid);
        assert_eq!(
            Envelope::from_json(&bad.to_string()),
            Err(Malformed),
            "{kid}"
        );
        assert_eq!(KeyId::from_hex(kid), None, "{kid}");
    }
}
