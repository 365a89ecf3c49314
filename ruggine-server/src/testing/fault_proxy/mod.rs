//! A TCP proxy that does harm on demand, and counts.
//!
//! It knows bytes and connections only, nothing of what they carry. Each
//! direction of a connection is one task with one bounded queue, which looks at
//! its orders again whenever they change; nothing here polls.

mod queue;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use queue::{Queue, Step};

/// How many bytes one read takes at most.
const PIECE: usize = 16 * 1024;
/// How many reads of unwanted bytes an orderly end makes at most.
const LAST_READS: usize = 1024;
/// How long taking connections pauses when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A proxy in front of a server, on a port of its own of the loopback. It
/// passes everything on unchanged until it is told to do harm.
///
/// What it is told holds at once, for connections that live and those to come.
/// Each harm is independent of the others, and [`heal`](Self::heal) ends them all.
///
/// The end of a stream passes like a byte: it can be delayed, held and lost. A
/// side that breaks its connection, or a target that takes none, leads to a
/// reset of the other side, and whatever waited in between is lost.
///
/// Dropping it ends every connection as a [`cut`](Self::cut) does, and frees the port.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    counts: Arc<Counts>,
}

/// One of the two ways bytes go through a [`FaultProxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the proxy to its target.
    ToServer,
    /// From the target to whoever connected to the proxy.
    ToClient,
}

impl FaultProxy {
    /// Starts a plain proxy. It connects to the target once for each of its own
    /// connections, so the target need not listen yet.
    ///
    /// # Panics
    /// When it cannot listen on the loopback.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("the loopback has a free port");
        let address = listener.local_addr().expect("a listener knows its address");
        let (orders, received) = watch::channel(Orders::new(target));
        let counts = Arc::<Counts>::default();
        tokio::spawn(take_connections(listener, received, Arc::clone(&counts)));
        Self {
            address,
            orders,
            counts,
        }
    }

    /// Where to connect to instead of the target.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects to another server from now on. Connections that live stay where they are.
    pub fn set_target(&self, target: SocketAddr) {
        self.orders.send_modify(|orders| orders.target = target);
    }

    /// Closes all connections in order: both sides see the end of the stream,
    /// and whoever still sends afterwards is reset, as by any peer that has
    /// closed. What was under way in here is lost.
    ///
    /// A connection that a client has only just made may not have been taken
    /// yet, and then lives on: [`connections`](Self::connections) counts those
    /// that were. The same is true of [`reset`](Self::reset).
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Breaks all connections: both sides see a reset (RST), and what was under
    /// way is lost, in here and in the buffers of the system.
    pub fn reset(&self) {
        self.orders.send_modify(|orders| orders.resets += 1);
    }

    /// While on, new connections are reset at once and the target hears nothing
    /// of them. Connections that live stay.
    pub fn refuse(&self, refuse: bool) {
        self.orders.send_modify(|orders| orders.refuse = refuse);
    }

    /// Passes bytes on this much later than they came. Their order stays, and
    /// as each piece is late by itself, so does the throughput, as long as no
    /// more than a mebibyte is under way. A change holds for what already waits.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.orders
            .send_modify(|orders| orders.lanes[direction as usize].delay = delay);
    }

    /// Passes on no more than this many bytes a second in each connection, in
    /// bursts of a fiftieth of a second; with 0, none. `None` lifts the limit.
    pub fn throttle(&self, direction: Direction, bytes_per_second: Option<u64>) {
        self.orders.send_modify(|orders| {
            orders.lanes[direction as usize].bytes_per_second = bytes_per_second
        });
    }

    /// While on, bytes wait. None are lost: when a mebibyte waits, the proxy
    /// reads no more, and the sender has to wait as well.
    pub fn hold(&self, direction: Direction, hold: bool) {
        self.orders
            .send_modify(|orders| orders.lanes[direction as usize].hold = hold);
    }

    /// While on, whatever either side sends vanishes, even the end of the
    /// stream and a reset, and neither learns of it: all connections stay open.
    /// New ones are taken, but the target hears nothing of them.
    ///
    /// When it is switched off, connections that lost something are reset, as
    /// the rest would make no sense; the others go on, and new ones reach the
    /// target. What is on its way to the proxy at that moment may still pass.
    pub fn blackhole(&self, on: bool) {
        self.orders.send_modify(|orders| orders.blackhole = on);
    }

    /// Is a plain proxy again, to the same target. What waited goes out; after
    /// a [`blackhole`](Self::blackhole), connections that lost something are reset.
    pub fn heal(&self) {
        self.orders.send_modify(|orders| {
            *orders = Orders {
                cuts: orders.cuts,
                resets: orders.resets,
                ..Orders::new(orders.target)
            };
        });
    }

    /// How many connections live now. One counts from when the proxy takes it
    /// until both its sides are closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.counts.live.load(Ordering::SeqCst)
    }

    /// How many bytes have come in one direction so far, in all connections. A
    /// byte counts from when the proxy reads it, so whoever has received it
    /// finds it counted; one that is then held or lost in here counts as well.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.counts.bytes[direction as usize].load(Ordering::SeqCst)
    }
}

