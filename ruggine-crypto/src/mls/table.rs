//! Where a group's state lies: keys and values in a transaction.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use serde_bytes::Bytes;
use zeroize::Zeroizing;

/// A table of keys and values in a transaction that is in hand. What is written
/// is secret: keep it in an encrypted store that really deletes, and commit it
/// together with whatever it belongs to.
///
/// Methods take `&self` and are called many times for one step of a group; none
/// of them may commit.
pub trait StateTable {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The value of a key.
    ///
    /// # Errors
    /// When the table cannot be read.
    fn read(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Self::Error>;

    /// Gives a key a value, in place of another one.
    ///
    /// # Errors
    /// When the table cannot be written.
    fn write(&self, key: &[u8], value: &[u8]) -> Result<(), Self::Error>;

    /// Forgets a key; nothing happens where there is none.
    ///
    /// # Errors
    /// When the table cannot be written.
    fn remove(&self, key: &[u8]) -> Result<(), Self::Error>;
}

type Entry<'a> = (&'a Bytes, &'a Bytes);
type Values = BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>;

/// A table in memory, wiped when dropped.
#[derive(Default, Clone)]
pub struct MemoryTable(RefCell<Values>);

impl MemoryTable {
    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Everything in it, to be kept.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn to_bytes(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let values = self.0.borrow();
        let entries: Vec<Entry<'_>> = values
            .iter()
            .map(|(key, value)| (Bytes::new(key), Bytes::new(value)))
            .collect();
        rmp_serde::to_vec(&entries)
    }

    /// Reads a table back.
    ///
    /// # Errors
    /// When the bytes are not those of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        let entries: Vec<Entry<'_>> = rmp_serde::from_slice(bytes)?;
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.to_vec(), Zeroizing::new(value.to_vec())));
        Ok(Self(RefCell::new(entries.collect())))
    }

    /// Bytes of all values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.borrow().values().map(|value| value.len()).sum()
    }
}

impl fmt::Debug for MemoryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTable").finish_non_exhaustive()
    }
}

impl StateTable for MemoryTable {
    type Error = Infallible;

    fn read(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.0.borrow().get(key).cloned())
    }

    fn write(&self, key: &[u8], value: &[u8]) -> Result<(), Infallible> {
        let value = Zeroizing::new(value.to_vec());
        self.0.borrow_mut().insert(key.to_vec(), value);
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), Infallible> {
        self.0.borrow_mut().remove(key);
        Ok(())
    }
}

/// What a step would change in a table.
#[derive(Clone)]
pub struct TableChange {
    /// Which key.
    pub key: Vec<u8>,
    /// Its value then; `None` where it is forgotten.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for TableChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableChange").finish_non_exhaustive()
    }
}

type Changes = BTreeMap<Vec<u8>, Option<Zeroizing<Vec<u8>>>>;

/// A table seen through changes that are not in it yet.
pub struct Overlay<'a, T> {
    below: &'a T,
    changes: RefCell<Changes>,
}

impl<'a, T> Overlay<'a, T> {
    /// No changes to a table yet.
    #[must_use]
    pub const fn new(below: &'a T) -> Self {
        Self {
            below,
            changes: RefCell::new(BTreeMap::new()),
        }
    }

    /// The changes, by key.
    #[must_use]
    pub fn into_changes(self) -> Vec<TableChange> {
        self.changes
            .into_inner()
            .into_iter()
            .map(|(key, value)| TableChange { key, value })
            .collect()
    }
}

impl<T> fmt::Debug for Overlay<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}

impl<T: StateTable> StateTable for Overlay<'_, T> {
    type Error = T::Error;

    fn read(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, T::Error> {
        match self.changes.borrow().get(key) {
            Some(value) => Ok(value.clone()),
            None => self.below.read(key),
        }
    }

    fn write(&self, key: &[u8], value: &[u8]) -> Result<(), T::Error> {
        let value = Zeroizing::new(value.to_vec());
        self.changes.borrow_mut().insert(key.to_vec(), Some(value));
        Ok(())
    }

    fn remove(&self, key: &[u8]) -> Result<(), T::Error> {
        self.changes.borrow_mut().insert(key.to_vec(), None);
        Ok(())
    }
}
