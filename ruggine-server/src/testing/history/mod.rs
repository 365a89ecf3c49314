//! The judge of histories: whether what clients saw can have come from one log
//! that lost nothing that it promised.

use std::collections::{BTreeMap, HashMap, HashSet};

use ruggine_core::{ClientMsgId, ConversationId, DeviceId, Seq};

/// What clients sent, were promised and read, in the order in which each saw it.
#[derive(Debug, Clone, Default)]
pub struct History {
    sent: HashMap<(ConversationId, ClientMsgId), Vec<u8>>,
    notices: HashSet<(ConversationId, ClientMsgId)>,
    acks: Vec<Ack>,
    reads: BTreeMap<(DeviceId, ConversationId), Vec<Read>>,
    due: Vec<Due>,
}

#[derive(Debug, Clone)]
struct Ack {
    sender: DeviceId,
    conversation: ConversationId,
    row: SeenRow,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenRow {
    seq: Seq,
    id: ClientMsgId,
    payload: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Read {
    Row(SeenRow),
    Hole(Seq, Seq),
}

/// Rows that a device must have read in the end.
#[derive(Debug, Clone, Copy)]
struct Due {
    device: DeviceId,
    conversation: ConversationId,
    from: Seq,
    to: Seq,
}

/// What was judged, when it was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Messages that were sent.
    pub sent: usize,
    /// Messages that were acknowledged.
    pub acked: usize,
    /// Rows that were read, over all devices.
    pub read: usize,
    /// Logs that were read, one for each device and conversation.
    pub logs: usize,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message was acknowledged and a device that must have it does not.
    #[error(
        "{device} never read {client_msg_id}, of which {sender} was told that it is number {seq} of {conversation}"
    )]
    Lost {
        /// Who misses it.
        device: DeviceId,
        /// Who was promised that it is kept.
        sender: DeviceId,
        /// In which conversation.
        conversation: ConversationId,
        /// Under which number it was acknowledged.
        seq: Seq,
        /// Which message.
        client_msg_id: ClientMsgId,
    },
    /// Numbers were left out.
    #[error("{device} read number {found} of {conversation} after {after}")]
    Gap {
        /// Who saw it.
        device: DeviceId,
        /// In which conversation.
        conversation: ConversationId,
        /// The last number before.
        after: Seq,
        /// The number that followed.
        found: Seq,
    },
    /// A log went backwards.
    #[error("{device} read number {found} of {conversation} again or late, after {after}")]
    OutOfOrder {
        /// Who saw it.
        device: DeviceId,
        /// In which conversation.
        conversation: ConversationId,
        /// The last number before.
        after: Seq,
        /// The number that followed.
        found: Seq,
    },
    /// One message has two numbers.
    #[error("{client_msg_id} has the numbers {first} and {second} in {conversation}")]
    TwoNumbers {
        /// Which message.
        client_msg_id: ClientMsgId,
        /// In which conversation.
        conversation: ConversationId,
        /// One number.
        first: Seq,
        /// The other.
        second: Seq,
    },
    /// One number holds two messages.
    #[error("number {seq} of {conversation} is {first} to some and {second} to others")]
    TwoMessages {
        /// In which conversation.
        conversation: ConversationId,
        /// Which number.
        seq: Seq,
        /// One message.
        first: ClientMsgId,
        /// The other.
        second: ClientMsgId,
    },
    /// A message does not say to everybody what its sender wrote.
    #[error("number {seq} of {conversation}, {client_msg_id}, does not say what was sent")]
    Altered {
        /// In which conversation.
        conversation: ConversationId,
        /// Which number.
        seq: Seq,
        /// Which message.
        client_msg_id: ClientMsgId,
    },
    /// A message was read that nobody sent.
    #[error("number {seq} of {conversation}, {client_msg_id}, was sent by nobody")]
    NeverSent {
        /// In which conversation.
        conversation: ConversationId,
        /// Which number.
        seq: Seq,
        /// Which message.
        client_msg_id: ClientMsgId,
    },
}

impl History {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A device sends a message. Sending it again changes nothing.
    pub fn sent(
        &mut self,
        conversation: ConversationId,
        client_msg_id: ClientMsgId,
        payload: &[u8],
    ) {
        self.sent
            .insert((conversation, client_msg_id), payload.to_vec());
    }

    /// A device was promised that its message is number `seq`.
    pub fn acked(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        client_msg_id: ClientMsgId,
        seq: Seq,
        payload: &[u8],
    ) {
        let row = SeenRow {
            seq,
            id: client_msg_id,
            payload: payload.to_vec(),
        };
        self.acks.push(Ack {
            sender: device,
            conversation,
            row,
        });
    }

    /// A device applies a row of a log.
    pub fn read(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        seq: Seq,
        client_msg_id: ClientMsgId,
        payload: &[u8],
    ) {
        let row = SeenRow {
            seq,
            id: client_msg_id,
            payload: payload.to_vec(),
        };
        self.log(device, conversation).push(Read::Row(row));
    }

    /// A device applies a notice of the server, which no device has sent.
    pub fn read_notice(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        seq: Seq,
        client_msg_id: ClientMsgId,
        payload: &[u8],
    ) {
        self.notices.insert((conversation, client_msg_id));
        self.read(device, conversation, seq, client_msg_id, payload);
    }

