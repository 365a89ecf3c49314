//! Entering a group: by the welcome of a member, or on one's own.

use openmls::group::{ExternalCommitBuilder, ProcessedWelcome, StagedWelcome};
use openmls::prelude::{
    JoinBuilder, LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn, RatchetTreeIn,
};
use openmls_traits::OpenMlsProvider as _;
use ruggine_core::Timestamp;
use tls_codec::DeserializeBytes as _;

use super::change::CommitBundle;
use super::device_key::Device;
use super::error::MlsError;
use super::group::{Group, GroupId};
use super::policy::{self, Directory, Entered, Expected};
use super::provider::{MlsCrypto, Provider};
use super::settings;
use super::suite::Suite;
use super::table::{Overlay, StateTable, TableChange};

/// A group as the server hands it out: what somebody needs to join on their own.
#[derive(Debug, Clone)]
pub struct GroupState {
    /// The signed GroupInfo, a message of MLS.
    pub group_info: Vec<u8>,
    /// The ratchet tree, whose hash is in the GroupInfo.
    pub ratchet_tree: Vec<u8>,
}

/// A join that waits for the server's word.
///
/// OpenMLS makes the group as if the commit had won. So that is kept aside: the
/// [changes](Self::changes) belong into the client's store, apart from its
/// groups, and are put into the table of groups once the server has accepted
/// the commit, or deleted.
#[derive(Debug)]
pub struct ExternalJoin {
    /// The group.
    pub id: GroupId,
    /// What goes to the server.
    pub bundle: CommitBundle,
    /// What to write into the table once it has won.
    pub changes: Vec<TableChange>,
    /// Who is in the group with it.
    pub entered: Entered,
}

impl Group {
    /// Enters a group by a welcome. The package is used up in the same
    /// transaction, unless it is one of last resort.
    ///
    /// `tree` is asked of the server; its hash is in the welcome.
    ///
    /// # Errors
    /// When the welcome is for none of this device's packages, the group is not
    /// the one that was meant, or not one that its members may have made, or the
    /// device has it already: roll the transaction back, or the package is gone.
    pub fn join<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        welcome: &[u8],
        tree: &[u8],
        expected: &Expected,
        directory: &dyn Directory,
        at: Timestamp,
    ) -> Result<(Self, Entered), MlsError> {
        let MlsMessageBodyIn::Welcome(welcome) = message(welcome)? else {
            return Err(MlsError::Malformed);
        };
        let tree = ratchet_tree(tree)?;
        let processed = ProcessedWelcome::new_from_welcome(provider, &settings::joining(), welcome)
            .map_err(MlsError::invalid)?;
        let staged: StagedWelcome = JoinBuilder::new(provider, processed)
            .with_ratchet_tree(tree)
            .skip_lifetime_validation()
            .build()
            .map_err(MlsError::invalid)?;
        let context = staged.group_context();
        let entered = policy::judge_group(context, staged.members(), expected, directory)?;
        let sender = staged.welcome_sender().map_err(MlsError::invalid)?;
        policy::check_sender(sender, context.ciphersuite(), directory, at)?;
        let mls = staged.into_group(provider).map_err(MlsError::invalid)?;
        Ok((Self::joined(mls)?, entered))
    }

    /// Joins a group on one's own: a device of a member, or of somebody who is
    /// invited. Nothing is written to the table. Whether the invitation still
    /// holds is for the server and the members to say.
    ///
    /// # Errors
    /// When the group is not the one that was meant, or not one that its members
    /// may have made.
    pub fn join_externally<T: StateTable, C: MlsCrypto>(
        crypto: &C,
        table: &T,
        device: &Device,
        state: &GroupState,
        expected: &Expected,
        directory: &dyn Directory,
    ) -> Result<ExternalJoin, MlsError> {
        let overlay = Overlay::new(table);
        let provider = Provider::new(crypto, &overlay);
        let MlsMessageBodyIn::GroupInfo(info) = message(&state.group_info)? else {
            return Err(MlsError::Malformed);
        };
        let epoch = info.epoch().as_u64();
        let id = GroupId::of(info.group_id()).ok_or(MlsError::Malformed)?;
        if Suite::of(info.ciphersuite()).is_none() {
            return Err(MlsError::Suite);
        }
        // A server could name the group of another conversation, which would be
        // written over.
        if let Some(known) = Self::load(&provider, id)?
            && known.context()?.conversation != expected.conversation
        {
            return Err(MlsError::OtherGroup);
        }
        let parameters = LeafNodeParameters::builder()
            .with_capabilities(settings::capabilities())
            .build();
        let (mls, bundle) = ExternalCommitBuilder::new()
            .with_config(settings::joining())
            .with_ratchet_tree(ratchet_tree(&state.ratchet_tree)?)
            .skip_lifetime_validation()
            .build_group(&provider, info, device.credential())
            .map_err(MlsError::invalid)?
            .leaf_node_parameters(parameters)
            .load_psks(provider.storage())
            .map_err(MlsError::invalid)?
            .create_group_info(true)
            .build(crypto, crypto, &device.key, |_| true)
            .map_err(MlsError::invalid)?
            .finalize(&provider)
            .map_err(MlsError::invalid)?;
        let group = mls.public_group();
        let context = group.group_context();
        let entered = policy::judge_group(context, group.members(), expected, directory)?;
        let (commit, _, group_info) = bundle.into_messages();
        let bundle = CommitBundle {
            commit: commit.to_bytes().map_err(MlsError::invalid)?,
            welcome: None,
            group_info: group_info
                .ok_or(MlsError::Malformed)?
                .to_bytes()
                .map_err(MlsError::invalid)?,
            epoch,
        };
        Ok(ExternalJoin {
            id,
            bundle,
            changes: overlay.into_changes(),
            entered,
        })
    }
}

impl ExternalJoin {
    /// Puts a join that won into the table, in place of what the device had of
    /// the group before.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn promote<T: StateTable, C: MlsCrypto>(
        provider: &Provider<'_, T, C>,
        id: GroupId,
        changes: &[TableChange],
    ) -> Result<(), MlsError> {
        if let Some(old) = Group::load(provider, id)? {
            old.delete(provider)?;
        }
        provider.storage().apply(changes).map_err(MlsError::invalid)
    }
}

/// Bytes of anything that is read here at the most.
const BYTES_MAX: usize = 8 * 1024 * 1024;

pub(crate) fn message(bytes: &[u8]) -> Result<MlsMessageBodyIn, MlsError> {
    if bytes.len() > BYTES_MAX {
        return Err(MlsError::Malformed);
    }
    MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .map(MlsMessageIn::extract)
        .map_err(|_| MlsError::Malformed)
}

pub(crate) fn ratchet_tree(bytes: &[u8]) -> Result<RatchetTreeIn, MlsError> {
    if bytes.len() > BYTES_MAX {
        return Err(MlsError::Malformed);
    }
    RatchetTreeIn::tls_deserialize_exact_bytes(bytes).map_err(|_| MlsError::Malformed)
}
