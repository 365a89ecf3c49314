//! Engines without a transport, and several in one process.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::session::List;
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::time::SystemClock;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ErrorCode, Seq};
use ruggine_server::bus::LocalBus;
use ruggine_server::engine::{Caller, Engine, EngineParts, Outgoing, Readiness};
use ruggine_server::metrics::{Measurement, Metrics, NoMetrics, PrometheusMetrics};
use ruggine_server::testing::{Person, TestServer, open_sqlite, patiently, text_message, words_of};
use serde_json::Value;

use super::support::{group_of, quick};

#[tokio::test]
async fn an_engine_serves_without_any_transport() {
    let folder = tempfile::tempdir().unwrap();
    let parts = EngineParts {
        config: quick(),
        store: open_sqlite(folder.path()).await,
        bus: Arc::new(LocalBus::new()),
        keys: None,
        authenticator: None,
        hooks: None,
        clock: Arc::new(SystemClock),
        metrics: Arc::new(NoMetrics),
    };
    let engine = Engine::start(parts).await.unwrap();
    let stranger = Caller::anonymous(Ipv4Addr::LOCALHOST.into());
    let ada = engine
        .call(&stranger, Person::registration("ada"))
        .await
        .unwrap();
    let refused = engine.call(&stranger, group_of(&[])).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unauthenticated);

    let token = ada.tokens.access.clone();
    let caller = Caller {
        principal: Some(engine.authenticate(token.clone()).await.unwrap()),
        ..stranger
    };
    let group = engine.call(&caller, group_of(&[])).await.unwrap().id;
    let hello = Hello {
        token,
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    };
    let (open, heads) = engine
        .open_socket(&stranger, hello, Encoding::Json)
        .await
        .unwrap();
    assert_eq!(heads.conversations[0].id, group);
    let first = engine.submit(&caller, text_message(group, "one")).unwrap();
    let second = engine.submit(&caller, text_message(group, "two")).unwrap();
    let second = engine.acknowledge(second).await.unwrap();
    let first = engine.acknowledge(first).await.unwrap();
    assert_eq!((first.seq, second.seq), (Seq::new(2), Seq::new(3)));
    for number in 2..=3 {
        let Outgoing::Frame(frame, _) = patiently("a frame", open.socket().next()).await else {
            panic!("the connection is not closed")
        };
        let frame: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["event"], "message");
        assert_eq!(frame["data"]["item"]["row"]["seq"], number);
    }
    let page = PageRequest {
        conversation: group,
        from: PageStart::Newest,
        limit: Some(1),
        as_content: false,
    };
    let page = engine.call(&caller, page).await.unwrap();
    assert_eq!(words_of(&page.items[0]).as_deref(), Some("two"));
    assert_eq!(engine.live_sockets(), 1);
    drop(open);
    assert_eq!(engine.live_sockets(), 0);
    assert_eq!(engine.ready().await.unwrap(), Readiness::Ready);
    engine.shut_down().await;
    assert_eq!(engine.ready().await.unwrap(), Readiness::Stopping);
    let refused = engine
        .call(&caller, text_message(group, "too late"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unavailable);
}

#[derive(Debug, Default)]
struct Committed(AtomicU64);

impl Metrics for Committed {
    fn record(&self, measurement: Measurement) {
        if let Measurement::MessagesCommitted(count) = measurement {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn two_engines_in_one_process_share_neither_figures_nor_people() {
    let counts = [
        Arc::new(Committed::default()),
        Arc::new(Committed::default()),
    ];
    let figures = Arc::new(PrometheusMetrics::new().unwrap());
    let one = TestServer::options()
        .metrics(counts[0].clone())
        .start()
        .await;
    let other = TestServer::options()
        .metrics(counts[1].clone())
        .start()
        .await;
    let third = TestServer::options().metrics(figures.clone()).start().await;
    let fourth = TestServer::options()
        .metrics(Arc::new(PrometheusMetrics::new().unwrap()))
        .start()
        .await;
    for (server, messages) in [(&one, 3), (&other, 5), (&third, 2), (&fourth, 1)] {
        let ada = server.register("ada").await;
        let group = server.group(&ada, &[]).await;
        for _ in 0..messages {
            server
                .http_of(&ada)
                .call(text_message(group, "ciao"))
                .await
                .unwrap();
        }
    }
    assert_eq!(counts[0].0.load(Ordering::Relaxed), 3);
    assert_eq!(counts[1].0.load(Ordering::Relaxed), 5);
    let text = figures.render();
    assert!(text.contains("message_count 2"), "{text}");
    assert!(text.contains("active_connections 0"), "{text}");
    let ada = other.register("bob").await;
    let refused = one.http_of(&ada).call(List {}).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
    assert_ne!(one.engine().incarnation(), other.engine().incarnation());
}
