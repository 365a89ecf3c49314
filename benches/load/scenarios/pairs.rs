//! 50 pairs of devices that write to each other as fast as they are answered.

use ruggine_core::ConversationId;
use ruggine_core::api::conversation::ConversationKind;

use super::{Course, Scene};
use crate::device::{Device, register};
use crate::report::Figures;

const PAIRS: usize = 50;
const WINDOW: usize = 8;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<Vec<Figures>> {
    let course = Course::default();
    let mut running = Vec::new();
    for pair in 0..PAIRS {
        let one = register(scene.server, &Scene::name("one", pair)).await?;
        let other = register(scene.server, &Scene::name("other", pair)).await?;
        let talk = scene
            .conversation(ConversationKind::Direct, &one, &[&other])
            .await?;
        for person in [one, other] {
            let device = Device::connect(scene.server, &person).await?;
            running.push(tokio::spawn(flood(device, talk, WINDOW, course.clone())));
        }
    }
    let measured = scene.measure(&course).await?;
    for device in running {
        device.await??;
    }
    let figures = Figures::new("pairs, window 8, 256 bytes", "messages");
    Ok(vec![figures.measured(
        measured.count,
        measured.time,
        measured.cpu,
    )])
}

/// Keeps a window of messages on their way until the course is over; counts
/// those that are acknowledged.
pub(super) async fn flood(
    mut device: Device,
    talk: ConversationId,
    window: usize,
    course: Course,
) -> anyhow::Result<()> {
    let mut counted = 0;
    while !course.is_over() {
        while device.waiting() < window {
            device.write(talk).await?;
        }
        device.flush().await?;
        device.take().await?;
        course.count(device.acked - counted);
        counted = device.acked;
    }
    Ok(())
}
