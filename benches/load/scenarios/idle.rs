//! Connections that say nothing.

use std::time::{Duration, Instant};

use super::Scene;
use crate::device::{Device, register};
use crate::machine::Cpu;
use crate::report::Figures;

const STEPS: [usize; 2] = [1_000, 5_000];
/// Connections of one user.
const OF_ONE: usize = 100;

pub(crate) async fn run(scene: &Scene) -> anyhow::Result<Vec<Figures>> {
    let mut open = Vec::new();
    let mut people = Vec::new();
    let mut figures = Vec::new();
    for user in 0..STEPS[STEPS.len() - 1] / OF_ONE {
        people.push(register(scene.server, &Scene::name("idle", user)).await?);
    }
    let before = scene.observed.memory()?;
    for step in STEPS {
        let start = Instant::now();
        while open.len() < step {
            let person = &people[open.len() / OF_ONE];
            open.push(Device::connect(scene.server, person).await?);
        }
        let time = start.elapsed().max(Duration::from_millis(1));
        let mut figure = Figures::new(format!("{step} idle connections"), "connections");
        figure = figure.measured(step as u64, time, Cpu::default());
        if let (Some(before), Some(now)) = (before, scene.observed.memory()?) {
            figure.kib_each = Some(now.saturating_sub(before) as f64 / 1_024.0 / step as f64);
        }
        figures.push(figure);
    }
    Ok(figures)
}
