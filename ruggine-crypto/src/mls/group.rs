//! A group as one device has it.

use openmls::group::{GroupEpoch, MlsGroup};
use openmls::prelude::{MlsMessageOut, Sender};
use openmls::treesync::RatchetTree;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use tls_codec::Serialize as _;

use super::context::ConversationContext;
use super::device_key::Device;
use super::error::MlsError;
use super::join::GroupState;
use super::policy::{self, Leaf};
use super::provider::{MlsCrypto, Provider};
use super::settings;
use super::suite::Suite;
use super::table::StateTable;
use crate::random;

/// Names a group: 16 random bytes, other ones after a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; 16]);

impl GroupId {
    /// A fresh id.
    ///
    /// # Errors
    /// When the operating system provides no randomness.
    pub fn generate() -> Result<Self, random::RandomError> {
        random::bytes().map(Self)
    }

    pub(crate) fn mls(self) -> openmls::prelude::GroupId {
        openmls::prelude::GroupId::from_slice(&self.0)
    }

    pub(crate) fn of(id: &openmls::prelude::GroupId) -> Option<Self> {
        id.as_slice().try_into().ok().map(Self)
    }
}

/// A group as one device has it, see the [module](super).
pub struct Group {
    pub(super) mls: MlsGroup,
    id: GroupId,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

/// An opened message.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// Which device wrote it, by the certificate of its leaf.
    pub sender: Leaf,
    /// What was authenticated beside it and could be read by everybody.
    pub authenticated: Vec<u8>,
    /// What it says.
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

impl Group {
    /// Begins a group with this device alone, and what the server needs to
    /// know it.
    ///
    /// # Errors
    /// When the context breaks a rule, the group exists, or the table cannot be
    /// written.
    pub fn create<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        device: &Device,
        id: GroupId,
        suite: Suite,
        context: &ConversationContext,
    ) -> Result<(Self, GroupState), MlsError> {
        context.check()?;
        let config = settings::creating(suite, context).map_err(MlsError::invalid)?;
        let mls = MlsGroup::new_with_group_id(
            provider,
            &device.key,
            &config,
            id.mls(),
            device.credential(),
        )
        .map_err(MlsError::invalid)?;
        let group = Self { mls, id };
        let state = group.state(provider, device)?;
        Ok((group, state))
    }

    /// The group of this id, if the device has it. Ids are chosen by whoever makes
    /// a group: compare its [context](Self::context) with the conversation that is
    /// meant.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn load<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        id: GroupId,
    ) -> Result<Option<Self>, MlsError> {
        let mls = MlsGroup::load(provider.storage(), &id.mls()).map_err(MlsError::invalid)?;
        Ok(mls.map(|mls| Self { mls, id }))
    }

    pub(super) fn joined(mls: MlsGroup) -> Result<Self, MlsError> {
        let id = GroupId::of(mls.group_id()).ok_or(MlsError::Malformed)?;
        Ok(Self { mls, id })
    }

    /// Forgets everything about the group, also where this device was removed.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn delete<T: StateTable, C: MlsCrypto>(
        mut self,
        provider: &Provider<'_, T, C>,
    ) -> Result<(), MlsError> {
        // After the own removal the keys still lie under the epoch before it.
        let before = GroupEpoch::from(self.epoch().saturating_sub(1));
        let leaf = self.mls.own_leaf_index().u32();
        provider
            .storage()
            .delete_encryption_epoch_key_pairs(self.mls.group_id(), &before, leaf)
            .map_err(MlsError::invalid)?;
        self.mls
            .delete(provider.storage())
            .map_err(MlsError::invalid)
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> GroupId {
        self.id
    }

    /// Its epoch, which grows by one with every commit.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// How it encrypts.
    ///
    /// # Errors
    /// When it is not one of our suites.
    pub fn suite(&self) -> Result<Suite, MlsError> {
        Suite::of(self.mls.ciphersuite()).ok_or(MlsError::Suite)
    }

    /// What its members have agreed.
    ///
    /// # Errors
    /// When the group has none, which no step here lets happen.
    pub fn context(&self) -> Result<ConversationContext, MlsError> {
        Ok(ConversationContext::of(self.mls.extensions())?)
    }

    /// The devices in it, ascending.
    ///
    /// # Errors
    /// When a leaf carries no certificate, which no step here lets happen.
    pub fn leaves(&self) -> Result<Vec<Leaf>, MlsError> {
        let leaves = policy::leaves(self.mls.public_group())?;
        let mut leaves: Vec<Leaf> = leaves.values().map(Leaf::of).collect();
        leaves.sort_unstable();
        Ok(leaves)
    }

    /// A secret of the epoch that is the same for all members (RFC 9420 §8.7),
    /// to be compared by [`epoch_digits`](crate::identity::epoch_digits).
    #[must_use]
    pub fn epoch_authenticator(&self) -> &[u8] {
        self.mls.epoch_authenticator().as_slice()
    }

    /// Whether a change of this device waits for the server's word.
    #[must_use]
    pub fn has_pending_commit(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Whether somebody's leaving waits to be committed.
    #[must_use]
    pub fn has_pending_proposals(&self) -> bool {
        self.mls.has_pending_proposals()
    }

    /// Seals a message. The key is used up and deleted: keep the bytes in the
    /// same transaction and send them until there is an answer.
    ///
    /// # Errors
    /// While a proposal waits, or once the device was removed.
    pub fn seal<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
        device: &Device,
        authenticated: &[u8],
        payload: &[u8],
    ) -> Result<Vec<u8>, MlsError> {
        if !self.mls.is_active() {
            return Err(MlsError::Removed);
        }
        if self.has_pending_commit() {
            return Err(MlsError::CommitPending);
        }
        if self.has_pending_proposals() {
            return Err(MlsError::ProposalPending);
        }
        self.mls.set_aad(authenticated.to_vec());
        self.mls
            .create_message(provider, &device.key, payload)
            .map_err(MlsError::invalid)?
            .to_bytes()
            .map_err(MlsError::invalid)
    }

    /// What somebody needs to join the group as it is now on their own.
    ///
    /// # Errors
    /// Once the device was removed.
    pub fn state<T: StateTable, C: MlsCrypto>(
        &self,
        provider: &Provider<'_, T, C>,
        device: &Device,
    ) -> Result<GroupState, MlsError> {
        let info = self
            .mls
            .export_group_info(provider.crypto(), &device.key, false)
            .map_err(MlsError::invalid)?;
        Ok(GroupState {
            group_info: bytes(&info)?,
            ratchet_tree: tree_bytes(&self.mls.export_ratchet_tree())?,
        })
    }

    pub(super) fn opened(
        &self,
        sender: &Sender,
        authenticated: Vec<u8>,
        payload: Vec<u8>,
    ) -> Result<Opened, MlsError> {
        let Sender::Member(index) = sender else {
            return Err(MlsError::Malformed);
        };
        let leaf = self
            .mls
            .public_group()
            .leaf(*index)
            .ok_or(MlsError::NoSuchDevice)?;
        Ok(Opened {
            sender: Leaf::of(&policy::certificate_of(leaf)?),
            authenticated,
            payload,
        })
    }
}

fn bytes(message: &MlsMessageOut) -> Result<Vec<u8>, MlsError> {
    message.to_bytes().map_err(MlsError::invalid)
}

pub(crate) fn tree_bytes(tree: &RatchetTree) -> Result<Vec<u8>, MlsError> {
    tree.tls_serialize_detached().map_err(MlsError::invalid)
}
