//! One user who is in more and more conversations.

use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::version::ProtocolVersion;
use ruggine_server::testing::SocketClient;

use super::cost::Cost;
use super::flat::{assert_flat, assert_flat_for_each};
use super::people::give_conversations;
use super::scene::Scene;

/// Each conversation has a seat to be taken and a head to be compared with what
/// the device has, so this is what the database has to read. What is told, and
/// how often it is asked, does not follow their number.
#[tokio::test]
async fn a_hello_tells_what_has_changed_and_reads_the_same_for_each_conversation() {
    const SIZES: [u64; 3] = [500, 1_000, 2_000];
    let scene = Scene::alone().await;
    let mut meter = scene.meter().await;
    let ada = scene.server().register("ada").await;
    let phone = scene.server().another_device(&ada).await;
    let changed = scene.server().group(&ada, &[]).await;
    let hello = Hello {
        token: ada.token().clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: Some(scene.server().engine().incarnation()),
    };
    let mut costs = [Cost::default(); 3];
    let mut had = 1;
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        give_conversations(&scene.database, &ada, size - had).await;
        had = size;
        meter.refresh().await;
        // She stays connected, so that no topic is followed and given up again.
        let stays = scene.server().socket(&phone, Encoding::MsgPack).await;
        let address = meter.address();
        let say_hello = async || {
            let mut socket = SocketClient::connect(address, Encoding::MsgPack).await;
            let heads = socket
                .call(hello.clone())
                .await
                .expect("the token is valid");
            assert_eq!(heads.conversations.len(), 1);
            assert_eq!(heads.conversations[0].id, changed);
            assert_eq!(heads.next, None);
            socket.close().await;
        };
        *cost = meter.measure(4, say_hello).await;
        stays.close().await;
    }
    let what = "of 4 hellos in more conversations";
    let statements = costs.map(|cost| cost.statements.calls);
    assert_flat(&format!("statements {what}"), statements);
    assert_flat(&format!("bytes sent {what}"), costs.map(|cost| cost.sent));
    let received = costs.map(|cost| cost.received);
    assert_flat(&format!("bytes received {what}"), received);
    assert_flat(&format!("notices {what}"), costs.map(|cost| cost.published));
    let rows = costs.map(|cost| cost.statements.rows);
    assert_flat_for_each("conversation", "rows of 4 hellos", rows, SIZES);
    let blocks = costs.map(|cost| cost.statements.blocks);
    assert_flat_for_each("conversation", "pages of 4 hellos", blocks, SIZES);
    scene.end().await;
}
