//! 200 messages a second over 20 pairs: how long one takes when there is room.

use std::sync::Arc;
use std::time::Duration;

use ruggine_core::ConversationId;
use ruggine_core::api::conversation::ConversationKind;
use tokio::time::MissedTickBehavior;

use super::{Course, Scene};
use crate::device::{Device, Sent, register};
use crate::latency::Latencies;
use crate::report::Figures;

const PAIRS: usize = 20;
const EACH: Duration = Duration::from_millis(100);

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<Vec<Figures>> {
    let course = Course::default();
    let sent: Sent = Arc::default();
    let mut running = Vec::new();
    for pair in 0..PAIRS {
        let one = register(scene.server, &Scene::name("slow", pair)).await?;
        let other = register(scene.server, &Scene::name("quiet", pair)).await?;
        let talk = scene
            .conversation(ConversationKind::Direct, &one, &[&other])
            .await?;
        for (person, writes) in [(one, true), (other, false)] {
            let mut device = Device::connect(scene.server, &person).await?;
            device.sent = Some(Arc::clone(&sent));
            let talk = writes.then_some(talk);
            running.push(tokio::spawn(pace(device, talk, course.clone())));
        }
    }
    let measured = scene.measure(&course).await?;
    let (mut acks, mut receipts) = (Latencies::default(), Latencies::default());
    for device in running {
        let device = device.await??;
        acks.append(device.ack_times);
        receipts.append(device.receive_times);
    }
    let figures = Figures::new("paced, 200 a second over 20 pairs", "messages");
    let mut figures = figures.measured(measured.count, measured.time, measured.cpu);
    figures.ack_ms = acks.spread();
    figures.receive_ms = receipts.spread();
    Ok(vec![figures])
}

/// Writes at a steady pace, where there is something to write to, and reads.
async fn pace(
    mut device: Device,
    talk: Option<ConversationId>,
    course: Course,
) -> anyhow::Result<Device> {
    let mut ticks = tokio::time::interval(EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counted = 0;
    while !course.is_over() {
        tokio::select! {
            taken = device.take() => taken?,
            _ = ticks.tick() => {
                if let Some(talk) = talk {
                    device.write(talk).await?;
                    device.flush().await?;
                }
            }
        }
        course.count(device.acked - counted);
        counted = device.acked;
    }
    Ok(device)
}
