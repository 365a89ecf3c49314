//! A log of 5,000 messages, read from its beginning by several devices.

use std::time::Instant;

use ruggine_core::Seq;
use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::api::message::{PageRequest, PageStart};

use super::Scene;
use crate::device::{Device, register};
use crate::report::Figures;

const MESSAGES: u64 = 5_000;
const READERS: usize = 4;
const WINDOW: usize = 30;
/// How often each reads all of it.
const ROUNDS: u64 = 10;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<Vec<Figures>> {
    let writer = register(scene.server, &Scene::name("writer", 0)).await?;
    let talk = scene
        .conversation(ConversationKind::Group, &writer, &[])
        .await?;
    let mut device = Device::connect(scene.server, &writer).await?;
    while device.acked < MESSAGES {
        while device.waiting() < WINDOW {
            device.write(talk).await?;
        }
        device.flush().await?;
        device.take().await?;
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(Device::connect(scene.server, &writer).await?);
    }
    let cpu = scene.observed.cpu()?;
    let start = Instant::now();
    let mut running = Vec::new();
    for mut reader in readers {
        running.push(tokio::spawn(async move {
            let mut rows = 0;
            for _ in 0..ROUNDS {
                rows += read_all(&mut reader, talk).await?;
            }
            anyhow::Ok(rows)
        }));
    }
    let mut rows = 0;
    for reader in running {
        rows += reader.await??;
    }
    let time = start.elapsed();
    let cpu = scene.observed.cpu()?.since(cpu);
    let figures = Figures::new("history, 4 readers of 5,000 messages", "rows");
    Ok(vec![figures.measured(rows, time, cpu)])
}

async fn read_all(reader: &mut Device, talk: ruggine_core::ConversationId) -> anyhow::Result<u64> {
    let mut after = Seq::ZERO;
    let mut rows = 0;
    loop {
        let request = PageRequest {
            conversation: talk,
            from: PageStart::After(after),
            limit: None,
            as_content: false,
        };
        let page = reader.ask(&request).await?;
        if page.items.is_empty() {
            return Ok(rows);
        }
        rows += page.items.len() as u64;
        after = page.to;
    }
}
