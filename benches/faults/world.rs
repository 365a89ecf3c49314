//! Servers, what they stand on, and devices that write and read all the time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use ruggine_core::api::account::Login;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Seq};
use ruggine_server::testing::{
    FaultProxy, History, HttpClient, Person, RoamingDevice, SharedHistory, Summary,
};
use ruggine_services::{Instance, InstanceOptions, Services};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::balancer::Balancer;
use crate::harms::{self, Harm};
use crate::report::{Gap, say};
use crate::watch::{Seats, Watch, newest};

pub(crate) const INSTANCES: usize = 3;
/// Ways to the balancer: a harm to one of them meets a part of the connections.
pub(crate) const DOORS: usize = 3;
const USERS: usize = 8;
const DEVICES_EACH: usize = 2;
/// The users of each group.
const GROUPS: [[usize; 4]; 4] = [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [6, 7, 0, 1]];
/// Messages that each device keeps waiting.
const BACKLOG: usize = 8;
/// More than one device sends before an answer: beyond it, something was sent anew.
const WINDOW: u64 = 4;
const TICK: Duration = Duration::from_millis(1);
/// Nothing takes so long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct World {
    // What ends first stands first.
    writer: JoinHandle<()>,
    devices: Arc<Vec<RoamingDevice>>,
    seats: Arc<Seats>,
    history: SharedHistory,
    people: Vec<Person>,
    pub(crate) doors: Vec<FaultProxy>,
    pub(crate) balancer: Balancer,
    pub(crate) instances: Vec<Option<Instance>>,
    pub(crate) options: InstanceOptions,
    pub(crate) services: Services,
    /// How many harms have been done.
    pub(crate) turn: usize,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start(server: &Path) -> anyhow::Result<Self> {
        if !server.is_file() {
            bail!(
                "there is no server at {}: build the package ruggine-server-app first",
                server.display()
            );
        }
        let folder = tempfile::tempdir().context("cannot make a folder for the servers")?;
        let services = Services::start()?;
        let options = InstanceOptions::new(server, folder.path())
            .env("DATABASE_URL", services.postgres.url())
            .env("REDIS_URL", services.redis.url())
            .env("RUGGINE_DRAIN_LEAD_SECONDS", "1")
            .env("RUGGINE_DRAIN_SPREAD_SECONDS", "2");
        let mut instances = Vec::with_capacity(INSTANCES);
        for _ in 0..INSTANCES {
            instances.push(Instance::start(&options)?);
        }
        let addresses: Vec<_> = instances.iter().map(Instance::address).collect();
        let balancer = Balancer::start(&addresses).await?;
        let mut doors = Vec::with_capacity(DOORS);
        for _ in 0..DOORS {
            doors.push(FaultProxy::start(balancer.address()).await);
        }
        let http = HttpClient::new(balancer.address());
        let people = register(&http).await?;
        let mut seats = Seats::new();
        for group in GROUPS {
            let conversation = create(&http, &people, group).await?;
            let devices = group
                .into_iter()
                .flat_map(|user| (0..DEVICES_EACH).map(move |device| user * DEVICES_EACH + device));
            seats.push((conversation, devices.collect()));
        }
        let history: SharedHistory = Arc::new(Mutex::new(History::new()));
        let mut devices = Vec::new();
        for person in &people {
            for number in 0..DEVICES_EACH {
                let device = another_device(&http, person).await?;
                let encoding = match number % 2 {
                    0 => Encoding::MsgPack,
                    _ => Encoding::Json,
                };
                let ways = doors.iter().map(FaultProxy::address).collect();
                let history = Arc::clone(&history);
                devices.push(RoamingDevice::start(device, encoding, ways, history));
            }
        }
        let (devices, seats) = (Arc::new(devices), Arc::new(seats));
        say(&format!(
            "{INSTANCES} servers, {} devices in {} groups; every harm in turn.",
            devices.len(),
            seats.len()
        ));
        Ok(Self {
            writer: tokio::spawn(write(Arc::clone(&devices), Arc::clone(&seats))),
            devices,
            seats,
            history,
            people,
            doors,
            balancer,
            instances: instances.into_iter().map(Some).collect(),
            options,
            services,
            turn: 0,
            _folder: folder,
        })
    }

    pub(crate) fn acked(&self) -> u64 {
        self.devices.iter().map(RoamingDevice::acked).sum()
    }

    /// Waits until so many more messages are acknowledged.
    pub(crate) async fn progress(&self, messages: u64) -> anyhow::Result<()> {
        let goal = self.acked() + messages;
        self.wait("messages to be acknowledged", || self.acked() >= goal)
            .await
    }

    /// Does a harm, ends it, and waits until nothing is left of it.
    pub(crate) async fn suffer(&mut self, harm: Harm) -> anyhow::Result<Gap> {
        let watch = Watch::start(Arc::clone(&self.devices), Arc::clone(&self.seats));
        let start = Instant::now();
        harms::inflict(harm, self).await?;
        let over = Instant::now();
        self.healed().await?;
        let healed = over.elapsed();
        let waits = watch.end().await?;
        self.turn += 1;
        Ok(Gap {
            lasted: over - start,
            healed,
            ack: waits.ack,
            row: waits.row,
        })
    }

    /// Waits until every device has read all that is promised now, and has had
    /// something acknowledged that it sent after now.
    async fn healed(&self) -> anyhow::Result<()> {
        let goals: Vec<u64> = self
            .devices
            .iter()
            .map(|device| device.acked() + WINDOW + 1)
            .collect();
        let heads = self.heads();
        self.wait("every device to read and to write again", || {
            let writes = self.devices.iter().zip(&goals);
            writes
                .into_iter()
                .all(|(device, goal)| device.acked() >= *goal)
                && self.have(&heads)
        })
        .await
    }

    /// The highest number of each conversation of which anybody knows.
    fn heads(&self) -> Vec<Seq> {
        let conversations = self.seats.iter().map(|(conversation, _)| *conversation);
        conversations
            .map(|conversation| newest(&self.devices, conversation))
            .collect()
    }

    fn have(&self, heads: &[Seq]) -> bool {
        self.seats
            .iter()
            .zip(heads)
            .all(|((conversation, members), head)| {
                members
                    .iter()
                    .all(|member| self.devices[*member].cursor(*conversation) >= *head)
            })
    }

    /// Lets everything be read, by a device that comes only now as well, and judges it.
    pub(crate) async fn end(self) -> anyhow::Result<Summary> {
        self.writer.abort();
        self.wait("every message to be acknowledged", || {
            self.devices.iter().all(|device| device.waiting() == 0)
        })
        .await?;
        let heads = self.heads();
        self.wait("everybody to have everything", || self.have(&heads))
            .await?;
        self.late_reader(&heads).await?;
        let mut history = self.history.lock();
        for ((conversation, members), head) in self.seats.iter().zip(&heads) {
            for member in members {
                let device = self.devices[*member].person().device();
                history.must_have(device, *conversation, Seq::new(1), *head);
            }
        }
        Ok(history.check()?)
    }

    /// A device that was never there reads what its user may read.
    async fn late_reader(&self, heads: &[Seq]) -> anyhow::Result<()> {
        let http = HttpClient::new(self.balancer.address());
        let person = self.people.first().context("there are users")?;
        let late = another_device(&http, person).await?;
        let late = RoamingDevice::start(
            late,
            Encoding::MsgPack,
            self.doors.iter().map(FaultProxy::address).collect(),
            Arc::clone(&self.history),
        );
        let theirs: Vec<(ConversationId, Seq)> = self
            .seats
            .iter()
            .zip(heads)
            .filter(|((_, members), _)| members.contains(&0))
            .map(|((conversation, _), head)| (*conversation, *head))
            .collect();
        self.wait("a late device to have everything", || {
            theirs.iter().all(|(id, head)| late.cursor(*id) >= *head)
        })
        .await?;
        let mut history = self.history.lock();
        for (conversation, head) in theirs {
            history.must_have(late.person().device(), conversation, Seq::new(1), head);
        }
        Ok(())
    }

    pub(crate) async fn wait(&self, what: &str, holds: impl Fn() -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !holds() {
            if start.elapsed() > PATIENCE {
                bail!("waited {PATIENCE:?} in vain for {what}");
            }
            sleep(TICK).await;
        }
        Ok(())
    }
}

