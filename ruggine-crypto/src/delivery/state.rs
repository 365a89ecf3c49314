//! A group as a server has it.

use std::fmt;

use openmls::group::{ProposalStore, PublicGroup};
use openmls::prelude::MlsMessageBodyIn;
use ruggine_core::Timestamp;

use super::bundle::is_for_joining;
use super::error::DeliveryError;
use super::{GROUP_INFO_BYTES_MAX, NEW_TREE_BYTES_MAX};
use crate::mls::policy::{self, Directory, Expected, Leaf};
use crate::mls::{
    ConversationContext, GroupId, GroupState, MemoryTable, MlsCrypto, Storage, Suite, message,
    ratchet_tree, tree_bytes,
};

/// A group as a server has it, see the [module](super).
pub struct PublicState {
    pub(super) group: PublicGroup,
    pub(super) table: MemoryTable,
}

impl fmt::Debug for PublicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicState")
            .field("group", &self.id())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

impl PublicState {
    /// Takes a new group: of one device, that of its creator, for the
    /// conversation that is expected.
    ///
    /// # Errors
    /// When it is anything else, or not valid.
    pub fn establish(
        crypto: &impl MlsCrypto,
        state: &GroupState,
        expected: &Expected,
        creator: Leaf,
        directory: &dyn Directory,
        at: Timestamp,
    ) -> Result<Self, DeliveryError> {
        if state.group_info.len() > GROUP_INFO_BYTES_MAX {
            return Err(DeliveryError::TooLong("GroupInfo"));
        }
        if state.ratchet_tree.len() > NEW_TREE_BYTES_MAX {
            return Err(DeliveryError::TooLong("ratchet tree"));
        }
        let info = message(&state.group_info).map_err(DeliveryError::part("GroupInfo"))?;
        let MlsMessageBodyIn::GroupInfo(info) = info else {
            return Err(DeliveryError::Malformed("GroupInfo"));
        };
        if info.epoch().as_u64() != 0 {
            return Err(DeliveryError::StaleEpoch {
                group: 0,
                commit: info.epoch().as_u64(),
            });
        }
        if Suite::of(info.ciphersuite()).is_none() || GroupId::of(info.group_id()).is_none() {
            return Err(DeliveryError::Malformed("GroupInfo"));
        }
        if !is_for_joining(&info) {
            return Err(DeliveryError::GroupInfo);
        }
        let tree =
            ratchet_tree(&state.ratchet_tree).map_err(DeliveryError::part("ratchet tree"))?;
        let table = MemoryTable::default();
        let (group, _) = PublicGroup::from_external(
            crypto,
            &Storage::new(&table),
            tree,
            info,
            ProposalStore::new(),
        )
        .map_err(DeliveryError::invalid)?;
        let (_, by) = policy::judge_new_group(&group, expected, directory, at)?;
        if by != creator {
            return Err(DeliveryError::OtherSender);
        }
        Ok(Self { group, table })
    }

    /// Reads a group back that was kept.
    ///
    /// # Errors
    /// When the bytes are not those of [`to_bytes`](Self::to_bytes).
    pub fn from_bytes(bytes: &[u8], id: GroupId) -> Result<Self, DeliveryError> {
        let table = MemoryTable::from_bytes(bytes).map_err(DeliveryError::state)?;
        let group = PublicGroup::load(&Storage::new(&table), &id.mls())
            .map_err(DeliveryError::state)?
            .ok_or(DeliveryError::OtherGroup)?;
        Ok(Self { group, table })
    }

    /// Everything of the group that has to be kept. None of it is secret from
    /// the server; it names the members' devices.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DeliveryError> {
        self.table.to_bytes().map_err(DeliveryError::state)
    }

    /// Its id; `None` for one that is none of ours, which no step here lets in.
    #[must_use]
    pub fn id(&self) -> Option<GroupId> {
        GroupId::of(self.group.group_id())
    }

    /// Its epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.group.group_context().epoch().as_u64()
    }

    /// Its suite.
    #[must_use]
    pub fn suite(&self) -> Option<Suite> {
        Suite::of(self.group.ciphersuite())
    }

    /// What its members have agreed.
    ///
    /// # Errors
    /// When the group has no context, which no step here lets in.
    pub fn context(&self) -> Result<ConversationContext, DeliveryError> {
        ConversationContext::of(self.group.group_context().extensions())
            .map_err(|error| DeliveryError::Violation(error.into()))
    }

    /// The devices in it, ascending.
    ///
    /// # Errors
    /// When a leaf carries no certificate, which no step here lets in.
    pub fn leaves(&self) -> Result<Vec<Leaf>, DeliveryError> {
        let mut leaves: Vec<Leaf> = policy::leaves(&self.group)?
            .values()
            .map(Leaf::of)
            .collect();
        leaves.sort_unstable();
        Ok(leaves)
    }

    /// The tree, for those who join.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn ratchet_tree(&self) -> Result<Vec<u8>, DeliveryError> {
        tree_bytes(&self.group.export_ratchet_tree()).map_err(DeliveryError::part("ratchet tree"))
    }
}
