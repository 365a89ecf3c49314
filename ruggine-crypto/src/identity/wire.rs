//! Reading the fixed layouts of this module: numbers are big-endian, as in the
//! presentation language of TLS.

use ruggine_core::Timestamp;

/// The bytes end too early, or too late.
#[derive(Debug)]
pub(super) struct WrongLength;

/// Bytes that were not read yet.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WrongLength> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(WrongLength)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, WrongLength> {
        self.array().map(u8::from_be_bytes)
    }

    /// Bytes behind a length of one byte.
    pub(super) fn prefixed_u8(&mut self) -> Result<&'a [u8], WrongLength> {
        let length = self.byte()?;
        self.bytes(usize::from(length))
    }

    /// Bytes behind a length of two bytes.
    pub(super) fn prefixed_u16(&mut self) -> Result<&'a [u8], WrongLength> {
        let length = u16::from_be_bytes(self.array()?);
        self.bytes(usize::from(length))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, WrongLength> {
        let millis = i64::from_be_bytes(self.array()?);
        Ok(Timestamp::from_millis(millis))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses bytes that are left.
    pub(super) const fn end(&self) -> Result<(), WrongLength> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(WrongLength)
        }
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], WrongLength> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(WrongLength)?;
        self.0 = rest;
        Ok(bytes)
    }
}
