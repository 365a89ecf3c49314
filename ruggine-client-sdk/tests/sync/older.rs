//! Looking back to the rows before those that are kept.

use ruggine_core::Seq;
use ruggine_server::testing::TestServer;

use super::support::device::Device;
use super::support::{assert_whole, quick, rows_told, seq};
use super::{group_with, write_many};

#[tokio::test]
async fn a_new_device_reads_the_recent_rows_and_looks_back_to_the_beginning() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    write_many(&server, &ada, group, 250).await;
    let mut options = quick();
    options.recent = 20;
    let (laptop, _events) = Device::log_in(&server, "bob", options).await;
    laptop.has(group, 251).await;
    let record = laptop.record(group).await;
    assert_eq!((record.floor, record.cursor), (seq(231), seq(251)));
    assert_whole(&laptop.log(group).await, 232, 251);

    let mut looks = 0;
    while laptop
        .at(group)
        .load_older()
        .await
        .expect("a page can be read")
    {
        looks += 1;
        assert!(looks < 10, "looking back does not come to an end");
    }
    assert_eq!(looks, 3, "231 rows are three pages");
    let log = laptop.log(group).await;
    assert_whole(&log, 1, 251);
    assert_eq!(laptop.record(group).await.floor, Seq::ZERO);
    bob.has(group, 251).await;
    assert_eq!(bob.log(group).await, log);
}

#[tokio::test]
async fn rows_looked_back_at_are_not_told_as_new() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = group_with(&bob, &[ada.user()]).await;
    write_many(&server, &ada, group, 30).await;
    let mut options = quick();
    options.recent = 5;
    let (laptop, mut events) = Device::log_in(&server, "bob", options).await;
    laptop.has(group, 31).await;
    assert!(
        laptop
            .at(group)
            .load_older()
            .await
            .expect("a page can be read")
    );
    write_many(&server, &ada, group, 1).await;
    let told = rows_told(&mut events, group, seq(32)).await;
    assert_whole(&told, 27, 32);
}
