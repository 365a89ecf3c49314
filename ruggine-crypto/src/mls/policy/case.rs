//! Judging a change.

use std::collections::BTreeSet;

use openmls::group::{PublicGroup, StagedCommit};
use openmls::prelude::{
    KeyPackage, LeafNodeIndex, Proposal, ProposalOrRefType, QueuedProposal, Sender,
};
use openmls_traits::crypto::OpenMlsCrypto;
use ruggine_core::api::conversation::{ConversationKind, Role};
use ruggine_core::policy::{Action, allows};
use ruggine_core::{Timestamp, UserId};

use super::entering::{check_seats, context_of, users};
use super::leaf::{
    Leaves, certificate_of, check_device, check_leaf, check_package, check_together, leaves,
};
use super::{Directory, Judged, Leaf, Listing, Stance, Violation};
use crate::identity::DeviceCertificate;
use crate::mls::context::{ConversationContext, Seat};
use crate::mls::settings;

/// Judges a commit that MLS has found valid, as things stood before it.
///
/// `at` is when the server took it; an invitation counts until then.
///
/// # Errors
/// When somebody did what they may not do.
pub(crate) fn judge(
    crypto: &impl OpenMlsCrypto,
    group: &PublicGroup,
    commit: &StagedCommit,
    sender: &Sender,
    directory: &dyn Directory,
    at: Timestamp,
    stance: Stance,
) -> Result<Judged, Violation> {
    let case = Case::new(group, commit, sender)?;
    case.check_shapes(crypto, group, commit)?;
    case.judge(directory, at, stance)
}

/// What a commit does that was judged before.
///
/// # Errors
/// When it is none that could have been.
pub(crate) fn outcome(
    group: &PublicGroup,
    commit: &StagedCommit,
    sender: &Sender,
) -> Result<Judged, Violation> {
    Case::new(group, commit, sender)?.outcome()
}

/// Judges a proposal that others shall commit, beside those that wait already:
/// only somebody's own devices may be proposed for removal, once, by a device
/// that is listed, and not the last that owns the group.
///
/// # Errors
/// When it may not be made.
pub(crate) fn judge_proposal<'a>(
    group: &PublicGroup,
    waiting: impl Iterator<Item = &'a QueuedProposal>,
    proposal: &QueuedProposal,
    directory: &dyn Directory,
    stance: Stance,
) -> Result<(), Violation> {
    let Proposal::Remove(remove) = proposal.proposal() else {
        return Err(Violation::Proposal);
    };
    let before = leaves(group)?;
    leaving(&before, proposal, remove.removed())?;
    if let Sender::Member(by) = proposal.sender() {
        let by = before.get(&by.u32()).ok_or(Violation::Proposal)?;
        if stance == Stance::Deciding && directory.listing(by) != Listing::Listed {
            return Err(Violation::UnlistedDevice(Leaf::of(by)));
        }
    }
    let mut gone: BTreeSet<u32> = waiting.filter_map(removed_by).collect();
    if !gone.insert(remove.removed().u32()) {
        return Err(Violation::Proposal);
    }
    let stays = before.iter().filter(|(index, _)| !gone.contains(index));
    let present: BTreeSet<UserId> = stays.map(|(_, certificate)| certificate.user()).collect();
    let context = context_of(group.group_context().extensions())?;
    let is_owned = context
        .seats
        .iter()
        .any(|seat| seat.role == Role::Owner && present.contains(&seat.user));
    match context.kind {
        ConversationKind::Group if !is_owned => Err(Violation::NoOwner),
        _ => Ok(()),
    }
}

/// Devices whose removal waits to be committed.
///
/// # Errors
/// When a leaf carries no certificate.
pub(crate) fn leavers<'a>(
    group: &PublicGroup,
    waiting: impl Iterator<Item = &'a QueuedProposal>,
) -> Result<Vec<Leaf>, Violation> {
    let before = leaves(group)?;
    let gone = waiting.filter_map(removed_by);
    Ok(gone
        .filter_map(|index| before.get(&index))
        .map(Leaf::of)
        .collect())
}

fn removed_by(proposal: &QueuedProposal) -> Option<u32> {
    match proposal.proposal() {
        Proposal::Remove(remove) => Some(remove.removed().u32()),
        _ => None,
    }
}

