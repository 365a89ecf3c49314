//! The conformance suites on what this crate brings along.
#![cfg(feature = "sqlite")]

use std::sync::Arc;

use ruggine_server::bus::conformance::Ends;
use ruggine_server::bus::{DynBus, LocalBus};
use ruggine_server::store::Store;
use ruggine_server::store::sqlite::SqliteStore;
#[cfg(feature = "postgres")]
use ruggine_server::testing::TestDatabase;
#[cfg(feature = "redis")]
use ruggine_server::{
    bus::redis::{RedisBus, RedisOptions},
    testing::{redis_cluster_options, redis_options, redis_prefix},
};
use tempfile::TempDir;

async fn sqlite() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = SqliteStore::open(folder.path().join("ruggine.db"))
        .await
        .expect("a new database opens");
    (Arc::new(store), folder)
}

#[cfg(feature = "postgres")]
async fn postgres() -> (Arc<dyn Store>, TestDatabase) {
    let database = TestDatabase::create().await;
    (database.open().await, database)
}

async fn local() -> (Ends, ()) {
    let bus: Arc<dyn DynBus> = Arc::new(LocalBus::new());
    ([Arc::clone(&bus), Arc::clone(&bus), bus], ())
}

mod store_on_sqlite {
    ruggine_server::store_conformance!(super::sqlite);
}

#[cfg(feature = "postgres")]
mod store_on_postgres {
    ruggine_server::store_conformance!(super::postgres);
}

/// Three connections to one server, as three processes have them.
#[cfg(feature = "redis")]
async fn ends_of(options: RedisOptions) -> (Ends, ()) {
    let options = options.prefix(redis_prefix());
    let end = async || {
        let bus = RedisBus::connect(options.clone()).await;
        let bus: Arc<dyn DynBus> = Arc::new(bus.expect("the server runs"));
        bus
    };
    ([end().await, end().await, end().await], ())
}

#[cfg(feature = "redis")]
async fn redis() -> (Ends, ()) {
    ends_of(redis_options()).await
}

#[cfg(feature = "redis")]
async fn redis_cluster() -> (Ends, ()) {
    ends_of(redis_cluster_options()).await
}

#[cfg(feature = "redis")]
mod bus_over_redis {
    ruggine_server::bus_conformance!(super::redis);
}

#[cfg(feature = "redis")]
mod bus_over_a_redis_cluster {
    ruggine_server::bus_conformance!(super::redis_cluster);
}

mod bus_in_one_process {
    ruggine_server::bus_conformance!(super::local);
}

mod the_suites {
    const STORE: &str = include_str!("../src/store/mod.rs");
    const STORE_LIST: &str = include_str!("../src/store/conformance/mod.rs");
    const STORE_CASES: [&str; 14] = [
        include_str!("../src/store/conformance/accounts.rs"),
        include_str!("../src/store/conformance/sessions.rs"),
        include_str!("../src/store/conformance/creation.rs"),
        include_str!("../src/store/conformance/conversations.rs"),
        include_str!("../src/store/conformance/rosters.rs"),
        include_str!("../src/store/conformance/messages.rs"),
        include_str!("../src/store/conformance/write_counters.rs"),
        include_str!("../src/store/conformance/races.rs"),
        include_str!("../src/store/conformance/announcing.rs"),
        include_str!("../src/store/conformance/pages.rs"),
        include_str!("../src/store/conformance/positions.rs"),
        include_str!("../src/store/conformance/identities.rs"),
        include_str!("../src/store/conformance/key_packages.rs"),
        include_str!("../src/store/conformance/maintenance.rs"),
    ];
    const BUS: &str = include_str!("../src/bus/mod.rs");
    const BUS_CASES: &str = include_str!("../src/bus/conformance.rs");

    fn names<'a>(source: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        source
            .lines()
            .filter_map(move |line| line.trim_start().strip_prefix(before))
            .filter_map(|line| line.split('(').next())
    }

    #[test]
    fn run_every_case_that_they_have() {
        let lists = STORE_CASES
            .map(|cases| (cases, STORE_LIST))
            .into_iter()
            .chain([(BUS_CASES, BUS_CASES)]);
        let mut count = 0;
        for (cases, list) in lists {
            for case in names(cases, "pub async fn ") {
                let listed = list.lines().any(|line| {
                    let line = line.trim();
                    line.strip_suffix([',', ';']).unwrap_or(line) == case
                });
                assert!(listed, "{case} is not in its macro's list");
                count += 1;
            }
        }
        assert!(count > 100, "{count} cases were found");
    }

    #[test]
    fn have_a_case_for_every_method() {
        let store = STORE_CASES.concat();
        for (seam, cases) in [(STORE, store.as_str()), (BUS, BUS_CASES)] {
            let methods: Vec<&str> = names(seam, "async fn ").collect();
            assert!(!methods.is_empty());
            for method in methods {
                let called = cases.contains(&format!(".{method}("));
                assert!(called, "no case calls {method}");
            }
        }
    }
}
