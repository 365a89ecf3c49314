//! A conversation with members online here: who sits in it, and how far it has
//! been told.

use std::sync::Arc;

use ruggine_core::{ConversationId, Seq};

use super::Offer;
use super::event::SharedEvent;
use super::socket::Socket;
use crate::bus::Audience;

/// A socket in a conversation.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) socket: Arc<Socket>,
    /// The first row that its user may see.
    pub(super) from: Seq,
}

/// What a repair has to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) head: Seq,
    pub(super) roster_version: u64,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) roster_version: u64,
    /// The last number that was offered to the seats.
    pub(super) head: Seq,
    pub(super) member_count: u32,
    pub(super) seats: Vec<Seat>,
    /// Set while a repair reads what was missed. Nothing is offered meanwhile.
    pub(super) repair: Option<Target>,
}

impl Topic {
    /// Whether the socket had no seat before.
    pub(super) fn take_seat(
        &mut self,
        conversation: ConversationId,
        socket: &Arc<Socket>,
        from: Seq,
    ) -> bool {
        let seated = self
            .seats
            .iter()
            .any(|seat| Arc::ptr_eq(&seat.socket, socket));
        let sits = !seated && socket.sit(conversation);
        if sits {
            self.seats.push(Seat {
                socket: Arc::clone(socket),
                from,
            });
        }
        sits
    }

    /// Offers a row to everybody who may see it; how many queues overflowed. In
    /// a large group, who looks elsewhere only learns where the log stands.
    pub(super) fn tell(
        &self,
        conversation: ConversationId,
        seq: Seq,
        event: &Arc<SharedEvent>,
        large_group: u32,
    ) -> u64 {
        let is_large = self.member_count > large_group;
        let mut lagged = 0;
        for seat in self.seats.iter().filter(|seat| seat.from <= seq) {
            if is_large && !seat.socket.has_in_focus(conversation) {
                seat.socket.mark_later(conversation, seq);
            } else if !seat.socket.offer(event) {
                lagged += 1;
            }
        }
        lagged
    }

    /// What has to be done first when an audience was drawn from a newer roster
    /// than the seats here.
    pub(super) fn outdated_by(&mut self, to: &Audience) -> Option<Offer> {
        let wanted = self.repair.map_or(0, |wanted| wanted.roster_version);
        if wanted.max(to.roster_version) <= self.roster_version {
            return None;
        }
        let target = Target {
            head: self.head,
            roster_version: to.roster_version,
        };
        Some(match self.want(target) {
            true => Offer::Repair,
            false => Offer::Repairing,
        })
    }

    /// Those of an audience who sit here.
    pub(super) fn seated(&self, to: &Audience) -> impl Iterator<Item = &Seat> {
        let except = to.except;
        self.seats
            .iter()
            .filter(move |seat| seat.socket.principal().user != except)
    }

    /// Asks for a repair that reaches at least this; `true` when none was under way.
    pub(super) fn want(&mut self, target: Target) -> bool {
        match &mut self.repair {
            Some(wanted) => {
                wanted.head = wanted.head.max(target.head);
                wanted.roster_version = wanted.roster_version.max(target.roster_version);
                false
            }
            None => {
                self.repair = Some(target);
                true
            }
        }
    }
}
