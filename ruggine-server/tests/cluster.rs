//! Three servers on one database and one Redis server while everything fails in
//! turn: nothing acknowledged is lost, nothing is read twice or out of order,
//! and every device has the same log in the end.
#![cfg(all(feature = "http", feature = "postgres", feature = "redis"))]

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::ConversationId;
use ruggine_core::api::account::Login;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::api::message::{Item, PageRequest, PageStart};
use ruggine_core::api::presence::Query;
use ruggine_core::api::{member, session};
use ruggine_core::codec::Encoding;
use ruggine_core::event::MessageEvent;
use ruggine_core::{Event, Seq};
use ruggine_server::Drain;
use ruggine_server::testing::{
    Cluster, Direction, FaultProxy, History, HttpAnswer, Node, Person, RoamingDevice,
    SharedHistory, SocketClient, eventually, patiently, text_message,
};

const NODES: usize = 3;
const USERS: usize = 3;
/// Messages that each device keeps waiting.
const BACKLOG: usize = 6;
/// Messages that have to be acknowledged before the next harm is done.
const PROGRESS: u64 = 40;

struct World {
    cluster: Cluster,
    devices: Vec<RoamingDevice>,
    groups: Vec<ConversationId>,
    history: SharedHistory,
    written: usize,
}

async fn register(cluster: &Cluster, name: &str) -> Person {
    let http = cluster.nodes()[0].http();
    let login: Login = http
        .call(Person::registration(name))
        .await
        .expect("the name is free");
    Person { login }
}

async fn another_device(cluster: &Cluster, person: &Person) -> Person {
    let http = cluster.nodes()[0].http();
    let login: Login = http
        .call(person.new_login())
        .await
        .expect("the password is right");
    Person { login }
}

async fn group(cluster: &Cluster, owner: &Person, others: &[&Person]) -> ConversationId {
    let http = cluster.nodes()[0].http().with_token(owner.token());
    let create = Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: others.iter().map(|person| person.user()).collect(),
        id: None,
    };
    http.call(create).await.expect("a group can be made").id
}

impl World {
    async fn new() -> Self {
        let cluster = Cluster::start(NODES).await;
        let history: SharedHistory = Arc::new(Mutex::new(History::new()));
        let mut people = Vec::new();
        for user in 0..USERS {
            people.push(register(&cluster, &format!("user{user}")).await);
        }
        let [owner, others @ ..] = &people[..] else {
            unreachable!("there are users")
        };
        let others: Vec<&Person> = others.iter().collect();
        let groups = vec![
            group(&cluster, owner, &others).await,
            group(&cluster, owner, &others[..1]).await,
        ];
        let mut devices = Vec::new();
        for person in &people {
            let second = another_device(&cluster, person).await;
            for (person, encoding) in [
                (person.clone(), Encoding::MsgPack),
                (second, Encoding::Json),
            ] {
                devices.push(RoamingDevice::start(
                    person,
                    encoding,
                    cluster.addresses(),
                    Arc::clone(&history),
                ));
            }
        }
        Self {
            cluster,
            devices,
            groups,
            history,
            written: 0,
        }
    }

    /// Whether the user of a device is in a group: all are in the first.
    const fn is_in(device: usize, group: usize) -> bool {
        group == 0 || device / 2 < 2
    }

    fn write(&mut self) {
        for (index, device) in self.devices.iter().enumerate() {
            while device.waiting() < BACKLOG {
                self.written += 1;
                let group = self.written % self.groups.len();
                let group = if Self::is_in(index, group) { group } else { 0 };
                device.write(self.groups[group], &format!("message {}", self.written));
            }
        }
    }

    fn acked(&self) -> u64 {
        self.devices.iter().map(RoamingDevice::acked).sum()
    }

