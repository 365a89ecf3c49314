//! Envelope v1 as bytes and as the JSON that is stored.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ALGORITHM;
use super::master_key::KeyId;

/// Bytes that the binary form adds to the plaintext.
pub const OVERHEAD: usize = HEADER + TAG;

const MAGIC: [u8; 4] = *b"RGE\x01";
const ALGORITHM_BYTE: u8 = 1;
const KID: usize = 8;
const SALT: usize = 20;
const NONCE: usize = 12;
const COMMIT: usize = 32;
const TAG: usize = 16;
const HEADER: usize = MAGIC.len() + 1 + KID + SALT + NONCE + COMMIT;

/// A sealed record. Whether it opens is for the key ring to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub(super) kid: KeyId,
    pub(super) salt: [u8; SALT],
    pub(super) nonce: [u8; NONCE],
    pub(super) commit: [u8; COMMIT],
    /// The ciphertext and, behind it, the tag.
    pub(super) ciphertext: Vec<u8>,
    pub(super) meta: Meta,
}

/// The row's columns, repeated beside the ciphertext for whoever reads a
/// record. Opening compares them with the row and trusts only the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    pub(super) purpose: String,
    pub(super) conv: IdText,
    pub(super) msg: IdText,
    pub(super) sender: IdText,
    pub(super) device: IdText,
    pub(super) ts: i64,
}

/// A stored record that is not envelope v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is not an envelope of version 1")]
pub struct Malformed;

impl Envelope {
    /// The id of the key that sealed it.
    #[must_use]
    pub const fn kid(&self) -> KeyId {
        self.kid
    }

    /// Bytes of the plaintext inside.
    #[must_use]
    pub const fn plaintext_len(&self) -> usize {
        self.ciphertext.len().saturating_sub(TAG)
    }

    /// The JSON that is stored.
    ///
    /// # Panics
    /// Never: an envelope is plain data.
    #[must_use]
    pub fn to_json(&self) -> String {
        let fields: [(&str, &[u8]); 4] = [
            ("salt", &self.salt),
            ("nonce", &self.nonce),
            ("commit", &self.commit),
            ("ciphertext", &self.ciphertext),
        ];
        // Besides the ciphertext, which grows by a third, it is this long or less.
        let mut json = String::with_capacity(512 + self.ciphertext.len() * 4 / 3);
        // Hexadecimal digits and Base64 need no escapes: each record passes here,
        // and looking for them cost more than all the rest.
        json.push_str("{\"v\":1,\"alg\":\"");
        json.push_str(ALGORITHM);
        json.push_str("\",\"kid\":\"");
        json.push_str(&self.kid.to_string());
        for (name, bytes) in fields {
            json.push_str("\",\"");
            json.push_str(name);
            json.push_str("\":\"");
            URL_SAFE_NO_PAD.encode_string(bytes, &mut json);
        }
        json.push_str("\",\"meta\":");
        json.push_str(&serde_json::to_string(&self.meta).expect("columns are plain data"));
        json.push('}');
        json
    }

    /// Reads the JSON that is stored.
    ///
    /// # Errors
    /// When the text is anything but envelope v1.
    pub fn from_json(text: &str) -> Result<Self, Malformed> {
        // serde would also take the fields as an array.
        if !text.starts_with('{') {
            return Err(Malformed);
        }
        let stored: Stored<'_> = serde_json::from_str(text).map_err(|_| Malformed)?;
        if stored.v != 1 || stored.alg != ALGORITHM {
            return Err(Malformed);
        }
        let ciphertext = stored.ciphertext.0;
        if ciphertext.len() < TAG {
            return Err(Malformed);
        }
        Ok(Self {
            kid: KeyId::from_hex(&stored.kid).ok_or(Malformed)?,
            salt: stored.salt.exact()?,
            nonce: stored.nonce.exact()?,
            commit: stored.commit.exact()?,
            ciphertext,
            meta: stored.meta,
        })
    }

    /// The compact form: `"RGE" 01 | alg | kid | salt | nonce | commit | ciphertext | tag`.
    /// The columns are not in it; they stand in the row.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.ciphertext.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(ALGORITHM_BYTE);
        bytes.extend_from_slice(self.kid.as_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.nonce);
        bytes.extend_from_slice(&self.commit);
        bytes.extend_from_slice(&self.ciphertext);
        bytes
    }

    /// Reads the compact form; `meta` comes from the row's columns.
    ///
    /// # Errors
    /// When the bytes are anything but envelope v1.
    pub fn from_bytes(bytes: &[u8], meta: Meta) -> Result<Self, Malformed> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(Malformed)?;
        let (&algorithm, rest) = rest.split_first().ok_or(Malformed)?;
        let (kid, rest) = rest.split_first_chunk::<KID>().ok_or(Malformed)?;
        let (salt, rest) = rest.split_first_chunk::<SALT>().ok_or(Malformed)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Malformed)?;
        let (commit, ciphertext) = rest.split_first_chunk::<COMMIT>().ok_or(Malformed)?;
        if algorithm != ALGORITHM_BYTE || ciphertext.len() < TAG {
            return Err(Malformed);
        }
        Ok(Self {
            kid: KeyId::from_bytes(*kid),
            salt: *salt,
            nonce: *nonce,
            commit: *commit,
            ciphertext: ciphertext.to_vec(),
            meta,
        })
    }

    /// The columns that the record names.
    #[must_use]
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("kid", &self.kid)
            .field("plaintext_len", &self.plaintext_len())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<'a> {
    v: u8,
    alg: std::borrow::Cow<'a, str>,
    kid: std::borrow::Cow<'a, str>,
    salt: Base64,
    nonce: Base64,
    commit: Base64,
    ciphertext: Base64,
    meta: Meta,
}

struct Base64(Vec<u8>);

impl Base64 {
    fn exact<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.0.as_slice().try_into().map_err(|_| Malformed)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        URL_SAFE_NO_PAD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Sixteen bytes, written as an id is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdText([u8; 16]);

impl From<[u8; 16]> for IdText {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl From<&[u8; 16]> for IdText {
    fn from(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }
}

impl Serialize for IdText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ruggine_core::ConversationId::from_bytes(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let id: ruggine_core::ConversationId = text.parse().map_err(serde::de::Error::custom)?;
        // One spelling only: other forms of a UUID were not written here.
        if id.to_string() != *text {
            return Err(serde::de::Error::custom("not the spelling of an id"));
        }
        Ok(Self(*id.as_bytes()))
    }
}
