//! What can happen in a schedule.

use proptest::prelude::*;

pub(crate) const USERS: usize = 3;
pub(crate) const DEVICES: usize = 2 * USERS;
pub(crate) const CONVERSATIONS: usize = 2;

/// Something that happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A device writes, without waiting for the ack.
    Write { device: usize, conversation: usize },
    /// A device sends again whatever is not acknowledged.
    Resend { device: usize },
    /// A device looks at everything that has reached it.
    Look { device: usize },
    /// A device loses its connection.
    Disconnect { device: usize },
    /// A device connects to an engine and resumes there.
    Connect { device: usize, engine: usize },
    /// A device reads on from its cursor.
    Page { device: usize, conversation: usize },
    /// An engine ends and starts again.
    Restart { engine: usize },
    /// The owner adds somebody, by way of an engine.
    Add {
        user: usize,
        conversation: usize,
        engine: usize,
    },
    /// The owner removes somebody, by way of an engine.
    Remove {
        user: usize,
        conversation: usize,
        engine: usize,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES;
    let user = 1..USERS;
    let conversation = 0..CONVERSATIONS;
    let engine = 0..2usize;
    prop_oneof![
        40 => (device.clone(), conversation.clone())
            .prop_map(|(device, conversation)| Step::Write { device, conversation }),
        6 => device.clone().prop_map(|device| Step::Resend { device }),
        20 => device.clone().prop_map(|device| Step::Look { device }),
        8 => device.clone().prop_map(|device| Step::Disconnect { device }),
        14 => (device.clone(), engine.clone())
            .prop_map(|(device, engine)| Step::Connect { device, engine }),
        4 => (device, conversation.clone())
            .prop_map(|(device, conversation)| Step::Page { device, conversation }),
        2 => engine.clone().prop_map(|engine| Step::Restart { engine }),
        5 => (user.clone(), conversation.clone(), engine.clone())
            .prop_map(|(user, conversation, engine)| Step::Add { user, conversation, engine }),
        4 => (user, conversation, engine)
            .prop_map(|(user, conversation, engine)| Step::Remove { user, conversation, engine }),
    ]
}
