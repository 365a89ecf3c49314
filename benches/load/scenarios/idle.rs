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
    // What hashing the passwords needed is used again: the first connections
    // seem to cost nothing, and only the whole does not flatter.
    let mut before = (0, scene.observed.memory()?);
    for step in STEPS {
        let start = Instant::now();
        while open.len() < step {
            let person = &people[open.len() / OF_ONE];
            open.push(Device::connect(scene.server, person).await?);
        }
        let time = start.elapsed().max(Duration::from_millis(1));
        let mut figure = Figures::new(format!("{step} idle connections"), "connections");
        figure = figure.measured(step as u64, time, Cpu::default());
        let now = scene.observed.memory()?;
        if let ((count, Some(before)), Some(now)) = (before, now) {
            let more = (step - count) as f64;
            figure.kib_each = Some(now.saturating_sub(before) as f64 / 1_024.0 / more);
            figure.kib_of_the_whole_each = Some(now as f64 / 1_024.0 / step as f64);
        }
        before = (step, now);
        figures.push(figure);
    }
    Ok(figures)
}
