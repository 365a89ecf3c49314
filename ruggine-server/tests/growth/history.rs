//! One conversation whose log grows.

use std::net::Ipv4Addr;

use ruggine_core::api::conversation::Get;
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::position::Delivered;
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::limits;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, Seq};
use ruggine_server::auth::Principal;
use ruggine_server::engine::Caller;
use ruggine_server::testing::{Person, SocketClient, TestServer, text_message};

use super::cost::{Cost, Meter};
use super::scene::Scene;

/// Rows of the log. One of these has 20 to a page of the database, so reading
/// all of it would be 50 pages, then 100 and 200.
const SIZES: [u64; 3] = [1_000, 2_000, 4_000];
/// Rows that a device has missed.
const MISSED: u64 = 10;

/// Writes messages as fast as the server takes them.
pub(crate) async fn write(
    server: &TestServer,
    person: &Person,
    conversation: ConversationId,
    count: u64,
) {
    let engine = server.engine();
    let caller = Caller {
        principal: Some(Principal {
            user: person.user(),
            device: person.device(),
            session: person.session(),
        }),
        ..Caller::anonymous(Ipv4Addr::LOCALHOST.into())
    };
    let mut pending = Vec::new();
    for _ in 0..count {
        let submitted = engine.submit(&caller, text_message(conversation, "ciao"));
        pending.push(submitted.expect("there is room for so many"));
    }
    for pending in pending {
        let ack = engine.acknowledge(pending).await;
        ack.expect("a member may write");
    }
}

/// A group of two, its log, and a meter before their server.
struct Log {
    scene: Scene,
    meter: Meter,
    ada: Person,
    bob: Person,
    group: ConversationId,
}

impl Log {
    async fn new() -> Self {
        let scene = Scene::alone().await;
        let ada = scene.server().register("ada").await;
        let bob = scene.server().register("bob").await;
        let group = scene.server().group(&ada, &[&bob]).await;
        Self {
            meter: scene.meter().await,
            scene,
            ada,
            bob,
            group,
        }
    }

    async fn head(&self) -> u64 {
        let get = Get {
            conversation: self.group,
        };
        let seen = self.scene.server().http_of(&self.ada).call(get).await;
        seen.expect("she is a member").head.get()
    }

    /// Lets it grow to so many rows.
    async fn grow(&mut self, rows: u64) {
        let more = rows - self.head().await;
        write(self.scene.server(), &self.ada, self.group, more).await;
        self.meter.refresh().await;
    }

    /// What is read forwards or backwards from here, at most a page.
    const fn page(&self, from: PageStart) -> PageRequest {
        PageRequest {
            conversation: self.group,
            from,
            limit: None,
            as_content: false,
        }
    }
}

#[tokio::test]
async fn a_send_costs_the_same_whatever_the_history() {
    let mut log = Log::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        log.grow(size).await;
        let group = log.group;
        let mut phone = log.meter.socket(&log.ada).await;
        let send = async || {
            let ack = phone.call(text_message(group, "ciao")).await;
            ack.expect("a member may write");
            // Her own row comes to her too, before or after the answer.
            phone.next_row().await;
        };
        *cost = log.meter.measure(32, send).await;
        phone.close().await;
    }
    Cost::assert_all_flat("32 sends with more history", costs);
    log.scene.end().await;
}

#[tokio::test]
async fn a_page_costs_the_same_however_long_the_log_and_wherever_it_lies() {
    let mut log = Log::new().await;
    let mut back = [Cost::default(); 3];
    let mut forth = [Cost::default(); 3];
    for (at, size) in SIZES.into_iter().enumerate() {
        log.grow(size).await;
        let newest = log.page(PageStart::Newest);
        let middle = log.page(PageStart::After(Seq::new(size / 2)));
        let mut phone = log.meter.socket(&log.bob).await;

        // Through the newest 900 rows, as somebody who scrolls up.
        back[at] = log
            .meter
            .measure(4, async || {
                let mut request = newest.clone();
                for _ in 0..9 {
                    let page = phone.call(request.clone()).await.expect("he is a member");
                    assert_eq!(page.items.len(), limits::PAGE_ROWS_MAX as usize);
                    request.from = PageStart::Before(page.from);
                }
            })
            .await;
        // Through 400 rows of the middle, as somebody who was away that long.
        forth[at] = log
            .meter
            .measure(4, async || {
                let mut request = middle.clone();
                for _ in 0..4 {
                    let page = phone.call(request.clone()).await.expect("he is a member");
                    assert_eq!(page.items.len(), limits::PAGE_ROWS_MAX as usize);
                    request.from = PageStart::After(page.to);
                }
            })
            .await;
        phone.close().await;
    }
    Cost::assert_all_flat("36 pages backwards with more history", back);
    Cost::assert_all_flat("16 pages forwards with more history", forth);
    log.scene.end().await;
}

#[tokio::test]
async fn coming_back_to_a_few_missed_rows_costs_the_same_whatever_the_history() {
    let mut log = Log::new().await;
    let mut costs = [Cost::default(); 3];
    for (size, cost) in SIZES.into_iter().zip(&mut costs) {
        log.grow(size).await;
        let had = Seq::new(log.head().await - MISSED);
        let delivered = Delivered {
            conversation: log.group,
            seq: had,
        };
        let reported = log.scene.server().http_of(&log.bob).call(delivered).await;
        reported.expect("he is a member");

        let hello = Hello {
            token: log.bob.token().clone(),
            protocol: ProtocolVersion::CURRENT,
            locale: None,
            incarnation: Some(log.scene.server().engine().incarnation()),
        };
        let missed = log.page(PageStart::After(had));
        let address = log.meter.address();
        let come_back = async || {
            let mut phone = SocketClient::connect(address, Encoding::MsgPack).await;
            let heads = phone.call(hello.clone()).await.expect("the token is valid");
            assert_eq!(heads.conversations.len(), 1);
            assert_eq!(heads.conversations[0].cursor, had);
            let page = phone.call(missed.clone()).await.expect("he is a member");
            assert_eq!(page.items.len() as u64, MISSED);
            phone.close().await;
        };
        *cost = log.meter.measure(8, come_back).await;
    }
    Cost::assert_all_flat("8 returns to ten missed rows with more history", costs);
    log.scene.end().await;
}
