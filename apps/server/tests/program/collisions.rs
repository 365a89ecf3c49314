//! Two programs that want the same data or the same port.

use super::support::{self, Setup};

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path());
    let server = setup.start().await;
    let second = setup.run().await;
    assert_eq!(second.code(), Some(1));
    assert!(
        second
            .stderr
            .contains("in use by another server: stop that one, or set DATABASE_URL"),
        "{}",
        second.stderr
    );
    assert!(
        second.stderr.contains("ruggine.sqlite"),
        "{}",
        second.stderr
    );
    // The first has noticed nothing.
    assert_eq!(server.http().get("/readyz").await.status, 200);
    assert_eq!(server.stop().await.code(), Some(0));
    // A server that is killed leaves no lock behind.
    setup.start().await.kill().await;
    assert_eq!(setup.start().await.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    for (flag, address) in [
        ("--port", server.api()),
        ("--websocket-port", server.websocket()),
    ] {
        let other = support::folder();
        let ended = Setup::in_folder(other.path())
            .flag(flag, address.port())
            .run()
            .await;
        assert_eq!(ended.code(), Some(1), "{flag}");
        let sentence = format!("cannot listen on {address}");
        assert!(ended.stderr.contains(&sentence), "{flag}: {}", ended.stderr);
    }
    let other = support::folder();
    let ended = Setup::in_folder(other.path())
        .flag("--admin-addr", server.admin())
        .run()
        .await;
    assert_eq!(ended.code(), Some(1));
    let sentence = format!("cannot listen on ADMIN_ADDR {}", server.admin());
    assert!(ended.stderr.contains(&sentence), "{}", ended.stderr);
}
