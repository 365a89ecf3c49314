use std::io::ErrorKind;

use super::*;
use crate::testing::{eventually, patiently};

/// More than all buffers between two sockets and the proxy take.
const MUCH: usize = 64 * 1024 * 1024;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn start() -> (FaultProxy, TcpListener) {
    let (target, address) = listen().await;
    (FaultProxy::start(address).await, target)
}

async fn accept(target: &TcpListener) -> TcpStream {
    let accepted = patiently("a connection", target.accept()).await;
    accepted.unwrap().0
}

/// Both sides of a connection that has carried something each way.
async fn connect(proxy: &FaultProxy, target: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let server = accept(target).await;
    assert_passes(&client, &server, b"there").await;
    assert_passes(&server, &client, b"back").await;
    (client, server)
}

async fn assert_passes(from: &TcpStream, to: &TcpStream, bytes: &[u8]) {
    let ((), arrived) = tokio::join!(send(from, bytes), receive(to, bytes.len()));
    assert!(arrived == bytes, "what arrived is not what was sent");
}

async fn send(stream: &TcpStream, bytes: &[u8]) {
    let mut sent = 0;
    while sent < bytes.len() {
        let ready = patiently("a socket to take bytes", stream.writable()).await;
        match ready.and_then(|()| stream.try_write(&bytes[sent..])) {
            Ok(len) => sent += len,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

async fn receive(stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let piece = next(stream).await.unwrap();
        assert!(!piece.is_empty(), "the stream ended too early");
        bytes.extend(piece);
    }
    bytes
}

/// The next bytes, none at the end of the stream.
async fn next(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; PIECE];
    loop {
        patiently("bytes or an end", stream.readable()).await?;
        match stream.try_read(&mut piece) {
            Ok(len) => {
                piece.truncate(len);
                return Ok(piece);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn knock(address: SocketAddr) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(address).await?;
    next(&stream).await
}

async fn assert_closed(stream: &TcpStream) {
    assert_eq!(next(stream).await.unwrap(), b"");
}

async fn assert_reset(stream: &TcpStream) {
    let error = next(stream).await.expect_err("the stream is broken");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

fn assert_nothing_came(stream: &TcpStream) {
    let error = stream.try_read(&mut [0_u8; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

async fn assert_all_gone(proxy: &FaultProxy) {
    eventually("no connection to be left", || async {
        proxy.connections() == 0
    })
    .await;
}

#[tokio::test]
async fn bytes_pass_both_ways_unchanged_and_so_does_the_end() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    assert_eq!(proxy.connections(), 1);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    tokio::join!(
        assert_passes(&client, &server, &bytes),
        assert_passes(&server, &client, &bytes),
    );

    send(&client, b"last").await;
    drop(client);
    assert_eq!(receive(&server, 4).await, b"last");
    assert_closed(&server).await;
    drop(server);
    assert_all_gone(&proxy).await;
}

#[tokio::test]
async fn what_was_received_has_been_counted_in_its_direction() {
    let (proxy, target) = start().await;
    let counted = || {
        (
            proxy.bytes(Direction::ToServer),
            proxy.bytes(Direction::ToClient),
        )
    };
    assert_eq!(counted(), (0, 0));
    // Five bytes one way and four the other.
    let (client, server) = connect(&proxy, &target).await;
    assert_eq!(counted(), (5, 4));
    let bytes = vec![1; 3_000_000];
    assert_passes(&server, &client, &bytes).await;
    assert_eq!(counted(), (5, 3_000_004));
    assert_passes(&client, &server, b"more").await;
    assert_eq!(counted(), (9, 3_000_004));

    // Other connections are counted too, and the end of one changes nothing.
    connect(&proxy, &target).await;
    drop((client, server));
    assert_all_gone(&proxy).await;
    assert_eq!(counted(), (14, 3_000_008));
}

#[tokio::test]
async fn a_connection_goes_to_the_target_of_its_time() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    let (other, address) = listen().await;
    proxy.set_target(address);
    let _moved = connect(&proxy, &other).await;
    assert_passes(&client, &server, b"still here").await;
}

#[tokio::test]
async fn a_target_that_is_not_there_resets_the_client() {
    let (proxy, target) = start().await;
    drop(target);
    let error = knock(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_all_gone(&proxy).await;
}

#[tokio::test]
async fn a_cut_ends_both_sides_and_lets_new_connections_in() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.cut();
    assert_closed(&client).await;
    assert_closed(&server).await;
    assert_all_gone(&proxy).await;
    connect(&proxy, &target).await;
}

#[tokio::test]
async fn a_reset_is_seen_as_one_on_both_sides() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.reset();
    assert_reset(&client).await;
    assert_reset(&server).await;
    assert_all_gone(&proxy).await;
    connect(&proxy, &target).await;
}

#[tokio::test]
async fn one_broken_side_breaks_the_other() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_reset(&client).await;
    assert_all_gone(&proxy).await;
}

#[tokio::test]
async fn refusing_meets_new_connections_only() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.refuse(true);
    let error = knock(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_passes(&client, &server, b"still here").await;
    proxy.refuse(false);
    connect(&proxy, &target).await;
}

#[tokio::test]
async fn held_bytes_arrive_after_their_release_and_not_before() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.hold(Direction::ToServer, true);
    send(&client, b"held").await;
    assert_passes(&server, &client, b"the other way is free").await;
    assert_nothing_came(&server);
    proxy.hold(Direction::ToServer, false);
    assert_eq!(receive(&server, 4).await, b"held");
}

#[tokio::test]
async fn a_cut_drops_what_is_held() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.hold(Direction::ToServer, true);
    send(&client, b"held").await;
    assert_passes(&server, &client, b"the other way is free").await;
    proxy.cut();
    assert_closed(&server).await;
    assert_closed(&client).await;
}

#[tokio::test]
async fn a_blackhole_keeps_connections_and_healing_resets_those_that_lost_bytes() {
    let (proxy, target) = start().await;
    let (idle_client, idle_server) = connect(&proxy, &target).await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.blackhole(true);
    // So much can go out only if it vanishes.
    send(&client, &vec![0; MUCH]).await;
    send(&server, &vec![0; MUCH]).await;
    assert_nothing_came(&client);
    assert_nothing_came(&server);

    let late_client = TcpStream::connect(proxy.address()).await.unwrap();
    eventually("the late one to be taken", || async {
        proxy.connections() == 3
    })
    .await;

    proxy.heal();
    assert_reset(&client).await;
    assert_reset(&server).await;
    assert_passes(&idle_client, &idle_server, b"nothing was lost").await;
    let late_server = accept(&target).await;
    assert_passes(&late_client, &late_server, b"nor here").await;
}

#[tokio::test]
async fn bytes_take_as_long_as_the_delay() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    let delay = Duration::from_millis(150);
    proxy.delay(Direction::ToServer, delay);
    let start = Instant::now();
    assert_passes(&client, &server, b"late").await;
    assert!(start.elapsed() >= delay);
}

#[test]
fn each_piece_is_late_by_itself() {
    let lane = Lane {
        delay: Duration::from_secs(1),
        ..Lane::default()
    };
    let first = Instant::now();
    let second = first + Duration::from_millis(1);
    let mut queue = Queue::new(first);
    queue.push(b"one", first);
    queue.push(b"three", second);
    assert_eq!(
        queue.step(&lane, second),
        Step::Wait(Some(first + lane.delay))
    );
    assert_eq!(queue.step(&lane, first + lane.delay), Step::Send(3));
    queue.remove(3, &lane, first + lane.delay);
    assert_eq!(
        queue.step(&lane, first + lane.delay),
        Step::Wait(Some(second + lane.delay))
    );
    assert_eq!(queue.step(&lane, second + lane.delay), Step::Send(5));
    assert_eq!(queue.step(&Lane::default(), second), Step::Send(5));
}

#[tokio::test]
async fn a_throttled_direction_takes_its_time() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    proxy.throttle(Direction::ToClient, Some(20_000));
    let start = Instant::now();
    assert_passes(&server, &client, &[7; 10_000]).await;
    // Half a second, but for one burst and one catching up.
    assert!(start.elapsed() >= Duration::from_millis(450));
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_connections_and_frees_its_port() {
    let (proxy, target) = start().await;
    let (client, server) = connect(&proxy, &target).await;
    let address = proxy.address();
    drop(proxy);
    assert_closed(&client).await;
    assert_closed(&server).await;
    eventually("nobody to listen", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}
