//! Whatever is written is read as the same value, and what a peer adds, leaves
//! out or reorders within the rules does no harm.

mod back;
mod keys;
mod newer;
mod order;
mod panics;
mod survival;
mod values;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use ruggine_core::codec::Encoding;

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}
