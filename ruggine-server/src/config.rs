//! Typed configuration. Nothing here reads an environment: programs do.

use std::time::Duration;

/// What an engine does and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Amounts.
    pub limits: Limits,
    /// How long an access token lasts.
    pub access_lifetime: Duration,
    /// How long a refresh token lasts.
    pub refresh_lifetime: Duration,
    /// How long a hook may think.
    pub hook_deadline: Duration,
    /// Pause between comparisons of followed heads with the store, varied by a fifth.
    pub sweep_interval: Duration,
    /// The same pause while the bus is away, so that nobody waits long for what
    /// another instance commits.
    pub poll_interval: Duration,
    /// Age at which a committed batch that was not announced is announced again.
    pub relay_after: Duration,
    /// Shortest time between two presence events of one user.
    pub presence_interval: Duration,
    /// Groups with more members get no presence events.
    pub presence_members_max: u32,
    /// In groups with more members, sockets that do not have the group in focus
    /// are told where its log stands instead of each message.
    pub large_group: u32,
    /// Shortest time between two such marks of one socket.
    pub mark_interval: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            access_lifetime: Duration::from_secs(15 * 60),
            refresh_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            hook_deadline: Duration::from_secs(2),
            sweep_interval: Duration::from_secs(30),
            poll_interval: Duration::from_secs(1),
            relay_after: Duration::from_secs(1),
            presence_interval: Duration::from_secs(1),
            presence_members_max: 100,
            large_group: 1_000,
            mark_interval: Duration::from_secs(2),
        }
    }
}

/// Amounts above which the server answers with an error or a close instead of
/// serving worse.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Messages a second that one device may send.
    pub sends_per_second: u32,
    /// Messages that one device may send at once.
    pub send_burst: u32,
    /// Shortest time between two typing reports of one device in one conversation.
    pub typing_interval: Duration,
    /// Other requests a second of one device.
    pub requests_per_second: u32,
    /// Device lists that one user may publish in an hour.
    pub lists_per_hour: u32,
    /// Times an hour that one user's devices may leave key packages.
    pub packages_per_hour: u32,
    /// Times an hour that one user may claim key packages of another.
    pub claims_per_hour: u32,
    /// Times a day that one user may claim key packages of another.
    pub claims_per_day: u32,
    /// Failed logins of one account in a minute before further ones must wait.
    pub login_failures_per_account: u32,
    /// Logins a minute from one address.
    pub logins_per_address: u32,
    /// Registrations an hour from one address.
    pub registrations_per_address: u32,
    /// Passwords hashed at once; zero for one per core.
    pub hashing_permits: usize,
    /// Logins that may wait for a hashing permit.
    pub hashing_queue: usize,
    /// Live sockets of one user.
    pub sockets_per_user: usize,
    /// Live sockets from one address.
    pub sockets_per_address: usize,
    /// Sockets from one address that have not said hello.
    pub unauthenticated_per_address: usize,
    /// WebSocket handshakes a second.
    pub handshakes_per_second: u32,
    /// Messages of this instance that may wait for their commit.
    pub waiting_messages: usize,
    /// Bytes of them.
    pub waiting_bytes: usize,
    /// Events that may wait for one socket.
    pub socket_events: usize,
    /// Bytes of them.
    pub socket_bytes: usize,
    /// Requests of one socket that may be under way.
    pub requests_in_flight: usize,
    /// Members of a group.
    pub group_members: usize,
    /// Conversations of one user.
    pub conversations_per_user: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sends_per_second: 20,
            send_burst: 60,
            typing_interval: Duration::from_secs(3),
            requests_per_second: 50,
            lists_per_hour: 30,
            packages_per_hour: 60,
            claims_per_hour: 20,
            claims_per_day: 100,
            login_failures_per_account: 5,
            logins_per_address: 20,
            registrations_per_address: 10,
            hashing_permits: 0,
            hashing_queue: 64,
            sockets_per_user: 20,
            sockets_per_address: 200,
            unauthenticated_per_address: 20,
            handshakes_per_second: 500,
            waiting_messages: 4_096,
            waiting_bytes: 16 * 1024 * 1024,
            socket_events: 256,
            socket_bytes: 1024 * 1024,
            requests_in_flight: 32,
            group_members: ruggine_core::limits::GROUP_MEMBERS_MAX,
            conversations_per_user: ruggine_core::limits::CONVERSATIONS_PER_USER,
        }
    }
}

impl Limits {
    /// Amounts that nothing but a fault reaches, for tests, benches and services
    /// that limit their users elsewhere. Bounds of memory stay as they are.
    #[must_use]
    pub fn without_rates() -> Self {
        const MANY: u32 = 1_000_000;
        Self {
            sends_per_second: MANY,
            send_burst: MANY,
            typing_interval: Duration::from_nanos(1),
            requests_per_second: MANY,
            lists_per_hour: MANY,
            packages_per_hour: MANY,
            claims_per_hour: MANY,
            claims_per_day: MANY,
            login_failures_per_account: MANY,
            logins_per_address: MANY,
            registrations_per_address: MANY,
            hashing_queue: 4_096,
            sockets_per_user: 10_000,
            sockets_per_address: 100_000,
            unauthenticated_per_address: 10_000,
            handshakes_per_second: MANY,
            ..Self::default()
        }
    }
}