/// Whoever proposes a removal to others asks for one of their own devices.
fn leaving(
    before: &Leaves,
    queued: &QueuedProposal,
    removed: LeafNodeIndex,
) -> Result<(), Violation> {
    let Sender::Member(by) = queued.sender() else {
        return Err(Violation::Proposal);
    };
    let by = before.get(&by.u32()).ok_or(Violation::Proposal)?;
    let removed = before.get(&removed.u32()).ok_or(Violation::Proposal)?;
    if by.user() == removed.user() {
        Ok(())
    } else {
        Err(Violation::Proposal)
    }
}

/// Whether a certificate may take another one's place in a leaf: it is of the
/// same device with the same key and account.
fn renews(new: &DeviceCertificate, old: &DeviceCertificate) -> bool {
    Leaf::of(new) == Leaf::of(old)
        && new.account() == old.account()
        && new.signature_key() == old.signature_key()
}

struct Case {
    before: Leaves,
    old: ConversationContext,
    new: ConversationContext,
    suite: u16,
    effects: Effects,
    /// The certificate in the committer's new leaf.
    path: Option<DeviceCertificate>,
    sender: Sender,
}

/// What the proposals of a commit do to the leaves.
#[derive(Default)]
struct Effects {
    added: Vec<DeviceCertificate>,
    /// Leaves that the committer removes.
    removed: BTreeSet<u32>,
    /// Leaves that asked for it themselves.
    leaving: BTreeSet<u32>,
}

impl Effects {
    fn of(before: &Leaves, commit: &StagedCommit, sender: &Sender) -> Result<Self, Violation> {
        let mut effects = Self::default();
        let mut contexts = 0;
        for queued in commit.queued_proposals() {
            let is_own = queued.proposal_or_ref_type() == ProposalOrRefType::Proposal;
            match queued.proposal() {
                Proposal::Add(add) if is_own => {
                    let leaf = add.key_package().leaf_node();
                    effects.added.push(certificate_of(leaf)?);
                }
                Proposal::Remove(remove) if is_own => {
                    effects.removed.insert(remove.removed().u32());
                }
                Proposal::Remove(remove) => {
                    leaving(before, queued, remove.removed())?;
                    effects.leaving.insert(remove.removed().u32());
                }
                Proposal::GroupContextExtensions(_) if is_own => contexts += 1,
                Proposal::ExternalInit(_) if matches!(sender, Sender::NewMemberCommit) => {}
                _ => return Err(Violation::Proposal),
            }
        }
        if contexts > 1 {
            return Err(Violation::Proposal);
        }
        Ok(effects)
    }
}

impl Case {
    fn new(group: &PublicGroup, commit: &StagedCommit, sender: &Sender) -> Result<Self, Violation> {
        let before = leaves(group)?;
        Ok(Self {
            old: context_of(group.group_context().extensions())?,
            new: context_of(commit.group_context().extensions())?,
            suite: u16::from(group.ciphersuite()),
            effects: Effects::of(&before, commit, sender)?,
            path: commit
                .update_path_leaf_node()
                .map(certificate_of)
                .transpose()?,
            sender: sender.clone(),
            before,
        })
    }

    /// Whether what enters is made as ours is: leaves, keys, packages.
    fn check_shapes(
        &self,
        crypto: &impl OpenMlsCrypto,
        group: &PublicGroup,
        commit: &StagedCommit,
    ) -> Result<(), Violation> {
        if let Some((leaf, certificate)) = commit.update_path_leaf_node().zip(self.path.as_ref()) {
            check_leaf(crypto, group.ciphersuite(), leaf, Leaf::of(certificate))?;
        }
        let added = commit
            .queued_proposals()
            .filter_map(|queued| match queued.proposal() {
                Proposal::Add(add) => Some(add.key_package()),
                _ => None,
            });
        for (package, certificate) in added.zip(&self.effects.added) {
            check_package(crypto, package, certificate)?;
            if !is_timeless(package) {
                return Err(Violation::Shape(Leaf::of(certificate)));
            }
        }
        Ok(())
    }

    fn is_newcomer(&self) -> bool {
        matches!(self.sender, Sender::NewMemberCommit)
    }

