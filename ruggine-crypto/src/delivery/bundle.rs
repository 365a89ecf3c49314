//! A change of a group, as a server takes it.

use openmls::group::StagedCommit;
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::{
    ContentType, Extension, ExtensionType, LeafNodeIndex, MlsMessageBodyIn,
    OpenMlsSignaturePublicKey, ProcessedMessageContent, Proposal, ProtocolMessage, Sender,
    Verifiable as _,
};
use ruggine_core::Timestamp;
use tls_codec::Serialize as _;

use super::error::DeliveryError;
use super::state::PublicState;
use super::{
    COMMIT_BYTES_MAX, GROUP_INFO_BYTES_MAX, LARGE_COMMIT_BYTES_MAX, PROPOSAL_BYTES_MAX,
    WELCOME_BYTES_MAX,
};
use crate::mls::policy::{self, Directory, Judged, Leaf, Stance};
use crate::mls::{CommitBundle, MlsCrypto, Storage, Suite, message, protocol_message};

/// Leaves above which a commit of the post-quantum suite may be larger.
const LARGE_GROUP: usize = 100;

/// A change that is good: what a server writes in one transaction.
#[derive(Debug)]
pub struct Checked {
    /// What it does.
    pub judged: Judged,
    /// The group with it.
    pub next: PublicState,
    /// Whom the welcome is for.
    pub welcomed: Vec<Leaf>,
}

impl PublicState {
    /// Checks a change as everybody else will, and with it that the parts
    /// belong together. The state is used up: what was refused leaves nothing.
    ///
    /// # Errors
    /// When a member would refuse it, or a part does not fit.
    pub fn apply(
        mut self,
        crypto: &impl MlsCrypto,
        bundle: &CommitBundle,
        sender: Leaf,
        directory: &dyn Directory,
        at: Timestamp,
    ) -> Result<Checked, DeliveryError> {
        self.check_lengths(bundle)?;
        let commit = protocol_message(&bundle.commit).map_err(DeliveryError::part("commit"))?;
        if commit.content_type() != ContentType::Commit {
            return Err(DeliveryError::Malformed("commit"));
        }
        self.check_place(&commit)?;
        let processed = self
            .group
            .process_message(crypto, commit)
            .map_err(DeliveryError::invalid)?;
        let by = processed.sender().clone();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            return Err(DeliveryError::Malformed("commit"));
        };
        let judged = policy::judge(
            crypto,
            &self.group,
            &staged,
            &by,
            directory,
            at,
            Stance::Deciding,
        )?;
        if judged.committer != sender {
            return Err(DeliveryError::OtherSender);
        }
        let index = match by {
            Sender::Member(index) => index,
            _ => self
                .group
                .ext_commit_sender_index(&staged)
                .map_err(DeliveryError::invalid)?,
        };
        let welcomed = check_welcome(crypto, &staged, bundle.welcome.as_deref())?;
        self.group
            .merge_commit(&Storage::new(&self.table), *staged)
            .map_err(DeliveryError::invalid)?;
        self.check_group_info(crypto, &bundle.group_info, index)?;
        // Members would take it over, and whoever joins afterwards would not.
        if !policy::unique_keys(&self.group) {
            return Err(DeliveryError::Malformed("tree"));
        }
        Ok(Checked {
            judged,
            next: self,
            welcomed,
        })
    }

    /// Takes a proposal that others shall commit: somebody's leaving. It stands
    /// until the next commit.
    ///
    /// # Errors
    /// When a member would refuse it.
    pub fn propose(
        mut self,
        crypto: &impl MlsCrypto,
        proposal: &[u8],
        sender: Leaf,
        directory: &dyn Directory,
    ) -> Result<Self, DeliveryError> {
        if proposal.len() > PROPOSAL_BYTES_MAX {
            return Err(DeliveryError::TooLong("proposal"));
        }
        let proposal = protocol_message(proposal).map_err(DeliveryError::part("proposal"))?;
        self.check_place(&proposal)?;
        let processed = self
            .group
            .process_message(crypto, proposal)
            .map_err(DeliveryError::invalid)?;
        let by = processed.sender().clone();
        let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
            return Err(DeliveryError::Malformed("proposal"));
        };
        let waiting = self
            .group
            .queued_proposals(&Storage::new(&self.table))
            .map_err(DeliveryError::state)?;
        policy::judge_proposal(
            &self.group,
            waiting.iter().map(|(_, waiting)| waiting),
            &proposal,
            directory,
            Stance::Deciding,
        )?;
        let leaves = policy::leaves(&self.group)?;
        let is_senders = match by {
            Sender::Member(index) => leaves.get(&index.u32()).map(Leaf::of) == Some(sender),
            _ => false,
        };
        if !is_senders {
            return Err(DeliveryError::OtherSender);
        }
        self.group
            .add_proposal(&Storage::new(&self.table), *proposal)
            .map_err(DeliveryError::invalid)?;
        Ok(self)
    }

    fn check_lengths(&self, bundle: &CommitBundle) -> Result<(), DeliveryError> {
        // A commit that founds a large group is as large.
        let welcome = bundle.welcome.as_ref().map_or(0, Vec::len);
        let is_large = self.suite() == Some(Suite::PostQuantum)
            && (self.group.members().count() > LARGE_GROUP || welcome > COMMIT_BYTES_MAX / 2);
        let commit = match is_large {
            true => LARGE_COMMIT_BYTES_MAX,
            false => COMMIT_BYTES_MAX,
        };
        for (part, length, most) in [
            ("commit", bundle.commit.len(), commit),
            ("welcome", welcome, WELCOME_BYTES_MAX),
            ("GroupInfo", bundle.group_info.len(), GROUP_INFO_BYTES_MAX),
        ] {
            if length > most {
                return Err(DeliveryError::TooLong(part));
            }
        }
        Ok(())
    }

    fn check_place(&self, message: &ProtocolMessage) -> Result<(), DeliveryError> {
        if message.group_id() != self.group.group_id() {
            return Err(DeliveryError::OtherGroup);
        }
        let (group, commit) = (self.epoch(), message.epoch().as_u64());
        if group == commit {
            Ok(())
        } else {
            Err(DeliveryError::StaleEpoch { group, commit })
        }
    }

    /// A GroupInfo of anything but this group in this epoch would lock out
    /// whoever joins next. All of it but the key for joining is known here, so
    /// it is written down and compared.
    fn check_group_info(
        &self,
        crypto: &impl MlsCrypto,
        bytes: &[u8],
        committer: LeafNodeIndex,
    ) -> Result<(), DeliveryError> {
        let info = message(bytes).map_err(DeliveryError::part("GroupInfo"))?;
        let MlsMessageBodyIn::GroupInfo(info) = info else {
            return Err(DeliveryError::Malformed("GroupInfo"));
        };
        if !is_for_joining(&info) {
            return Err(DeliveryError::GroupInfo);
        }
        let written =
            |part: Result<Vec<u8>, tls_codec::Error>| part.map_err(DeliveryError::invalid);
        let mut expected = written(self.group.group_context().tls_serialize_detached())?;
        expected.extend(written(info.extensions().tls_serialize_detached())?);
        expected.extend(written(
            self.group.confirmation_tag().tls_serialize_detached(),
        )?);
        expected.extend(committer.u32().to_be_bytes());
        if written(info.unsigned_payload())? != expected {
            return Err(DeliveryError::GroupInfo);
        }
        let leaf = self.group.leaf(committer).ok_or(DeliveryError::GroupInfo)?;
        let key = OpenMlsSignaturePublicKey::from_signature_key(
            leaf.signature_key().clone(),
            self.group.ciphersuite().signature_algorithm(),
        );
        info.verify_no_out(crypto, &key)
            .map_err(|_| DeliveryError::GroupInfo)
    }
}