/// Keeps something waiting on every device.
async fn write(devices: Arc<Vec<RoamingDevice>>, seats: Arc<Seats>) {
    let mut written = 0_usize;
    loop {
        for (index, device) in devices.iter().enumerate() {
            let theirs = seats.iter().filter(|(_, members)| members.contains(&index));
            let theirs: Vec<ConversationId> =
                theirs.map(|(conversation, _)| *conversation).collect();
            while device.waiting() < BACKLOG {
                written += 1;
                device.write(
                    theirs[written % theirs.len()],
                    &format!("message {written}"),
                );
            }
        }
        sleep(TICK).await;
    }
}

async fn register(http: &HttpClient) -> anyhow::Result<Vec<Person>> {
    let mut people = Vec::with_capacity(USERS);
    for user in 0..USERS {
        let login: Login = http
            .call(Person::registration(&format!("user{user}")))
            .await?;
        people.push(Person { login });
    }
    Ok(people)
}

async fn another_device(http: &HttpClient, person: &Person) -> anyhow::Result<Person> {
    let login: Login = http.call(person.new_login()).await?;
    Ok(Person { login })
}

async fn create(
    http: &HttpClient,
    people: &[Person],
    group: [usize; 4],
) -> anyhow::Result<ConversationId> {
    let [owner, others @ ..] = group;
    let create = Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: others.iter().map(|user| people[*user].user()).collect(),
        id: None,
    };
    let http = http.clone().with_token(people[owner].token());
    Ok(http.call(create).await?.id)
}
