//! Changes of a group: what a member asks for, and what the others get.

use openmls::prelude::{
    ContentType, LeafNodeIndex, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, Proposal,
    ProtocolMessage, QueuedProposal, Sender,
};
use openmls_traits::OpenMlsProvider as _;
use ruggine_core::Timestamp;
use tls_codec::DeserializeBytes as _;

use super::context::ConversationContext;
use super::device_key::Device;
use super::error::MlsError;
use super::group::{Group, Opened};
use super::key_package::PublishedKeyPackage;
use super::policy::{self, Directory, Judged, Leaf, Stance};
use super::provider::{MlsCrypto, Provider};
use super::settings;
use super::table::StateTable;

/// What a member wants to change. It survives a lost race: build it again on
/// the epoch that won, and never send the old bytes again.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Devices to add.
    pub add: Vec<PublishedKeyPackage>,
    /// Devices to remove.
    pub remove: Vec<Leaf>,
    /// The context that shall hold, where it changes.
    pub context: Option<ConversationContext>,
}

/// A change as it goes to the server: all of it is taken, or nothing.
#[derive(Debug, Clone)]
pub struct CommitBundle {
    /// The commit, a PublicMessage.
    pub commit: Vec<u8>,
    /// The welcome of those who are added.
    pub welcome: Option<Vec<u8>>,
    /// The group as it is after the commit, for those who join on their own.
    pub group_info: Vec<u8>,
    /// The epoch in which the commit was made.
    pub epoch: u64,
}

/// What a row of the log was.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Opened),
    /// A change by another device, which is taken over.
    Commit(ReceivedCommit),
    /// The own change, which was waiting and is taken over.
    OwnCommit(ReceivedCommit),
    /// Somebody asks for a removal of their own device; it is in the next commit.
    Proposal,
}

/// A change that is taken over.
#[derive(Debug)]
pub struct ReceivedCommit {
    /// What it was.
    pub judged: Judged,
    /// The epoch that it began.
    pub epoch: u64,
    /// Whether this device was removed: the group cannot be used any more.
    pub removed_self: bool,
}