/// A GroupInfo holds the key for joining and nothing else; the tree is served
/// apart.
pub(super) fn is_for_joining(info: &VerifiableGroupInfo) -> bool {
    let mut kinds = info.extensions().iter().map(Extension::extension_type);
    kinds.next() == Some(ExtensionType::ExternalPub) && kinds.next().is_none()
}

/// A welcome is for exactly the packages that are added; whom it is for.
fn check_welcome(
    crypto: &impl MlsCrypto,
    staged: &StagedCommit,
    welcome: Option<&[u8]>,
) -> Result<Vec<Leaf>, DeliveryError> {
    let mut added = Vec::new();
    let mut welcomed = Vec::new();
    for queued in staged.queued_proposals() {
        if let Proposal::Add(add) = queued.proposal() {
            let package = add.key_package();
            let reference = package.hash_ref(crypto).map_err(DeliveryError::invalid)?;
            added.push(reference.as_slice().to_vec());
            welcomed.push(Leaf::of(&policy::certificate_of(package.leaf_node())?));
        }
    }
    let mut named: Vec<Vec<u8>> = match welcome {
        None => Vec::new(),
        Some(bytes) => {
            let welcome = message(bytes).map_err(DeliveryError::part("welcome"))?;
            let MlsMessageBodyIn::Welcome(welcome) = welcome else {
                return Err(DeliveryError::Malformed("welcome"));
            };
            let secrets = welcome.secrets().iter();
            secrets
                .map(|secret| secret.new_member().as_slice().to_vec())
                .collect()
        }
    };
    added.sort_unstable();
    named.sort_unstable();
    if added == named {
        Ok(welcomed)
    } else {
        Err(DeliveryError::Welcome)
    }
}
