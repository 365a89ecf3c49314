//! OpenMLS's storage over a [`StateTable`].
//!
//! A key is one byte for the kind of thing, then the MessagePack of what names
//! it. A value is MessagePack with named fields, so that a field that a later
//! release adds does not shift the others. The bytes are our own business: no
//! state is ever exchanged or restored (D11).

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::table::{StateTable, TableChange};

const V: u16 = CURRENT_VERSION;

/// Why a group's state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError<E: std::error::Error> {
    /// The table failed.
    #[error("the table of groups: {0}")]
    Table(#[source] E),
    /// A value could not be written down.
    #[error("a group's state could not be written down: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// A value was not read.
    #[error("a group's state was not read: {0}")]
    Decode(#[from] rmp_serde::decode::Error),
}

/// A [`StateTable`] as OpenMLS wants it.
#[derive(Debug)]
pub struct Storage<'a, T> {
    table: &'a T,
}

/// What a key leads to. The numbers are on disk: they are never used again.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Kind {
    JoinConfig = 1,
    OwnLeafNodes = 2,
    ProposalRefs = 3,
    Proposal = 4,
    Tree = 5,
    InterimTranscriptHash = 6,
    Context = 7,
    ConfirmationTag = 8,
    GroupState = 9,
    MessageSecrets = 10,
    ResumptionPskStore = 11,
    OwnLeafIndex = 12,
    EpochSecrets = 13,
    SignatureKeyPair = 14,
    EncryptionKeyPair = 15,
    EpochKeyPairs = 16,
    KeyPackage = 17,
    Psk = 18,
}

impl<'a, T: StateTable> Storage<'a, T> {
    /// Over this table.
    #[must_use]
    pub const fn new(table: &'a T) -> Self {
        Self { table }
    }

    /// Writes what an overlay has gathered.
    pub(super) fn apply(&self, changes: &[TableChange]) -> Result<(), T::Error> {
        changes.iter().try_for_each(|change| match &change.value {
            Some(value) => self.table.write(&change.key, value),
            None => self.table.remove(&change.key),
        })
    }

    fn put(
        &self,
        key: &[u8],
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), StorageError<T::Error>> {
        let value = Zeroizing::new(rmp_serde::to_vec_named(value)?);
        self.table.write(key, &value).map_err(StorageError::Table)
    }

    fn get<D: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<D>, StorageError<T::Error>> {
        let value = self.table.read(key).map_err(StorageError::Table)?;
        let Some(value) = value else { return Ok(None) };
        Ok(Some(rmp_serde::from_slice(&value)?))
    }

    fn forget(&self, key: &[u8]) -> Result<(), StorageError<T::Error>> {
        self.table.remove(key).map_err(StorageError::Table)
    }

    /// A list is a value too: its entries are what one step adds, never many.
    fn list(&self, key: &[u8]) -> Result<Vec<Vec<u8>>, StorageError<T::Error>> {
        Ok(self.get(key)?.unwrap_or_default())
    }

    fn proposal_refs(
        &self,
        group: &impl Serialize,
    ) -> Result<Vec<Vec<u8>>, StorageError<T::Error>> {
        self.list(&named(Kind::ProposalRefs, group)?)
    }
}

fn named<E: std::error::Error>(
    kind: Kind,
    name: &impl Serialize,
) -> Result<Vec<u8>, StorageError<E>> {
    let mut key = vec![kind as u8];
    rmp_serde::encode::write(&mut key, name)?;
    Ok(key)
}

fn epoch_keys<E: std::error::Error>(
    group: &impl Serialize,
    epoch: &impl Serialize,
    leaf: u32,
) -> Result<Vec<u8>, StorageError<E>> {
    named(Kind::EpochKeyPairs, &(group, epoch, leaf))
}

fn proposal<E: std::error::Error>(
    group: &impl Serialize,
    reference: &[u8],
) -> Result<Vec<u8>, StorageError<E>> {
    named(Kind::Proposal, &(group, reference))
}

/// `name[bounds in order](name: key type, value type) kind`
macro_rules! writes {
    ($($method:ident[$first:ident $second:ident]($key:ident, $value:ident) $kind:ident;)+) => { $(
        fn $method<$first: traits::$first<V>, $second: traits::$second<V>>(
            &self,
            key: &$key,
            value: &$value,
        ) -> Result<(), Self::Error> {
            self.put(&named(Kind::$kind, key)?, value)
        }
    )+ };
}