    /// Who is in the group with the change: those who stay as they were, and
    /// those who enter.
    fn after(&self) -> Result<BTreeSet<Leaf>, Violation> {
        let path = self.path.as_ref().filter(|_| self.is_newcomer());
        check_together(self.staying().chain(&self.effects.added).chain(path))
    }

    fn staying(&self) -> impl Iterator<Item = &DeviceCertificate> {
        let Effects {
            removed, leaving, ..
        } = &self.effects;
        self.before
            .iter()
            .filter(move |(index, _)| !removed.contains(index) && !leaving.contains(index))
            .map(|(_, certificate)| certificate)
    }

    fn committer(&self) -> Result<&DeviceCertificate, Violation> {
        match self.sender {
            Sender::Member(index) => self.before.get(&index.u32()),
            Sender::NewMemberCommit => self.path.as_ref(),
            _ => return Err(Violation::Proposal),
        }
        .ok_or(Violation::NoCertificate)
    }

    fn outcome(&self) -> Result<Judged, Violation> {
        let before: BTreeSet<Leaf> = self.before.values().map(Leaf::of).collect();
        let after = self.after()?;
        Ok(Judged {
            committer: Leaf::of(self.committer()?),
            joined: after.difference(&before).copied().collect(),
            left: before.difference(&after).copied().collect(),
            context: self.new.clone(),
        })
    }

    fn judge(
        &self,
        directory: &dyn Directory,
        at: Timestamp,
        stance: Stance,
    ) -> Result<Judged, Violation> {
        self.check_entering(directory, at, stance)?;
        let committer = self.committer()?;
        if self.is_newcomer() {
            self.newcomer(committer, at)?;
        } else {
            self.member(committer, directory, at, stance)?;
        }
        let judged = self.outcome()?;
        let present = users(&self.after()?);
        let were_present: BTreeSet<UserId> =
            self.before.values().map(DeviceCertificate::user).collect();
        check_seats(&self.new, &present)?;
        for user in present.difference(&were_present) {
            self.may_enter(*user, at)?;
        }
        for user in were_present.difference(&present) {
            // Or an old invitation would let them in again.
            if self.new.seat(*user).is_some() {
                return Err(Violation::EmptySeat(*user));
            }
        }
        self.removals(judged.committer, &present, directory)?;
        self.context_change(judged.committer)?;
        Ok(judged)
    }