/// What is counted over all connections.
#[derive(Debug, Default)]
struct Counts {
    /// Those that live now.
    live: AtomicUsize,
    /// Bytes that came, one for each [`Direction`].
    bytes: [AtomicU64; 2],
}

/// What the proxy was told, all of it.
#[derive(Clone, Copy, Debug)]
struct Orders {
    target: SocketAddr,
    cuts: u64,
    resets: u64,
    refuse: bool,
    blackhole: bool,
    /// One for each [`Direction`].
    lanes: [Lane; 2],
}

/// What holds for one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    delay: Duration,
    bytes_per_second: Option<u64>,
    hold: bool,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Closed,
    Reset,
}

impl Orders {
    fn new(target: SocketAddr) -> Self {
        Self {
            target,
            cuts: 0,
            resets: 0,
            refuse: false,
            blackhole: false,
            lanes: [Lane::default(); 2],
        }
    }

    /// How a connection that was made under other orders has to end by now.
    const fn ending_since(&self, born: &Self) -> Option<Ending> {
        if self.resets != born.resets {
            Some(Ending::Reset)
        } else if self.cuts != born.cuts {
            Some(Ending::Closed)
        } else {
            None
        }
    }
}

/// What both directions of a connection share. It counts for as long as it exists.
#[derive(Debug)]
struct Link {
    broken: CancellationToken,
    counts: Arc<Counts>,
}