    /// Goes on writing until so much more has been acknowledged.
    async fn progress(&mut self, what: &str) {
        let goal = self.acked() + PROGRESS;
        patiently(what, async {
            while self.acked() < goal {
                self.write();
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Everything written is acknowledged, and everybody has read all of it.
    async fn settle(&mut self) {
        eventually("every message to be acknowledged", || async {
            self.devices.iter().all(|device| device.waiting() == 0)
        })
        .await;
        for (number, group) in self.groups.iter().enumerate() {
            let reader = self.devices[0].person();
            let http = self.cluster.nodes()[0].http().with_token(reader.token());
            let newest = PageRequest {
                conversation: *group,
                from: PageStart::Newest,
                limit: Some(1),
                as_content: false,
            };
            let head = http.call(newest).await.expect("a member may read").head;
            eventually("everybody to have the whole log", || async {
                let members = self.devices.iter().enumerate();
                members
                    .filter(|(index, _)| Self::is_in(*index, number))
                    .all(|(_, device)| device.cursor(*group) == head)
            })
            .await;
            let mut history = self.history.lock();
            for (index, device) in self.devices.iter().enumerate() {
                if Self::is_in(index, number) {
                    history.must_have(device.person().device(), *group, Seq::new(1), head);
                }
            }
        }
    }

    async fn end(mut self) {
        for device in self.devices.drain(..) {
            device.stop().await;
        }
        let summary = self.history.lock().check();
        let summary = summary.expect("every promise was kept");
        assert_eq!(summary.sent, summary.acked, "{summary:?}");
        assert!(summary.read >= summary.acked * 4, "{summary:?}");
        self.cluster.stop().await;
    }

    fn each(&self, proxy: impl Fn(&Node) -> &FaultProxy, harm: impl Fn(&FaultProxy)) {
        for node in self.cluster.nodes() {
            harm(proxy(node));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_costs_no_message() {
    let mut world = World::new().await;
    for node in [0, 1, 2, 1] {
        world.progress("messages with every server").await;
        world.cluster.node(node).kill();
        world.progress("messages without one server").await;
        world.cluster.node(node).start().await;
    }
    world.settle().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_costs_no_message() {
    let mut world = World::new().await;
    let drain = Drain {
        spread: Duration::from_millis(200),
        ..Drain::default()
    };
    for node in 0..NODES {
        world.progress("messages before a restart").await;
        world.cluster.node(node).drain(drain).await;
        world.cluster.node(node).start().await;
    }
    world.progress("messages after all restarts").await;
    world.settle().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_and_comes_back_costs_no_message() {
    let mut world = World::new().await;
    for _ in 0..3 {
        world.progress("messages with the database").await;
        world.each(
            |node| &node.database,
            |proxy| {
                proxy.refuse(true);
                proxy.reset();
            },
        );
        world.write();
        // Nothing can be promised without it, and nobody is sent there.
        for node in world.cluster.nodes() {
            eventually("a server to say that it is not ready", || async {
                node.http().get("/readyz").await.status == 503
            })
            .await;
            let http = node.http().with_token(world.devices[0].person().token());
            let refused = http.call(text_message(world.groups[0], "in vain")).await;
            let error = refused.expect_err("there is no database");
            assert!(error.retryable, "{error}");
        }
        world.each(|node| &node.database, FaultProxy::heal);
        world.progress("messages after the database").await;
    }
    world.settle().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_that_loses_the_database_leaves_the_others_to_work() {
    let mut world = World::new().await;
    let lost = |proxy: &FaultProxy| proxy.blackhole(true);
    lost(&world.cluster.nodes()[1].database);
    world.progress("messages over the other servers").await;
    world.cluster.nodes()[1].database.heal();
    world.progress("messages over all servers").await;
    world.settle().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_messages_are_acknowledged_and_arrive() {
    let mut world = World::new().await;
    for _ in 0..2 {
        world.progress("messages with Redis").await;
        world.each(
            |node| &node.redis,
            |proxy| {
                proxy.refuse(true);
                proxy.reset();
            },
        );
        world.progress("messages without Redis").await;
        world.settle().await;
        world.each(|node| &node.redis, FaultProxy::heal);
    }
    world.progress("messages after Redis").await;
    world.settle().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_clients_that_suffer_cost_no_message() {
    let mut world = World::new().await;
    let harms: [fn(&FaultProxy); 6] = [
        FaultProxy::reset,
        FaultProxy::cut,
        |proxy| proxy.blackhole(true),
        |proxy| proxy.hold(Direction::ToClient, true),
        |proxy| proxy.hold(Direction::ToServer, true),
        |proxy| proxy.throttle(Direction::ToClient, Some(20_000)),
    ];
    for (number, harm) in harms.into_iter().enumerate() {
        world.progress("messages before the harm").await;
        harm(&world.cluster.nodes()[number % NODES].clients);
        world.progress("messages beside the harm").await;
        world.cluster.nodes()[number % NODES].clients.heal();
    }
    world.settle().await;
    world.end().await;
}

async fn open(cluster: &Cluster, node: usize, person: &Person) -> SocketClient {
    let address = cluster.nodes()[node].address();
    let mut socket = SocketClient::connect(address, Encoding::Json).await;
    socket
        .hello(person.token())
        .await
        .expect("the token is valid");
    socket
}

async fn say(cluster: &Cluster, node: usize, person: &Person, group: ConversationId) -> Seq {
    let http = cluster.nodes()[node].http().with_token(person.token());
    let ack = http.call(text_message(group, "ciao")).await;
    ack.expect("a member may write").seq
}

#[tokio::test]
async fn who_is_removed_on_one_server_hears_nothing_more_on_another_even_without_redis() {
    for redis in [true, false] {
        let mut cluster = Cluster::start(2).await;
        let [ada, bob] = [
            register(&cluster, "ada").await,
            register(&cluster, "bob").await,
        ];
        let group = group(&cluster, &ada, &[&bob]).await;
        let mut heard = open(&cluster, 1, &bob).await;
        if !redis {
            for node in cluster.nodes() {
                node.redis.refuse(true);
                node.redis.reset();
            }
        }
        let http = cluster.nodes()[0].http().with_token(ada.token());
        let remove = member::Remove {
            conversation: group,
            user: bob.user(),
        };
        let removed = http.call(remove).await.expect("the owner may remove").head;
        let last = say(&cluster, 0, &ada, group).await;
        assert!(last > removed);
        // He is told where his part of the log ends, and of nothing after it.
        let ends = |event: &Event| match event {
            Event::Message(message) => message.item.span() == Some((removed, removed)),
            Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == group),
            _ => false,
        };
        heard.wait_for(ends).await;
        let events = heard.catch_up().await;
        let beyond = events.iter().any(|event| {
            matches!(event, Event::Message(MessageEvent { item: Item::Row(row), .. }) if row.seq > removed)
        });
        assert!(!beyond, "{events:?}");
        cluster.stop().await;
    }
}

#[tokio::test]
async fn a_session_revoked_on_one_server_loses_its_socket_on_another_even_without_redis() {
    for redis in [true, false] {
        let mut cluster = Cluster::start(2).await;
        let ada = register(&cluster, "ada").await;
        let phone = another_device(&cluster, &ada).await;
        let mut socket = open(&cluster, 1, &phone).await;
        if !redis {
            for node in cluster.nodes() {
                node.redis.refuse(true);
                node.redis.reset();
            }
        }
        let http = cluster.nodes()[0].http().with_token(ada.token());
        let revoke = session::Revoke {
            session: phone.session(),
        };
        http.call(revoke).await.expect("one may revoke one's own");
        assert_eq!(socket.ending().await.code, Some(4003));
        cluster.stop().await;
    }
}

#[tokio::test]
async fn who_is_online_on_one_server_is_online_to_those_who_ask_another() {
    let mut cluster = Cluster::start(2).await;
    let [ada, bob] = [
        register(&cluster, "ada").await,
        register(&cluster, "bob").await,
    ];
    group(&cluster, &ada, &[&bob]).await;
    let http = cluster.nodes()[1].http().with_token(ada.token());
    let is_online = || async {
        let query = Query {
            users: vec![bob.user()],
        };
        let presences = http.call(query).await.expect("one may ask").presences;
        presences.iter().any(|presence| presence.online)
    };
    assert!(!is_online().await);
    let phone = open(&cluster, 0, &bob).await;
    eventually("him to be online", is_online).await;
    let laptop = open(&cluster, 1, &bob).await;
    phone.close().await;
    assert!(is_online().await, "the other device is still there");
    laptop.close().await;
    eventually("him to be gone", || async { !is_online().await }).await;
    cluster.stop().await;
}

fn text(answer: &HttpAnswer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn a_server_without_redis_says_that_it_is_degraded_and_serves() {
    let mut cluster = Cluster::start(1).await;
    let node = &cluster.nodes()[0];
    let ready = || async {
        let answer = node.http().get("/readyz").await;
        (answer.status, text(&answer))
    };
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    node.redis.refuse(true);
    node.redis.reset();
    eventually("the loss to be noticed", || async {
        let (status, said) = ready().await;
        status == 200 && said.starts_with("degraded")
    })
    .await;
    let ada = register(&cluster, "ada").await;
    let talk = group(&cluster, &ada, &[]).await;
    say(&cluster, 0, &ada, talk).await;
    cluster.nodes()[0].redis.heal();
    eventually("the bus to be back", || async {
        let answer = cluster.nodes()[0].http().get("/readyz").await;
        text(&answer) == "ready\n"
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn what_a_server_cannot_hint_the_others_find_in_the_outbox() {
    // Nobody compares with the database by the clock.
    let mut cluster = Cluster::start_with(2, |config| {
        config.sweep_interval = Duration::from_secs(60 * 60);
    })
    .await;
    let [ada, bob] = [
        register(&cluster, "ada").await,
        register(&cluster, "bob").await,
    ];
    let group = group(&cluster, &ada, &[&bob]).await;
    let mut heard = open(&cluster, 1, &bob).await;
    // It hears what Redis says, and Redis does not hear it.
    cluster.nodes()[0].redis.hold(Direction::ToServer, true);
    let last = say(&cluster, 0, &ada, group).await;
    let (_, row) = heard.next_row().await;
    assert_eq!(row.seq, last);
    let ready = cluster.nodes()[1].http().get("/readyz").await;
    assert_eq!(text(&ready), "ready\n", "for the other all is well");
    eventually("the server to say that it is not heard", || async {
        let ready = cluster.nodes()[0].http().get("/readyz").await;
        text(&ready).starts_with("degraded")
    })
    .await;
    cluster.nodes()[0].redis.heal();
    eventually("the server to be heard again", || async {
        let ready = cluster.nodes()[0].http().get("/readyz").await;
        text(&ready) == "ready\n"
    })
    .await;
    let last = say(&cluster, 0, &ada, group).await;
    heard
        .wait_for(|event| match event {
            Event::Message(message) => message.item.span() == Some((last, last)),
            _ => false,
        })
        .await;
    cluster.stop().await;
}
