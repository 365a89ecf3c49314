//! Records of a server whose encryption is switched off: the same JSON with
//! `"alg":"none"`, so that nobody mistakes one for the other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::context::RecordContext;
use super::envelope::Meta;
use super::key_ring::OpenError;

/// The algorithm's name, and the key id of records without a key.
pub const NONE: &str = "none";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsealed {
    v: u8,
    alg: String,
    ciphertext: String,
    meta: Meta,
}

/// The record of a plaintext that is stored as it is.
///
/// # Panics
/// Never: the record is plain data.
#[must_use]
pub fn unsealed_json(context: &RecordContext, plaintext: &[u8]) -> String {
    let record = Unsealed {
        v: 1,
        alg: NONE.into(),
        ciphertext: URL_SAFE_NO_PAD.encode(plaintext),
        meta: context.meta(),
    };
    serde_json::to_string(&record).expect("the record is plain data")
}

/// Reads a record that was stored as it is.
///
/// # Errors
/// When it is sealed or malformed, or belongs to another row.
pub fn read_unsealed_json(context: &RecordContext, stored: &str) -> Result<Vec<u8>, OpenError> {
    let record: Unsealed = serde_json::from_str(stored).map_err(|_| OpenError::Malformed)?;
    if record.v != 1 || record.alg != NONE {
        return Err(OpenError::Malformed);
    }
    if record.meta != context.meta() {
        return Err(OpenError::MetaMismatch);
    }
    URL_SAFE_NO_PAD
        .decode(record.ciphertext)
        .map_err(|_| OpenError::Malformed)
}