    /// A device crosses numbers that it may not see.
    pub fn crossed(&mut self, device: DeviceId, conversation: ConversationId, from: Seq, to: Seq) {
        self.log(device, conversation).push(Read::Hole(from, to));
    }

    /// In the end, this device must have read every acknowledged message
    /// between these numbers.
    pub fn must_have(
        &mut self,
        device: DeviceId,
        conversation: ConversationId,
        from: Seq,
        to: Seq,
    ) {
        self.due.push(Due {
            device,
            conversation,
            from,
            to,
        });
    }

    fn log(&mut self, device: DeviceId, conversation: ConversationId) -> &mut Vec<Read> {
        self.reads.entry((device, conversation)).or_default()
    }

    /// Judges everything that happened.
    ///
    /// # Errors
    /// The first promise that was found broken.
    pub fn check(&self) -> Result<Summary, Violation> {
        let mut log = Log::default();
        for ack in &self.acks {
            log.agree(ack.conversation, &ack.row)?;
        }
        let mut read = 0;
        for ((device, conversation), rows) in &self.reads {
            read += self.check_log(&mut log, *device, *conversation, rows)?;
        }
        self.check_content(&log)?;
        self.check_due()?;
        Ok(Summary {
            sent: self.sent.len(),
            acked: self.acks.len(),
            read,
            logs: self.reads.len(),
        })
    }

    /// One device's view of one log: every number once, in order, without gaps.
    fn check_log(
        &self,
        log: &mut Log,
        device: DeviceId,
        conversation: ConversationId,
        reads: &[Read],
    ) -> Result<usize, Violation> {
        let mut after = Seq::ZERO;
        let mut rows = 0;
        for read in reads {
            let (found, end) = match read {
                Read::Row(row) => (row.seq, row.seq),
                Read::Hole(from, to) => (*from, *to),
            };
            if found <= after {
                return Err(Violation::OutOfOrder {
                    device,
                    conversation,
                    after,
                    found,
                });
            }
            if found != after.next() {
                return Err(Violation::Gap {
                    device,
                    conversation,
                    after,
                    found,
                });
            }
            if let Read::Row(row) = read {
                log.agree(conversation, row)?;
                rows += 1;
            }
            after = end;
        }
        Ok(rows)
    }

    /// Every row says what its sender wrote, and has one.
    fn check_content(&self, log: &Log) -> Result<(), Violation> {
        for ((conversation, seq), row) in &log.rows {
            match self.sent.get(&(*conversation, row.id)) {
                Some(payload) if *payload == row.payload => {}
                Some(_) => {
                    return Err(Violation::Altered {
                        conversation: *conversation,
                        seq: *seq,
                        client_msg_id: row.id,
                    });
                }
                None if self.notices.contains(&(*conversation, row.id)) => {}
                None => {
                    return Err(Violation::NeverSent {
                        conversation: *conversation,
                        seq: *seq,
                        client_msg_id: row.id,
                    });
                }
            }
        }
        Ok(())
    }

    /// Who must have an acknowledged message has it.
    fn check_due(&self) -> Result<(), Violation> {
        let have: HashSet<(DeviceId, ConversationId, Seq)> = self
            .reads
            .iter()
            .flat_map(|((device, conversation), reads)| {
                reads.iter().filter_map(move |read| match read {
                    Read::Row(row) => Some((*device, *conversation, row.seq)),
                    Read::Hole(..) => None,
                })
            })
            .collect();
        for due in &self.due {
            let acks = self.acks.iter().filter(|ack| {
                ack.conversation == due.conversation && (due.from..=due.to).contains(&ack.row.seq)
            });
            for ack in acks {
                if !have.contains(&(due.device, due.conversation, ack.row.seq)) {
                    return Err(Violation::Lost {
                        device: due.device,
                        sender: ack.sender,
                        conversation: due.conversation,
                        seq: ack.row.seq,
                        client_msg_id: ack.row.id,
                    });
                }
            }
        }
        Ok(())
    }
}

/// What everybody agrees on so far.
#[derive(Debug, Default)]
struct Log {
    rows: BTreeMap<(ConversationId, Seq), SeenRow>,
    numbers: HashMap<(ConversationId, ClientMsgId), Seq>,
}

impl Log {
    /// Takes a row in, or finds that it contradicts what was taken in before.
    fn agree(&mut self, conversation: ConversationId, row: &SeenRow) -> Result<(), Violation> {
        let first = *self
            .numbers
            .entry((conversation, row.id))
            .or_insert(row.seq);
        if first != row.seq {
            return Err(Violation::TwoNumbers {
                client_msg_id: row.id,
                conversation,
                first,
                second: row.seq,
            });
        }
        let known = self
            .rows
            .entry((conversation, row.seq))
            .or_insert_with(|| row.clone());
        if known.id != row.id {
            return Err(Violation::TwoMessages {
                conversation,
                seq: row.seq,
                first: known.id,
                second: row.id,
            });
        }
        if known.payload != row.payload {
            return Err(Violation::Altered {
                conversation,
                seq: row.seq,
                client_msg_id: row.id,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
