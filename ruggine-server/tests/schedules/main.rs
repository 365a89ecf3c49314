//! The delivery contract under random schedules: two engines over one store,
//! a bus that loses, doubles and reorders a third of its hints, and devices
//! that come, go, write, write again and are added and removed. At the end
//! everybody resumes, and the judge of histories must find no promise broken.
//!
//! `PROPTEST_CASES` sets how many schedules are tried.
#![cfg(all(feature = "http", feature = "sqlite"))]

mod devices;
mod steps;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestCaseError};

use steps::{DEVICES, Step, step};
use world::World;

const CASES: u32 = 12;
const STEPS: usize = 150;

async fn run(steps: Vec<Step>, seed: u64) -> Result<(), TestCaseError> {
    let mut world = World::new(seed).await;
    for device in 0..DEVICES {
        world.connect(device, device % 2).await;
    }
    for step in steps {
        world.take(step).await;
    }
    world.settle().await;
    let summary = world.judge()?;
    prop_assert!(summary.acked > 0 && summary.read > summary.acked);
    for server in &mut world.servers {
        server.stop().await;
    }
    world.store.close_for_all().await;
    Ok(())
}

fn config() -> ProptestConfig {
    let mut config = ProptestConfig {
        max_shrink_iters: 30,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_schedule_keeps_every_promise(
        steps in prop::collection::vec(step(), STEPS),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(run(steps, seed))?;
    }
}
