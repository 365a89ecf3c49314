//! What can go wrong, and how it is brought about.

use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use ruggine_server::testing::{Direction, FaultProxy};
use ruggine_services::Instance;
use serde::Serialize;
use tokio::task::block_in_place;
use tokio::time::sleep;

use crate::world::{DOORS, INSTANCES, World};

/// How long the database stays away.
const WITHOUT_DATABASE: Duration = Duration::from_secs(2);
/// How long Redis stays away: several of the polls that take its place.
const WITHOUT_REDIS: Duration = Duration::from_secs(4);
/// How long a server is frozen: longer than devices trust a silent connection.
const FROZEN: Duration = Duration::from_secs(5);
/// How long connections of clients suffer.
const SUFFERING: Duration = Duration::from_secs(2);
/// How long a half-open connection stays so: longer than devices trust one.
const HALF_OPEN: Duration = Duration::from_secs(4);
const BYTES_PER_SECOND: u64 = 4_000;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Harm {
    /// A server is killed, and started again
    KilledServer,
    /// A server stands still for five seconds, with its connections open
    FrozenServer,
    /// Every server in turn is told to end, and started again
    RollingRestart,
    /// PostgreSQL stops in the middle of its work and recovers after two seconds
    StoppedDatabase,
    /// Redis is killed, and comes back empty after four seconds
    StoppedRedis,
    /// Redis forgets everything
    FlushedRedis,
    /// A server is killed while Redis is away
    KilledServerWithoutRedis,
    /// A third of the clients' connections is closed
    CutConnections,
    /// A third of the clients' connections breaks
    ResetConnections,
    /// A third of the clients' connections loses everything without a word
    HalfOpenConnections,
    /// A third of the clients' connections gets slow
    ThrottledConnections,
    /// What a third of the clients sends waits for two seconds
    HeldToServer,
    /// What a third of the clients should hear waits for two seconds
    HeldToClient,
}

impl Harm {
    pub(crate) const ALL: [Self; 13] = [
        Self::KilledServer,
        Self::StoppedDatabase,
        Self::StoppedRedis,
        Self::FlushedRedis,
        Self::CutConnections,
        Self::HalfOpenConnections,
        Self::ThrottledConnections,
        Self::HeldToServer,
        Self::HeldToClient,
        Self::ResetConnections,
        Self::KilledServerWithoutRedis,
        Self::FrozenServer,
        Self::RollingRestart,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KilledServer => "server killed (SIGKILL)",
            Self::FrozenServer => "server frozen for 5 s",
            Self::RollingRestart => "rolling restart (SIGTERM)",
            Self::StoppedDatabase => "PostgreSQL immediate stop",
            Self::StoppedRedis => "Redis killed",
            Self::FlushedRedis => "Redis FLUSHALL",
            Self::KilledServerWithoutRedis => "server killed without Redis",
            Self::CutConnections => "client connections cut",
            Self::ResetConnections => "client connections reset",
            Self::HalfOpenConnections => "client connections half-open",
            Self::ThrottledConnections => "client connections throttled",
            Self::HeldToServer => "client connections held (up)",
            Self::HeldToClient => "client connections held (down)",
        }
    }
}

/// Does it and takes it back.
pub(crate) async fn inflict(harm: Harm, world: &mut World) -> anyhow::Result<()> {
    let index = world.turn % INSTANCES;
    match harm {
        Harm::KilledServer => {
            kill(world, index)?;
            sleep(SUFFERING).await;
            start(world, index)?;
        }
        Harm::FrozenServer => {
            let server = world.instances[index].as_ref();
            server.context("the server runs")?.freeze()?;
            sleep(FROZEN).await;
            let server = world.instances[index].as_ref();
            server.context("the server runs")?.thaw()?;
        }
        Harm::RollingRestart => {
            for index in 0..INSTANCES {
                if let Some(server) = world.instances[index].take() {
                    tokio::task::spawn_blocking(move || server.terminate()).await??;
                }
                start(world, index)?;
            }
        }
        Harm::StoppedDatabase => {
            block_in_place(|| world.services.postgres.stop_immediately())?;
            sleep(WITHOUT_DATABASE).await;
            block_in_place(|| world.services.postgres.start())?;
        }
        Harm::StoppedRedis => {
            block_in_place(|| world.services.redis.kill())?;
            sleep(WITHOUT_REDIS).await;
            block_in_place(|| world.services.redis.start())?;
        }
        Harm::FlushedRedis => block_in_place(|| world.services.redis.flush())?,
        Harm::KilledServerWithoutRedis => {
            block_in_place(|| world.services.redis.kill())?;
            sleep(SUFFERING).await;
            kill(world, index)?;
            sleep(SUFFERING).await;
            block_in_place(|| world.services.redis.start())?;
            start(world, index)?;
        }
        Harm::CutConnections => door(world).cut(),
        Harm::ResetConnections => door(world).reset(),
        Harm::HalfOpenConnections => {
            door(world).blackhole(true);
            sleep(HALF_OPEN).await;
            door(world).heal();
        }
        Harm::ThrottledConnections => {
            for direction in [Direction::ToServer, Direction::ToClient] {
                door(world).throttle(direction, Some(BYTES_PER_SECOND));
            }
            sleep(SUFFERING).await;
            door(world).heal();
        }
        Harm::HeldToServer => held(world, Direction::ToServer).await,
        Harm::HeldToClient => held(world, Direction::ToClient).await,
    }
    Ok(())
}

async fn held(world: &World, direction: Direction) {
    door(world).hold(direction, true);
    sleep(SUFFERING).await;
    door(world).heal();
}

fn door(world: &World) -> &FaultProxy {
    &world.doors[world.turn % DOORS]
}

fn kill(world: &mut World, index: usize) -> anyhow::Result<()> {
    match world.instances[index].take() {
        Some(server) => block_in_place(|| server.kill()),
        None => Ok(()),
    }
}

fn start(world: &mut World, index: usize) -> anyhow::Result<()> {
    let server = block_in_place(|| Instance::start(&world.options))?;
    world.balancer.replace(index, server.address());
    world.instances[index] = Some(server);
    Ok(())
}