impl Group {
    /// Makes a change and keeps it until the server has answered; meanwhile
    /// nothing can be sealed. It is judged before it is returned, as everybody
    /// else will judge it. Removals that others have asked for are part of it;
    /// strike the seats of [those](Self::leavers) whose last device goes.
    ///
    /// # Errors
    /// When the change is not allowed or names a device that is not there: roll
    /// the transaction back.
    pub fn commit<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
        device: &Device,
        change: Change,
        directory: &dyn Directory,
        at: Timestamp,
    ) -> Result<CommitBundle, MlsError> {
        if self.has_pending_commit() {
            return Err(MlsError::CommitPending);
        }
        let removed = self.indices(&change.remove)?;
        let epoch = self.epoch();
        let own = self.mls.own_leaf_index();
        let mut builder = self
            .mls
            .commit_builder()
            .force_self_update(true)
            .propose_adds(change.add.into_iter().map(|added| added.package))
            .propose_removals(removed);
        if let Some(context) = &change.context {
            context.check()?;
            let extensions = settings::extensions(context).map_err(MlsError::invalid)?;
            builder = builder
                .propose_group_context_extensions(extensions)
                .map_err(MlsError::invalid)?;
        }
        let bundle = builder
            .load_psks(provider.storage())
            .map_err(MlsError::invalid)?
            .create_group_info(true)
            // Nobody can commit their own leaving: it waits for the others.
            .build(provider.rand(), provider.crypto(), &device.key, |queued| {
                !removes(queued, own)
            })
            .map_err(MlsError::invalid)?
            .stage_commit(provider)
            .map_err(MlsError::invalid)?;
        let pending = self.mls.pending_commit().ok_or(MlsError::Malformed)?;
        policy::judge(
            provider.crypto(),
            self.mls.public_group(),
            pending,
            &Sender::Member(own),
            directory,
            at,
            Stance::Deciding,
        )?;
        let (commit, welcome, group_info) = bundle.into_messages();
        let bytes = |message: openmls::prelude::MlsMessageOut| {
            message.to_bytes().map_err(MlsError::invalid)
        };
        Ok(CommitBundle {
            commit: bytes(commit)?,
            welcome: welcome.map(bytes).transpose()?,
            group_info: bytes(group_info.ok_or(MlsError::Malformed)?)?,
            epoch,
        })
    }

    /// Takes the own change over, once the server has said that it won. It was
    /// judged when it was made, and is not again: there would be no way back.
    ///
    /// # Errors
    /// When none is waiting, or the table cannot be written.
    pub fn accept_commit<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
    ) -> Result<ReceivedCommit, MlsError> {
        let pending = self.mls.pending_commit().ok_or(MlsError::Malformed)?;
        let own = Sender::Member(self.mls.own_leaf_index());
        let judged = policy::outcome(self.mls.public_group(), pending, &own)?;
        self.mls
            .merge_pending_commit(provider)
            .map_err(MlsError::invalid)?;
        Ok(self.taken_over(judged))
    }

    /// Gives the own change up, once the server has said that it lost. Never
    /// after a time-out: the others may have it.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub fn discard_commit<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
    ) -> Result<(), MlsError> {
        self.mls
            .clear_pending_commit(provider.storage())
            .map_err(MlsError::invalid)
    }

    /// Takes a row of the log over: a message, a change, or a proposal. `at` is
    /// when the server took it.
    ///
    /// # Errors
    /// When it is not valid or not allowed: roll the transaction back. Where
    /// the devices of somebody are [not known](policy::Violation::UnknownUsers)
    /// or not listed, ask for newer lists and try again.
    pub fn receive<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
        bytes: &[u8],
        directory: &dyn Directory,
        at: Timestamp,
    ) -> Result<Received, MlsError> {
        let message = protocol_message(bytes)?;
        if message.group_id() != self.mls.group_id() {
            return Err(MlsError::OtherGroup);
        }
        if message.epoch() != self.mls.epoch() {
            return Err(MlsError::WrongEpoch {
                group: self.epoch(),
                message: message.epoch().as_u64(),
            });
        }
        if !self.mls.is_active() {
            return Err(MlsError::Removed);
        }
        let processed = self
            .mls
            .process_message(provider, message)
            .map_err(MlsError::invalid)?;
        let sender = processed.sender().clone();
        let aad = processed.aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(payload) => {
                let opened = self.opened(&sender, aad, payload.into_bytes())?;
                Ok(Received::Message(opened))
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let group = self.mls.public_group();
                let judged = policy::judge(
                    provider.crypto(),
                    group,
                    &staged,
                    &sender,
                    directory,
                    at,
                    Stance::Following,
                )?;
                self.mls
                    .merge_staged_commit(provider, *staged)
                    .map_err(MlsError::invalid)?;
                Ok(Received::Commit(self.taken_over(judged)))
            }
            ProcessedMessageContent::OwnPendingCommit => {
                let taken = self.accept_commit(provider)?;
                Ok(Received::OwnCommit(taken))
            }
            ProcessedMessageContent::ProposalMessage(proposal) => {
                policy::judge_proposal(
                    self.mls.public_group(),
                    self.mls.pending_proposals(),
                    &proposal,
                    directory,
                    Stance::Following,
                )?;
                self.mls
                    .store_pending_proposal(provider.storage(), *proposal)
                    .map_err(MlsError::invalid)?;
                Ok(Received::Proposal)
            }
            ProcessedMessageContent::OwnPrivateMessage => Err(MlsError::Own),
            _ => Err(MlsError::Malformed),
        }
    }

    /// Devices whose removal waits to be committed, by [`commit`](Self::commit).
    ///
    /// # Errors
    /// When a leaf carries no certificate, which no step here lets happen.
    pub fn leavers(&self) -> Result<Vec<Leaf>, MlsError> {
        let waiting = self.mls.pending_proposals();
        Ok(policy::leavers(self.mls.public_group(), waiting)?)
    }

    /// Asks the others to remove this device, or another one of its user.
    /// Nothing can be sealed until somebody has committed it.
    ///
    /// # Errors
    /// When the device is not in the group, or another user's, or the last that
    /// owns the group: roll the transaction back.
    pub fn propose_removal<T: StateTable, C: MlsCrypto>(
        &mut self,
        provider: &Provider<'_, T, C>,
        device: &Device,
        removed: Leaf,
        directory: &dyn Directory,
    ) -> Result<Vec<u8>, MlsError> {
        let index = *self
            .indices(&[removed])?
            .first()
            .ok_or(MlsError::NoSuchDevice)?;
        let waited = self.mls.pending_proposals().count();
        let (message, _) = self
            .mls
            .propose_remove_member(provider, &device.key, index)
            .map_err(MlsError::invalid)?;
        let group = self.mls.public_group();
        let mut proposals = self.mls.pending_proposals();
        let waiting = proposals.by_ref().take(waited).collect::<Vec<_>>();
        let made = proposals.next().ok_or(MlsError::Malformed)?;
        policy::judge_proposal(
            group,
            waiting.into_iter(),
            made,
            directory,
            Stance::Deciding,
        )?;
        message.to_bytes().map_err(MlsError::invalid)
    }

    fn taken_over(&self, judged: Judged) -> ReceivedCommit {
        ReceivedCommit {
            judged,
            epoch: self.epoch(),
            removed_self: !self.mls.is_active(),
        }
    }

    fn indices(&self, devices: &[Leaf]) -> Result<Vec<LeafNodeIndex>, MlsError> {
        let leaves = policy::leaves(self.mls.public_group())?;
        devices
            .iter()
            .map(|device| {
                leaves
                    .iter()
                    .find(|(_, certificate)| Leaf::of(certificate) == *device)
                    .map(|(index, _)| LeafNodeIndex::new(*index))
                    .ok_or(MlsError::NoSuchDevice)
            })
            .collect()
    }
}

fn removes(queued: &QueuedProposal, leaf: LeafNodeIndex) -> bool {
    matches!(queued.proposal(), Proposal::Remove(remove) if remove.removed() == leaf)
}

/// A message of a group, public or private.
pub(crate) fn protocol_message(bytes: &[u8]) -> Result<ProtocolMessage, MlsError> {
    let message =
        MlsMessageIn::tls_deserialize_exact_bytes(bytes).map_err(|_| MlsError::Malformed)?;
    match message.extract() {
        // What is said in public must be about the group, and what is said of
        // the group must be public, or a server could not check it.
        MlsMessageBodyIn::PublicMessage(public) => {
            let message: ProtocolMessage = public.into();
            match message.content_type() {
                ContentType::Application => Err(MlsError::Malformed),
                ContentType::Commit | ContentType::Proposal => Ok(message),
            }
        }
        MlsMessageBodyIn::PrivateMessage(private) => {
            let message: ProtocolMessage = private.into();
            match message.content_type() {
                ContentType::Application => Ok(message),
                ContentType::Commit | ContentType::Proposal => Err(MlsError::Malformed),
            }
        }
        _ => Err(MlsError::Malformed),
    }
}
