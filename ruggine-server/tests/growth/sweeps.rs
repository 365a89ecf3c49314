//! The comparisons of an instance with its store, in the number of
//! conversations that it follows.

use ruggine_core::codec::Encoding;
use ruggine_server::testing::{StatementCounter, patiently};
use sqlx::{Connection, Executor};

use super::cost::{Cost, WARM_UP};
use super::flat::{assert_flat, assert_flat_for_each};
use super::people::give_conversations;
use super::scene::Scene;

/// Part of the statement that reads where conversations stand.
const HEADS: &str = "last_seq, roster_version FROM conversations";
/// Part of the last statement of a sweep.
const LAST: &str = "FROM users u WHERE u.user_id = ANY($1)";

/// Waits until so many sweeps have ended.
async fn swept(statements: &mut StatementCounter, sweeps: u64) {
    patiently("a sweep", async {
        while statements.read_of(LAST).await.calls < sweeps {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_sweep_asks_once_for_a_thousand_followed_conversations() {
    const SIZES: [u64; 3] = [1_000, 2_000, 4_000];
    const SWEEPS: u64 = 4;
    let scene = Scene::alone().await;
    let mut meter = scene.meter().await;
    let mut statements = scene.database.statements().await;
    let ada = scene.server().register("ada").await;
    let mut costs = [Cost::default(); 3];
    let mut had = 0;
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        give_conversations(&scene.database, &ada, size - had).await;
        had = size;
        meter.refresh().await;
        let before = statements.read_of(HEADS).await.calls;
        let socket = scene.server().socket(&ada, Encoding::MsgPack).await;
        // Conversations that are followed from now on are compared once.
        patiently("the first comparison", async {
            while statements.read_of(HEADS).await.calls < before + size / 1_000 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let asked = statements.read_of(HEADS).await.calls;
        let sweep = async || {
            let before = statements.read_of(LAST).await.calls;
            scene.buses[0].change_state();
            swept(&mut statements, before + 1).await;
        };
        *cost = meter.measure(SWEEPS, sweep).await;
        let asked = statements.read_of(HEADS).await.calls - asked;
        let expected = (WARM_UP + SWEEPS) * size / 1_000;
        assert_eq!(asked, expected, "with {size} conversations");
        assert_eq!(cost.published, 0, "there is nothing to tell others");
        socket.close().await;
    }
    // Besides, it asks which sessions are over and who sits in how many.
    let mut others = costs.map(|cost| cost.statements.calls);
    for (others, size) in others.iter_mut().zip(SIZES) {
        *others -= SWEEPS * size / 1_000;
    }
    assert_flat("other statements of 4 sweeps", others);
    let rows = costs.map(|cost| cost.statements.rows);
    assert_flat_for_each("conversation", "rows of 4 sweeps", rows, SIZES);
    scene.end().await;
}

/// Otherwise what was committed between the comparison and the change would
/// have to wait for the next of the clock.
#[tokio::test]
async fn a_bus_that_comes_back_during_a_sweep_leads_to_another() {
    const WAITING: &str = "SELECT /* pg_stat_statements */ count(*) FROM pg_locks
         WHERE NOT granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let scene = Scene::alone().await;
    let ada = scene.server().register("ada").await;
    scene.server().group(&ada, &[]).await;
    let socket = scene.server().socket(&ada, Encoding::MsgPack).await;
    let mut statements = scene.database.statements().await;
    let before = statements.read_of(LAST).await.calls;

    let mut other = scene.database.connect().await;
    let mut holding = other.begin().await.expect("the database answers");
    holding
        .execute("LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("nobody else holds it");
    scene.buses[0].change_state();
    let mut beside = scene.database.connect().await;
    patiently("a sweep to be in the middle", async {
        let mut waiting: i64 = 0;
        while waiting == 0 {
            waiting = sqlx::query_scalar(WAITING)
                .fetch_one(&mut beside)
                .await
                .expect("the database answers");
        }
    })
    .await;
    scene.buses[0].change_state();
    holding.rollback().await.expect("the database answers");
    swept(&mut statements, before + 2).await;
    socket.close().await;
    scene.end().await;
}
