//! How often a device may send, report and ask.

use std::time::Duration;

use ruggine_core::api::identity;
use ruggine_core::api::key_package::{self, Claim};
use ruggine_core::api::presence::SetTyping;
use ruggine_core::api::session::Refresh;
use ruggine_core::codec::Encoding;
use ruggine_core::{Blob, ErrorCode};
use ruggine_server::testing::{SocketClient, text_message};

use super::support::{exhaust, group_of, head, limited, look_up, wait_of};

#[tokio::test]
async fn a_device_sends_its_burst_and_then_at_its_rate() {
    let second = Duration::from_secs(1);
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 3;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let (sent, refused) = exhaust(3, second, || http.call(text_message(group, "again"))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, second);
    assert_eq!(
        head(&http, group).await,
        u64::from(1 + sent),
        "a refused message is not stored"
    );

    // A rate is a device's and concerns messages alone.
    server
        .http_of(&phone)
        .call(text_message(group, "from the phone"))
        .await
        .unwrap();
    http.call(look_up("ada")).await.unwrap();
    let mut socket = server.socket(&ada, Encoding::MsgPack).await;
    let over_socket = socket.call(text_message(group, "by another way")).await;
    if let Err(error) = over_socket {
        wait_of(&error, ErrorCode::RateLimited, second);
    }

    tokio::time::sleep(wait).await;
    let (_, refused) = exhaust(1, second, || http.call(text_message(group, "later"))).await;
    let bytes = Encoding::Json
        .encode(&text_message(group, "once more"))
        .unwrap();
    tokio::time::sleep(wait_of(&refused, ErrorCode::RateLimited, second)).await;
    let (mut answer, mut limited_answer) = (http.post("/v1/message.send", &bytes).await, None);
    assert_eq!(
        answer.status, 200,
        "who waits as long as told is not refused again"
    );
    while limited_answer.is_none() {
        let bytes = Encoding::Json
            .encode(&text_message(group, "too soon"))
            .unwrap();
        answer = http.post("/v1/message.send", &bytes).await;
        limited_answer = (answer.status != 200).then_some(());
    }
    assert_eq!(answer.status, 429);
    assert_eq!(
        answer.header("retry-after"),
        Some("1"),
        "whole seconds, rounded up"
    );
}

#[tokio::test]
async fn a_repeated_message_counts_and_is_still_acknowledged_in_the_end() {
    let second = Duration::from_secs(1);
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 2;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let message = text_message(group, "once");
    let first = http.call(message.clone()).await.unwrap();
    let (_, refused) = exhaust(1, second, || http.call(message.clone())).await;
    tokio::time::sleep(wait_of(&refused, ErrorCode::RateLimited, second)).await;
    assert_eq!(http.call(message).await.unwrap(), first);
    assert_eq!(head(&http, group).await, 2);
}

#[tokio::test]
async fn typing_is_reported_twice_at_once_and_then_once_an_interval() {
    let interval = Duration::from_secs(1);
    let server = limited(|limits| limits.typing_interval = interval)
        .start()
        .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let (one, other) = (server.group(&ada, &[]).await, server.group(&ada, &[]).await);
    let http = server.http_of(&ada);
    let typing = |conversation| SetTyping {
        conversation,
        active: true,
    };
    let (_, refused) = exhaust(2, interval, || http.call(typing(one))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, interval);
    http.call(typing(other)).await.unwrap();
    server.http_of(&phone).call(typing(one)).await.unwrap();
    http.call(text_message(one, "typed")).await.unwrap();
    tokio::time::sleep(wait).await;
    http.call(typing(one)).await.unwrap();
}

#[tokio::test]
async fn a_device_asks_its_burst_and_then_at_its_rate() {
    let second = Duration::from_secs(1);
    // The burst is four seconds' worth.
    let server = limited(|limits| limits.requests_per_second = 1)
        .start()
        .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let http = server.http_of(&ada);
    let group = http.call(group_of(Vec::new())).await.unwrap().id;
    let (_, refused) = exhaust(3, second, || http.call(look_up("ada"))).await;
    let wait = wait_of(&refused, ErrorCode::RateLimited, second);
    let create = http.call(group_of(Vec::new())).await;
    if let Err(error) = create {
        wait_of(&error, ErrorCode::RateLimited, second);
    }
    // Messages, other devices and what is public have rates of their own.
    http.call(text_message(group, "a message")).await.unwrap();
    server.http_of(&phone).call(look_up("ada")).await.unwrap();
    let tokens = Refresh {
        refresh: ada.login.tokens.refresh.clone(),
    };
    server.http().call(tokens).await.unwrap();
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    socket.hello(ada.token()).await.unwrap();
    tokio::time::sleep(wait).await;
    http.call(look_up("ada")).await.unwrap();
}

#[tokio::test]
async fn one_user_claims_key_packages_of_another_so_often_and_no_more() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    for (per_hour, per_day, period) in [(2, 9, minutes(30)), (9, 2, minutes(12 * 60))] {
        let server = limited(|limits| {
            limits.claims_per_hour = per_hour;
            limits.claims_per_day = per_day;
        })
        .start()
        .await;
        let ada = server.register("ada").await;
        let phone = server.another_device(&ada).await;
        let bob = server.register("bob").await;
        let of = |user| Claim { user, suite: 1 };
        let http = server.http_of(&ada);
        let (_, refused) = exhaust(2, period, || http.call(of(bob.user()))).await;
        wait_of(&refused, ErrorCode::RateLimited, period);
        // It is a matter of the two users, whatever the device.
        let phone = server.http_of(&phone);
        let refused = phone.call(of(bob.user())).await.unwrap_err();
        wait_of(&refused, ErrorCode::RateLimited, period);
        phone.call(of(ada.user())).await.unwrap();
        server.http_of(&bob).call(of(ada.user())).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_publishes_lists_and_key_packages_so_often_and_no_more() {
    let period = Duration::from_secs(30 * 60);
    let server = limited(|limits| {
        limits.lists_per_hour = 2;
        limits.packages_per_hour = 2;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let phone = server.another_device(&ada).await;
    let bob = server.register("bob").await;
    let list = || identity::Publish {
        list: Blob::default(),
    };
    let packages = || key_package::Publish {
        packages: Vec::new(),
        last_resort: None,
    };
    // What is not valid counts as well: it has to be read to be found so.
    let (http, phone) = (server.http_of(&ada), server.http_of(&phone));
    for _ in 0..2 {
        let refused = http.call(list()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidIdentity);
        let refused = http.call(packages()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidKeyPackage);
    }
    for http in [&http, &phone] {
        let refused = http.call(list()).await.unwrap_err();
        wait_of(&refused, ErrorCode::RateLimited, period);
        let refused = http.call(packages()).await.unwrap_err();
        wait_of(&refused, ErrorCode::RateLimited, period);
    }
    let others = server.http_of(&bob).call(list()).await.unwrap_err();
    assert_eq!(others.code, ErrorCode::InvalidIdentity);
}
