//! One instance to which more and more members of a group are connected.

use ruggine_core::ConversationId;
use ruggine_core::api::member::Add;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{Person, SocketClient, text_message};

use super::cost::{Cost, Meter};
use super::history::write;
use super::people::logged_in;
use super::scene::Scene;

/// Connected members. Each takes two descriptors, and tests that run in one
/// process have a thousand together.
const SIZES: [usize; 3] = [32, 64, 128];

/// A group of which more and more members are connected. No meter is before
/// those, for what all of them receive is told by what one does.
struct Room {
    scene: Scene,
    meter: Meter,
    ada: Person,
    bob: Person,
    group: ConversationId,
    members: Vec<Person>,
    connected: Vec<SocketClient>,
}

impl Room {
    async fn new() -> Self {
        let scene = Scene::alone().await;
        let server = scene.server();
        let ada = server.register("ada").await;
        let bob = server.register("bob").await;
        let group = server.group(&ada, &[&bob]).await;
        write(server, &ada, group, 1_000).await;
        let store = scene.database.open().await;
        let mut members = Vec::new();
        for number in 0..SIZES[2] {
            members.push(logged_in(&*store, &format!("member{number}")).await);
        }
        store.close().await;
        let http = server.http_of(&ada);
        for some in members.chunks(100) {
            let add = Add {
                conversation: group,
                users: some.iter().map(Person::user).collect(),
            };
            http.call(add).await.expect("an owner may add");
        }
        Self {
            meter: scene.meter().await,
            scene,
            ada,
            bob,
            group,
            members,
            connected: Vec::new(),
        }
    }

    /// Connects members until so many are.
    async fn fill(&mut self, count: usize) {
        for person in &self.members[self.connected.len()..count] {
            let socket = self.scene.server().socket(person, Encoding::MsgPack).await;
            self.connected.push(socket);
        }
        self.meter.refresh().await;
    }
}

#[tokio::test]
async fn a_send_costs_the_database_and_each_receiver_the_same_however_many_are_connected() {
    let mut room = Room::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        room.fill(size).await;
        let group = room.group;
        // Her bytes are not counted, only his, who receives.
        let mut sender = room
            .scene
            .server()
            .socket(&room.ada, Encoding::MsgPack)
            .await;
        let mut receiver = room.meter.socket(&room.bob).await;
        let connected = &mut room.connected;
        let send = async || {
            let ack = sender.call(text_message(group, "ciao")).await;
            ack.expect("a member may write");
            sender.next_row().await;
            receiver.next_row().await;
            for socket in connected.iter_mut() {
                socket.next_row().await;
            }
        };
        *cost = room.meter.measure(16, send).await;
        assert!(cost.received > 0, "he has received something");
        sender.close().await;
        receiver.close().await;
    }
    Cost::assert_all_flat("16 sends to more sockets", costs);
    room.scene.end().await;
}

#[tokio::test]
async fn a_hello_costs_the_same_however_many_are_connected() {
    let mut room = Room::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        room.fill(size).await;
        let address = room.meter.address();
        let token = room.bob.token().clone();
        let come_and_go = async || {
            let mut phone = SocketClient::connect(address, Encoding::MsgPack).await;
            let heads = phone.hello(&token).await.expect("the token is valid");
            assert_eq!(heads.conversations.len(), 1);
            phone.close().await;
        };
        *cost = room.meter.measure(8, come_and_go).await;
    }
    Cost::assert_all_flat("8 hellos beside more sockets", costs);
    room.scene.end().await;
}