impl Link {
    fn new(counts: Arc<Counts>) -> Self {
        counts.live.fetch_add(1, Ordering::SeqCst);
        Self {
            broken: CancellationToken::new(),
            counts,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.counts.live.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn take_connections(
    listener: TcpListener,
    mut orders: watch::Receiver<Orders>,
    counts: Arc<Counts>,
) {
    loop {
        let accepted = tokio::select! {
            changed = orders.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            accepted = listener.accept() => accepted,
        };
        let Ok((client, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let born = *orders.borrow_and_update();
        if born.refuse {
            let (source, sink) = client.into_split();
            end(&source, sink, Ending::Reset);
        } else {
            let link = Link::new(Arc::clone(&counts));
            tokio::spawn(carry(client, orders.clone(), born, link));
        }
    }
}

/// Carries one connection for as long as it lives.
async fn carry(client: TcpStream, mut orders: watch::Receiver<Orders>, born: Orders, link: Link) {
    let reached = reach_target(&client, &mut orders, &born).await;
    // Fails on a broken connection only, and that shows soon enough.
    let _ = client.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let server = match reached {
        Ok(server) => server,
        Err(ending) => {
            end(&from_client, to_client, ending);
            drop(from_client);
            drop(link);
            return;
        }
    };
    let _ = server.set_nodelay(true);
    let (from_server, to_server) = server.into_split();
    let link = Arc::new(link);
    let pump = |direction, source, sink| Pump {
        direction,
        source,
        sink,
        orders: orders.clone(),
        born,
        queue: Queue::new(Instant::now()),
        scratch: vec![0; PIECE],
        is_open: true,
        is_lossy: false,
        link: Arc::clone(&link),
    };
    tokio::spawn(pump(Direction::ToClient, from_server, to_client).run());
    pump(Direction::ToServer, from_client, to_server)
        .run()
        .await;
}

/// Connects to the target as soon as no blackhole is in the way.
async fn reach_target(
    client: &TcpStream,
    orders: &mut watch::Receiver<Orders>,
    born: &Orders,
) -> Result<TcpStream, Ending> {
    let mut is_lossy = false;
    let mut first = [0];
    // Outside of the loop, so that no change of orders leads to a second attempt.
    let mut connecting = pin!(TcpStream::connect(born.target));
    loop {
        let now = *orders.borrow_and_update();
        if let Some(ending) = now.ending_since(born) {
            return Err(ending);
        }
        if is_lossy && !now.blackhole {
            return Err(Ending::Reset);
        }
        tokio::select! {
            changed = orders.changed() => {
                if changed.is_err() {
                    return Err(Ending::Closed);
                }
            }
            // Never read, so as good as vanished: the connection can only be reset.
            _ = client.peek(&mut first), if now.blackhole && !is_lossy => is_lossy = true,
            server = &mut connecting, if !now.blackhole => {
                return server.map_err(|_| Ending::Reset);
            }
        }
    }
}

/// Ends what a direction reads from and what it writes to. The sockets close
/// when the other direction has let go of its halves as well.
fn end(source: &OwnedReadHalf, sink: OwnedWriteHalf, ending: Ending) {
    match ending {
        Ending::Closed => {
            drop(sink);
            // A socket that closes with bytes unread sends a reset.
            let mut unwanted = [0; PIECE];
            for _ in 0..LAST_READS {
                if !matches!(source.try_read(&mut unwanted), Ok(1..)) {
                    break;
                }
            }
        }
        Ending::Reset => {
            // Fails on a socket that is broken already.
            let _ = source.as_ref().set_zero_linger();
            let _ = sink.as_ref().set_zero_linger();
            // Dropping it would send an orderly end ahead of the reset.
            sink.forget();
        }
    }
}

/// One direction of one connection.
#[derive(Debug)]
struct Pump {
    direction: Direction,
    source: OwnedReadHalf,
    sink: OwnedWriteHalf,
    orders: watch::Receiver<Orders>,
    born: Orders,
    queue: Queue,
    scratch: Vec<u8>,
    /// Whether more can come from the source.
    is_open: bool,
    /// Whether something is lost: bytes, or the news that a side is gone.
    is_lossy: bool,
    link: Arc<Link>,
}

impl Pump {
    async fn run(mut self) {
        let ending = self.forward().await;
        if ending == Ending::Reset {
            self.link.broken.cancel();
        }
        end(&self.source, self.sink, ending);
        // Who counts no connections any more may rely on the sockets being closed.
        drop(self.source);
        drop(self.link);
    }

    async fn forward(&mut self) -> Ending {
        loop {
            // Sockets that are always ready would keep others from running.
            tokio::task::coop::consume_budget().await;
            let orders = *self.orders.borrow_and_update();
            if let Some(ending) = orders.ending_since(&self.born) {
                return ending;
            }
            let lane = &orders.lanes[self.direction as usize];
            let step = if orders.blackhole {
                self.is_lossy |= self.queue.clear();
                Step::Wait(None)
            } else if self.is_lossy {
                return Ending::Reset;
            } else {
                self.queue.step(lane, Instant::now())
            };
            let (sendable, wake_at) = match step {
                Step::Wait(until) => (0, until),
                Step::Send(len) => (len, None),
                Step::End => return Ending::Closed,
            };
            let room = self.queue.room();
            let moved = tokio::select! {
                changed = self.orders.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ending::Closed,
                },
                () = self.link.broken.cancelled() => return Ending::Reset,
                () = wait_until(wake_at) => continue,
                ready = self.source.readable(), if self.is_open && room > 0 => {
                    ready.and_then(|()| self.read(room))
                }
                ready = self.sink.writable(), if sendable > 0 => {
                    ready.and_then(|()| self.write(sendable, lane))
                }
            };
            if moved.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                self.is_open = false;
                self.is_lossy = true;
            }
        }
    }

    fn read(&mut self, room: usize) -> io::Result<()> {
        let len = self.source.try_read(&mut self.scratch[..room.min(PIECE)])?;
        self.is_open = len > 0;
        self.link.counts.bytes[self.direction as usize].fetch_add(len as u64, Ordering::SeqCst);
        self.queue.push(&self.scratch[..len], Instant::now());
        Ok(())
    }

    fn write(&mut self, len: usize, lane: &Lane) -> io::Result<()> {
        let len = self.sink.try_write(self.queue.front(len))?;
        self.queue.remove(len, lane, Instant::now());
        Ok(())
    }
}

/// Without a time, never comes.
async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
