//! A group of 100 connected members, five of whom write.

use ruggine_core::api::conversation::ConversationKind;
use ruggine_server::testing::Person;

use super::pairs::flood;
use super::{Course, Scene};
use crate::device::{Device, register};
use crate::report::Figures;

const MEMBERS: usize = 100;
const SENDERS: usize = 5;
const WINDOW: usize = 4;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<Vec<Figures>> {
    let (sending, receiving) = (Course::default(), Course::default());
    let mut people = Vec::new();
    for member in 0..MEMBERS {
        people.push(register(scene.server, &Scene::name("member", member)).await?);
    }
    let [owner, others @ ..] = people.as_slice() else {
        unreachable!("there are members")
    };
    let others: Vec<&Person> = others.iter().collect();
    let group = scene
        .conversation(ConversationKind::Group, owner, &others)
        .await?;
    let mut listeners = Vec::new();
    let mut senders = Vec::new();
    for (number, person) in people.iter().enumerate() {
        let device = Device::connect(scene.server, person).await?;
        if number < SENDERS {
            senders.push(tokio::spawn(flood(device, group, WINDOW, sending.clone())));
        } else {
            listeners.push(tokio::spawn(listen(device, receiving.clone())));
        }
    }
    let measured = scene.measure(&sending).await?;
    for sender in senders {
        sender.await??;
    }
    for listener in listeners {
        // Nothing more comes that it could wait for.
        listener.abort();
    }
    // Every message goes to every member.
    let deliveries = measured.count * MEMBERS as u64;
    Ok(vec![
        Figures::new("group of 100, 5 senders, window 4", "messages").measured(
            measured.count,
            measured.time,
            measured.cpu,
        ),
        Figures::new("group of 100, per delivery", "deliveries").measured(
            deliveries,
            measured.time,
            measured.cpu,
        ),
    ])
}

async fn listen(mut device: Device, course: Course) -> anyhow::Result<()> {
    while !course.is_over() {
        device.take().await?;
    }
    Ok(())
}
