//! One group that grows, most of whose members are not connected.

use ruggine_core::api::conversation::Focus;
use ruggine_core::api::member::{Add, Remove};
use ruggine_core::codec::Encoding;
use ruggine_core::{ConversationId, Event, UserId};
use ruggine_server::testing::{Person, SocketClient, text_message};

use super::cost::{Cost, Meter, WARM_UP};
use super::flat::{assert_flat, assert_flat_for_each};
use super::history::write;
use super::people::crowd;
use super::scene::{Scene, Wires};

/// Members of the group. The first has ten pages of them.
const SIZES: [u64; 3] = [1_000, 2_000, 4_000];
/// Users to be added and removed while it is measured, and to spare.
const PASSING: u64 = 100;
/// So many are added at once.
const TOGETHER: usize = 100;

/// A group on two instances: its owner writes on the first, before which the
/// meter is.
struct Group {
    scene: Scene,
    meter: Meter,
    ada: Person,
    bob: Person,
    id: ConversationId,
    /// Users who are not in it.
    others: Vec<UserId>,
    members: u64,
}

impl Group {
    /// With a log that is long enough for its indexes to keep their height.
    async fn new() -> Self {
        let mut scene = Scene::start(Wires::local()).await;
        scene.add_instance().await;
        let ada = scene.server().register("ada").await;
        let bob = scene.server().register("bob").await;
        let id = scene.server().group(&ada, &[&bob]).await;
        write(scene.server(), &ada, id, 1_000).await;
        let count = i32::try_from(SIZES[2] + PASSING).expect("it is a small number");
        Self {
            meter: scene.meter().await,
            others: crowd(&scene.database, count).await,
            scene,
            ada,
            bob,
            id,
            members: 2,
        }
    }

    /// Lets it grow to so many members.
    async fn grow(&mut self, members: u64) {
        let more = usize::try_from(members - self.members).expect("it is a small number");
        let added: Vec<UserId> = self.others.drain(..more).collect();
        let http = self.scene.server().http_of(&self.ada);
        for users in added.chunks(TOGETHER) {
            let add = Add {
                conversation: self.id,
                users: users.to_vec(),
            };
            http.call(add).await.expect("an owner may add");
        }
        self.members = members;
        self.meter.refresh().await;
    }

    /// The owner's socket, whose bytes count.
    async fn owner(&self) -> SocketClient {
        let mut socket = self.meter.socket(&self.ada).await;
        self.look(&mut socket).await;
        socket
    }

    /// Somebody's socket on the second instance.
    async fn elsewhere(&self, person: &Person) -> SocketClient {
        let server = &self.scene.servers[1];
        let mut socket = server.socket(person, Encoding::MsgPack).await;
        self.look(&mut socket).await;
        socket
    }

    /// Has the group before it, so that it is told of rows and not now and then
    /// of their number, whatever the size.
    async fn look(&self, socket: &mut SocketClient) {
        let focus = Focus {
            conversation: Some(self.id),
        };
        socket.call(focus).await.expect("one may look anywhere");
    }
}

#[tokio::test]
async fn a_send_costs_the_same_and_one_notice_whatever_the_members() {
    const SENDS: u64 = 32;
    let mut group = Group::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        group.grow(size).await;
        let id = group.id;
        let mut owner = group.owner().await;
        let mut member = group.elsewhere(&group.bob).await;
        let heard = group.scene.buses[1].heard();
        let send = async || {
            let ack = owner.call(text_message(id, "ciao")).await;
            ack.expect("a member may write");
            owner.next_row().await;
            member.next_row().await;
        };
        *cost = group.meter.measure(SENDS, send).await;
        assert_eq!(cost.published, SENDS, "with {size} members");
        let heard = group.scene.buses[1].heard() - heard;
        assert_eq!(heard, SENDS + WARM_UP, "with {size} members");
        owner.close().await;
        member.close().await;
    }
    Cost::assert_all_flat("32 sends with more members", costs);
    group.scene.end().await;
}

#[tokio::test]
async fn a_join_and_a_leave_cost_the_same_whatever_the_members() {
    let mut group = Group::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        group.grow(size).await;
        let id = group.id;
        let mut owner = group.owner().await;
        let others = &mut group.others;
        let come_and_go = async || {
            let user = others.pop().expect("there are some to spare");
            let add = Add {
                conversation: id,
                users: vec![user],
            };
            owner.call(add).await.expect("an owner may add");
            owner.next_row().await;
            let remove = Remove {
                conversation: id,
                user,
            };
            owner.call(remove).await.expect("an owner may remove");
            owner.next_row().await;
        };
        *cost = group.meter.measure(16, come_and_go).await;
        owner.close().await;
    }
    Cost::assert_all_flat("16 joins and leaves with more members", costs);
    group.scene.end().await;
}

/// Their instance cannot know who else of the group is connected to it, and
/// reads who is in it. This is the one cost of a join that follows the members.
#[tokio::test]
async fn who_is_added_and_online_elsewhere_costs_their_instance_one_reading_of_the_roster() {
    let mut group = Group::new().await;
    let cleo = group.scene.server().register("cleo").await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        group.grow(size).await;
        let id = group.id;
        let mut owner = group.owner().await;
        let mut added = group.elsewhere(&cleo).await;
        let come_and_go = async || {
            let add = Add {
                conversation: id,
                users: vec![cleo.user()],
            };
            owner.call(add).await.expect("an owner may add");
            added.wait_for(|event| concerns(event, id)).await;
            let remove = Remove {
                conversation: id,
                user: cleo.user(),
            };
            owner.call(remove).await.expect("an owner may remove");
            added.wait_for(|event| concerns(event, id)).await;
            owner.next_row().await;
            owner.next_row().await;
        };
        *cost = group.meter.measure(8, come_and_go).await;
        owner.close().await;
        added.close().await;
    }
    let statements = costs.map(|cost| cost.statements.calls);
    assert_flat("statements of 8 joins from elsewhere", statements);
    let published = costs.map(|cost| cost.published);
    assert_flat("notices of 8 joins from elsewhere", published);
    let rows = costs.map(|cost| cost.statements.rows);
    assert_flat_for_each("member", "rows of 8 joins from elsewhere", rows, SIZES);
    group.scene.end().await;
}

/// Whether an event is a row of a conversation, or the word to read it.
fn concerns(event: &Event, id: ConversationId) -> bool {
    match event {
        Event::Message(message) => message.conversation == id,
        Event::Resync(resync) => resync.heads.iter().any(|mark| mark.conversation == id),
        _ => false,
    }
}