    fn check_entering(
        &self,
        directory: &dyn Directory,
        at: Timestamp,
        stance: Stance,
    ) -> Result<(), Violation> {
        let path = self.path.as_ref().filter(|_| self.is_newcomer());
        let mut unknown = BTreeSet::new();
        for certificate in self.effects.added.iter().chain(path) {
            match check_device(certificate, self.suite, directory, at, stance) {
                Err(Violation::UnknownUsers(users)) => unknown.extend(users),
                other => other?,
            }
        }
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Violation::UnknownUsers(unknown.into_iter().collect()))
        }
    }

    /// A member keeps the leaf of its device; a certificate may be renewed. A
    /// device that was revoked decides nothing any more.
    fn member(
        &self,
        own: &DeviceCertificate,
        directory: &dyn Directory,
        at: Timestamp,
        stance: Stance,
    ) -> Result<(), Violation> {
        if let Some(path) = self.path.as_ref().filter(|path| *path != own) {
            if !renews(path, own) {
                return Err(Violation::IdentitySwap);
            }
            return check_device(path, self.suite, directory, at, stance);
        }
        if stance == Stance::Deciding && directory.listing(own) != Listing::Listed {
            return Err(Violation::UnlistedDevice(Leaf::of(own)));
        }
        Ok(())
    }

    /// A device that joins on its own: of a member, or of somebody who is
    /// invited. It may take away its own old leaf and nothing else.
    fn newcomer(&self, path: &DeviceCertificate, at: Timestamp) -> Result<(), Violation> {
        let user = path.user();
        let seat = self.old.seat(user).ok_or(Violation::NotInvited(user))?;
        let is_member = self.before.values().any(|other| other.user() == user);
        if !is_member && !seat.is_open(at) {
            return Err(Violation::NotInvited(user));
        }
        let Effects {
            added,
            removed,
            leaving,
        } = &self.effects;
        if !added.is_empty() || !leaving.is_empty() || removed.len() > 1 {
            return Err(Violation::Proposal);
        }
        let mut replaced = removed.iter().filter_map(|index| self.before.get(index));
        if replaced.any(|old| !renews(path, old)) {
            return Err(Violation::IdentitySwap);
        }
        if self.new != self.old {
            return Err(Violation::Fixed);
        }
        Ok(())
    }

    /// Whoever had no device in the group before has a seat of this commit, or
    /// an invitation that holds.
    fn may_enter(&self, user: UserId, at: Timestamp) -> Result<(), Violation> {
        match self.old.seat(user) {
            Some(seat) if self.new.seat(user) == Some(seat) && !seat.is_open(at) => {
                Err(Violation::NotInvited(user))
            }
            _ => Ok(()),
        }
    }

    /// Whether all devices of a user have asked to leave.
    fn leaves_by_themselves(&self, user: UserId) -> bool {
        let mut devices = self
            .before
            .iter()
            .filter(|(_, certificate)| certificate.user() == user)
            .peekable();
        devices.peek().is_some() && devices.all(|(index, _)| self.effects.leaving.contains(index))
    }

    /// A device is removed by its own user, or because it was revoked, or
    /// together with all others of a user who loses their seat.
    fn removals(
        &self,
        committer: Leaf,
        present: &BTreeSet<UserId>,
        directory: &dyn Directory,
    ) -> Result<(), Violation> {
        for index in &self.effects.removed {
            let certificate = self.before.get(index).ok_or(Violation::Proposal)?;
            let leaf = Leaf::of(certificate);
            let is_revoked = matches!(
                directory.listing(certificate),
                Listing::Formerly | Listing::Never
            );
            let is_unseated = !present.contains(&leaf.user);
            if leaf.user != committer.user && !is_revoked && !is_unseated {
                return Err(Violation::DeviceRemoval(leaf));
            }
        }
        Ok(())
    }

    fn context_change(&self, committer: Leaf) -> Result<(), Violation> {
        let (old, new) = (&self.old, &self.new);
        if (old.conversation, old.kind) != (new.conversation, new.kind) {
            return Err(Violation::Fixed);
        }
        if old == new {
            return Ok(());
        }
        let role = old
            .seat(committer.user)
            .ok_or(Violation::NoSeat(committer.user))?
            .role;
        let may = |action| match allows(role, action) && old.kind == ConversationKind::Group {
            true => Ok(()),
            false => Err(Violation::Forbidden {
                user: committer.user,
                action,
            }),
        };
        for seat in &old.seats {
            match new.seat(seat.user) {
                None if self.leaves_by_themselves(seat.user) => {}
                None => may(Action::RemoveMember(seat.role))?,
                Some(now) if now.role != seat.role => {
                    may(Action::ChangeRole(seat.role, now.role))?;
                }
                Some(_) => {}
            }
        }
        for seat in &new.seats {
            let before = old.seat(seat.user);
            if before.is_none_or(|before| before.invitation != seat.invitation) {
                may(Action::AddMember)?;
                self.check_invitation(committer, seat, before)?;
                // To let somebody in with a role is to give it.
                if seat.role != Role::Member {
                    may(Action::ChangeRole(Role::Member, seat.role))?;
                }
            }
        }
        if old.banned != new.banned {
            // To ban is to remove for good.
            may(Action::RemoveMember(Role::Member))?;
        }
        Ok(())
    }

    /// Nobody invites in another's name, and nobody who was banned before.
    fn check_invitation(
        &self,
        committer: Leaf,
        seat: &Seat,
        before: Option<&Seat>,
    ) -> Result<(), Violation> {
        // A ban has to be lifted in a commit of its own, so that it is seen.
        if before.is_none() && self.old.banned.contains(&seat.user) {
            return Err(Violation::Banned(seat.user));
        }
        match seat.invitation {
            Some(invitation) if invitation.by != committer.user => Err(Violation::Fixed),
            _ => Ok(()),
        }
    }
}

/// Key packages hold without end as MLS sees it. OpenMLS compares their lifetime
/// with the clock of whoever reads the log, so one that ended would stop
/// everybody who is behind; when one is too old to be handed out, the server
/// knows.
pub(crate) fn is_timeless(package: &KeyPackage) -> bool {
    *package.life_time() == settings::lifetime()
}