macro_rules! reads {
    ($($method:ident[$first:ident $second:ident]($key:ident) $value:ident $kind:ident;)+) => { $(
        fn $method<$first: traits::$first<V>, $second: traits::$second<V>>(
            &self,
            key: &$key,
        ) -> Result<Option<$value>, Self::Error> {
            self.get(&named(Kind::$kind, key)?)
        }
    )+ };
}

macro_rules! deletes {
    ($($method:ident[$key:ident] $kind:ident;)+) => { $(
        fn $method<$key: traits::$key<V>>(&self, key: &$key) -> Result<(), Self::Error> {
            self.forget(&named(Kind::$kind, key)?)
        }
    )+ };
}

impl<T: StateTable> StorageProvider<V> for Storage<'_, T> {
    type Error = StorageError<T::Error>;

    writes! {
        write_mls_join_config[GroupId MlsGroupJoinConfig](GroupId, MlsGroupJoinConfig) JoinConfig;
        write_tree[GroupId TreeSync](GroupId, TreeSync) Tree;
        write_interim_transcript_hash[GroupId InterimTranscriptHash](GroupId, InterimTranscriptHash) InterimTranscriptHash;
        write_context[GroupId GroupContext](GroupId, GroupContext) Context;
        write_confirmation_tag[GroupId ConfirmationTag](GroupId, ConfirmationTag) ConfirmationTag;
        write_group_state[GroupState GroupId](GroupId, GroupState) GroupState;
        write_message_secrets[GroupId MessageSecrets](GroupId, MessageSecrets) MessageSecrets;
        write_resumption_psk_store[GroupId ResumptionPskStore](GroupId, ResumptionPskStore) ResumptionPskStore;
        write_own_leaf_index[GroupId LeafNodeIndex](GroupId, LeafNodeIndex) OwnLeafIndex;
        write_group_epoch_secrets[GroupId GroupEpochSecrets](GroupId, GroupEpochSecrets) EpochSecrets;
        write_signature_key_pair[SignaturePublicKey SignatureKeyPair](SignaturePublicKey, SignatureKeyPair) SignatureKeyPair;
        write_encryption_key_pair[EncryptionKey HpkeKeyPair](EncryptionKey, HpkeKeyPair) EncryptionKeyPair;
        write_key_package[HashReference KeyPackage](HashReference, KeyPackage) KeyPackage;
        write_psk[PskId PskBundle](PskId, PskBundle) Psk;
    }

    reads! {
        mls_group_join_config[GroupId MlsGroupJoinConfig](GroupId) MlsGroupJoinConfig JoinConfig;
        tree[GroupId TreeSync](GroupId) TreeSync Tree;
        group_context[GroupId GroupContext](GroupId) GroupContext Context;
        interim_transcript_hash[GroupId InterimTranscriptHash](GroupId) InterimTranscriptHash InterimTranscriptHash;
        confirmation_tag[GroupId ConfirmationTag](GroupId) ConfirmationTag ConfirmationTag;
        group_state[GroupState GroupId](GroupId) GroupState GroupState;
        message_secrets[GroupId MessageSecrets](GroupId) MessageSecrets MessageSecrets;
        resumption_psk_store[GroupId ResumptionPskStore](GroupId) ResumptionPskStore ResumptionPskStore;
        own_leaf_index[GroupId LeafNodeIndex](GroupId) LeafNodeIndex OwnLeafIndex;
        group_epoch_secrets[GroupId GroupEpochSecrets](GroupId) GroupEpochSecrets EpochSecrets;
        signature_key_pair[SignaturePublicKey SignatureKeyPair](SignaturePublicKey) SignatureKeyPair SignatureKeyPair;
        encryption_key_pair[HpkeKeyPair EncryptionKey](EncryptionKey) HpkeKeyPair EncryptionKeyPair;
        key_package[HashReference KeyPackage](HashReference) KeyPackage KeyPackage;
        psk[PskBundle PskId](PskId) PskBundle Psk;
    }

    deletes! {
        delete_own_leaf_nodes[GroupId] OwnLeafNodes;
        delete_group_config[GroupId] JoinConfig;
        delete_tree[GroupId] Tree;
        delete_confirmation_tag[GroupId] ConfirmationTag;
        delete_group_state[GroupId] GroupState;
        delete_context[GroupId] Context;
        delete_interim_transcript_hash[GroupId] InterimTranscriptHash;
        delete_message_secrets[GroupId] MessageSecrets;
        delete_all_resumption_psk_secrets[GroupId] ResumptionPskStore;
        delete_own_leaf_index[GroupId] OwnLeafIndex;
        delete_group_epoch_secrets[GroupId] EpochSecrets;
        delete_signature_key_pair[SignaturePublicKey] SignatureKeyPair;
        delete_encryption_key_pair[EncryptionKey] EncryptionKeyPair;
        delete_key_package[HashReference] KeyPackage;
        delete_psk[PskId] Psk;
    }

    fn append_own_leaf_node<GroupId: traits::GroupId<V>, LeafNode: traits::LeafNode<V>>(
        &self,
        group: &GroupId,
        leaf: &LeafNode,
    ) -> Result<(), Self::Error> {
        let key = named(Kind::OwnLeafNodes, group)?;
        let mut leaves = self.list(&key)?;
        leaves.push(rmp_serde::to_vec_named(leaf)?);
        self.put(&key, &leaves)
    }

    fn own_leaf_nodes<GroupId: traits::GroupId<V>, LeafNode: traits::LeafNode<V>>(
        &self,
        group: &GroupId,
    ) -> Result<Vec<LeafNode>, Self::Error> {
        let leaves = self.list(&named(Kind::OwnLeafNodes, group)?)?;
        leaves
            .iter()
            .map(|leaf| Ok(rmp_serde::from_slice(leaf)?))
            .collect()
    }

    fn queue_proposal<
        GroupId: traits::GroupId<V>,
        ProposalRef: traits::ProposalRef<V>,
        QueuedProposal: traits::QueuedProposal<V>,
    >(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
        value: &QueuedProposal,
    ) -> Result<(), Self::Error> {
        let reference = rmp_serde::to_vec_named(reference)?;
        self.put(&proposal(group, &reference)?, value)?;
        let mut references = self.proposal_refs(group)?;
        if !references.contains(&reference) {
            references.push(reference);
        }
        self.put(&named(Kind::ProposalRefs, group)?, &references)
    }

    fn queued_proposal_refs<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        group: &GroupId,
    ) -> Result<Vec<ProposalRef>, Self::Error> {
        let references = self.proposal_refs(group)?;
        references
            .iter()
            .map(|reference| Ok(rmp_serde::from_slice(reference)?))
            .collect()
    }

    fn queued_proposals<
        GroupId: traits::GroupId<V>,
        ProposalRef: traits::ProposalRef<V>,
        QueuedProposal: traits::QueuedProposal<V>,
    >(
        &self,
        group: &GroupId,
    ) -> Result<Vec<(ProposalRef, QueuedProposal)>, Self::Error> {
        let mut proposals = Vec::new();
        for reference in self.proposal_refs(group)? {
            if let Some(value) = self.get(&proposal(group, &reference)?)? {
                proposals.push((rmp_serde::from_slice(&reference)?, value));
            }
        }
        Ok(proposals)
    }

    fn remove_proposal<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        group: &GroupId,
        reference: &ProposalRef,
    ) -> Result<(), Self::Error> {
        let reference = rmp_serde::to_vec_named(reference)?;
        self.forget(&proposal(group, &reference)?)?;
        let mut references = self.proposal_refs(group)?;
        references.retain(|other| *other != reference);
        self.put(&named(Kind::ProposalRefs, group)?, &references)
    }

    fn clear_proposal_queue<GroupId: traits::GroupId<V>, ProposalRef: traits::ProposalRef<V>>(
        &self,
        group: &GroupId,
    ) -> Result<(), Self::Error> {
        for reference in self.proposal_refs(group)? {
            self.forget(&proposal(group, &reference)?)?;
        }
        self.forget(&named(Kind::ProposalRefs, group)?)
    }

    fn write_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf: u32,
        pairs: &[HpkeKeyPair],
    ) -> Result<(), Self::Error> {
        self.put(&epoch_keys(group, epoch, leaf)?, pairs)
    }

    fn encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
        HpkeKeyPair: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf: u32,
    ) -> Result<Vec<HpkeKeyPair>, Self::Error> {
        Ok(self
            .get(&epoch_keys(group, epoch, leaf)?)?
            .unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<
        GroupId: traits::GroupId<V>,
        EpochKey: traits::EpochKey<V>,
    >(
        &self,
        group: &GroupId,
        epoch: &EpochKey,
        leaf: u32,
    ) -> Result<(), Self::Error> {
        self.forget(&epoch_keys(group, epoch, leaf)?)
    }
}
