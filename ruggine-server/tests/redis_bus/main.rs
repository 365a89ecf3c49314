//! What is particular to the bus over Redis: which servers it is started with,
//! what becomes of notices when connections break, and clusters that change.
#![cfg(feature = "redis")]

mod breaking;
mod cluster;
mod starting;

use std::path::Path;
use std::sync::Arc;

use ruggine_core::secret::SecretText;
use ruggine_core::{ConversationId, Seq, Timestamp};
use ruggine_server::bus::redis::{RedisBus, RedisOptions};
use ruggine_server::bus::{DynBus, InstanceId, Notice, Notices, Passage, Topic};
use ruggine_server::store::ConversationHead;
use ruggine_server::testing::patiently;
use ruggine_services::Redis;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A server of the test's own.
fn server(folder: &Path, arguments: &[&str]) -> Redis {
    Redis::create_with(&folder.join("redis"), arguments).expect("Redis is installed")
}

fn options(url: &str) -> RedisOptions {
    RedisOptions::from_url(&SecretText::new(url)).expect("it is the URL of a server")
}

fn topic() -> Topic {
    Topic::Conversation(ConversationId::new(NOW))
}

/// A small notice that can be told from others.
fn head(number: u64) -> Notice {
    Notice::Head(ConversationHead {
        conversation: ConversationId::from_bytes([7; 16]),
        head: Seq::new(number),
        roster_version: 1,
    })
}

/// An instance on a bus of its own.
struct Instance {
    bus: Arc<dyn DynBus>,
    id: InstanceId,
    notices: Notices,
}

impl Instance {
    async fn attach(options: RedisOptions) -> Self {
        let bus = RedisBus::connect(options).await;
        let bus: Arc<dyn DynBus> = Arc::new(bus.expect("the server can be used"));
        let id = InstanceId::new();
        let notices = bus.attach(id).await.expect("an instance can be attached");
        Self { bus, id, notices }
    }

    async fn follow(&self, topic: Topic) {
        let followed = self.bus.follow(self.id, vec![topic]).await;
        followed.expect("a topic can be followed");
    }

    async fn publish(&self, topic: Topic, notice: Notice) -> Passage {
        let published = self.bus.publish(self.id, topic, notice).await;
        published.expect("a notice is taken")
    }

    async fn next(&mut self) -> Notice {
        let next = patiently("a notice", self.notices.next()).await;
        next.expect("the bus is still there")
    }

    /// Hears a notice, whatever came before it and was said twice.
    async fn hear(&mut self, wanted: &Notice) {
        while self.next().await != *wanted {}
    }
}
