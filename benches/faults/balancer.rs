//! A load balancer: one address, and behind it whichever servers say that they
//! are ready.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How often each server is asked whether it is ready.
const PROBE: Duration = Duration::from_millis(100);
/// How long it may take to answer, and to take a connection.
const ANSWER: Duration = Duration::from_millis(500);

/// Passes connections on to servers in turn.
#[derive(Debug)]
pub(crate) struct Balancer {
    address: SocketAddr,
    backends: Backends,
    tasks: [JoinHandle<()>; 2],
}

type Backends = Arc<Mutex<Vec<Backend>>>;

#[derive(Debug, Clone, Copy)]
struct Backend {
    address: SocketAddr,
    ready: bool,
}

impl Balancer {
    pub(crate) async fn start(addresses: &[SocketAddr]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let backends: Vec<Backend> = addresses
            .iter()
            .map(|address| Backend {
                address: *address,
                ready: true,
            })
            .collect();
        let backends = Arc::new(Mutex::new(backends));
        Ok(Self {
            address: listener.local_addr()?,
            tasks: [
                tokio::spawn(take(listener, Arc::clone(&backends))),
                tokio::spawn(probe(Arc::clone(&backends))),
            ],
            backends,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A server has moved; it is used once it says that it is ready.
    pub(crate) fn replace(&self, index: usize, address: SocketAddr) {
        let fresh = Backend {
            address,
            ready: false,
        };
        if let Some(backend) = self.backends.lock().get_mut(index) {
            *backend = fresh;
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn take(listener: TcpListener, backends: Backends) {
    let turn = Arc::<AtomicUsize>::default();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(PROBE).await;
            continue;
        };
        let (backends, turn) = (Arc::clone(&backends), Arc::clone(&turn));
        tokio::spawn(async move {
            if let Some(server) = connect(&backends, &turn).await {
                let _ = pass(client, server).await;
            }
        });
    }
}

/// The next server that takes the connection, if any does.
async fn connect(backends: &Backends, turn: &AtomicUsize) -> Option<TcpStream> {
    let known = backends.lock().clone();
    let first = turn.fetch_add(1, Ordering::Relaxed);
    let in_turn = known.iter().cycle().skip(first % known.len());
    for backend in in_turn.take(known.len()).filter(|backend| backend.ready) {
        if let Ok(Ok(server)) = timeout(ANSWER, TcpStream::connect(backend.address)).await {
            return Some(server);
        }
    }
    None
}

async fn pass(mut client: TcpStream, mut server: TcpStream) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn probe(backends: Backends) {
    loop {
        let known = backends.lock().clone();
        let answers = known.iter().map(|backend| is_ready(backend.address));
        let answers = futures_util::future::join_all(answers).await;
        for (asked, ready) in known.iter().zip(answers) {
            let mut backends = backends.lock();
            let same = backends
                .iter_mut()
                .find(|backend| backend.address == asked.address);
            if let Some(backend) = same {
                backend.ready = ready;
            }
        }
        sleep(PROBE).await;
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
            .await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        Ok::<_, std::io::Error>(status == *b"HTTP/1.1 200")
    };
    matches!(timeout(ANSWER, ask).await, Ok(Ok(true)))
}
