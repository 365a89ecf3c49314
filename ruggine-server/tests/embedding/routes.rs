//! The server's routes inside another application.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use ruggine_core::ErrorCode;
use ruggine_core::api::conversation::Get;
use ruggine_core::codec::Encoding;
use ruggine_server::key_source::KeyFile;
use ruggine_server::testing::{HttpClient, Person, SocketClient, open_sqlite, text_message};
use ruggine_server::{Drain, Mounted, Server};
use tokio::net::TcpListener;

use super::hooks::{Watched, Watching};
use super::support::{group_of, quick};

async fn mount(folder: &Path) -> Mounted {
    Server::builder()
        .store(open_sqlite(folder).await)
        .keys(KeyFile::new(folder.join("master.key")))
        .config(quick())
        .mount()
        .await
        .expect("the engine starts")
}

/// Serves an application as its own program would.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

#[tokio::test]
async fn the_routes_work_beside_those_of_another_application() {
    let folder = tempfile::tempdir().unwrap();
    let chat = mount(folder.path()).await;
    let app = Router::new()
        .route("/", get(|| async { "my service" }))
        .merge(chat.router());
    let address = serve(app).await;
    let http = HttpClient::new(address);
    assert_eq!(&http.get("/").await.body[..], b"my service");
    assert_eq!(http.get("/readyz").await.status, 200);

    let ada = Person {
        login: http.call(Person::registration("ada")).await.unwrap(),
    };
    let http = http.with_token(ada.token());
    let group = http.call(group_of(&[])).await.unwrap().id;
    let mut sockets = Vec::new();
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let mut socket = SocketClient::connect(address, encoding).await;
        socket.hello(ada.token()).await.unwrap();
        sockets.push(socket);
    }
    let ack = http
        .call(text_message(group, "through axum::serve"))
        .await
        .unwrap();
    for socket in &mut sockets {
        assert_eq!(socket.next_row().await.1.seq, ack.seq);
    }

    chat.shut_down(Drain::default()).await;
    for socket in &mut sockets {
        assert_eq!(socket.ending().await.code, Some(4009));
    }
    assert_eq!(
        &http.get("/").await.body[..],
        b"my service",
        "the application goes on"
    );
    assert_eq!(http.get("/readyz").await.status, 503);
    let refused = http
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn the_routes_work_below_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let chat = mount(folder.path()).await;
    let app = Router::new().nest("/chat", chat.router());
    let http = HttpClient::new(serve(app).await).with_prefix("/chat");
    assert_eq!(http.get("/healthz").await.status, 200);
    http.call(Person::registration("ada")).await.unwrap();
    let answer = http.post("/v1/no.such", b"{}").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error(Encoding::Json).code, ErrorCode::UnknownMethod);
    chat.shut_down(Drain::default()).await;
}

#[tokio::test]
async fn rates_count_the_peers_address_that_the_application_hands_on() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(Watching::default());
    let chat = Server::builder()
        .store(open_sqlite(folder.path()).await)
        .keys(KeyFile::new(folder.path().join("master.key")))
        .hooks(Watched(seen.clone()))
        .mount()
        .await
        .unwrap();
    let http = HttpClient::new(serve(chat.router()).await);
    http.call(Person::registration("ada")).await.unwrap();
    let addresses: HashSet<IpAddr> = seen.attempts.lock().iter().map(|a| a.address).collect();
    assert_eq!(addresses, HashSet::from([Ipv4Addr::LOCALHOST.into()]));
    chat.shut_down(Drain::default()).await;
}
