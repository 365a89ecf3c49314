//! More requests on one socket than may be under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ruggine_core::UserId;
use ruggine_core::api::Method;
use ruggine_core::api::account::{LookUp, User};
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::codec::Encoding;
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::testing::{TestServer, eventually};
use tokio::sync::Semaphore;

use super::scene::Scene;

/// Holds one operation of one user back, and counts how many are inside.
#[derive(Debug)]
struct Gate {
    method: Method,
    user: OnceLock<UserId>,
    inside: AtomicUsize,
    most: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn before(method: Method) -> Arc<Self> {
        Arc::new(Self {
            method,
            user: OnceLock::new(),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            open: Semaphore::new(0),
        })
    }
}

impl Hooks for Gate {
    async fn before(&self, attempt: Attempt) -> Verdict {
        let user = attempt.principal.map(|principal| principal.user);
        if attempt.method == self.method && user.as_ref() == self.user.get() {
            let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(inside, Ordering::SeqCst);
            drop(self.open.acquire().await);
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
        Verdict::Allow
    }

    async fn after(&self, _: Outcome) {}
}

#[tokio::test]
async fn no_more_requests_of_a_socket_are_under_way_than_may_be() {
    const REQUESTS: usize = 12;
    for (method, most) in [(Method::UserLookup, 3), (Method::MessagePage, 1)] {
        let gate = Gate::before(method);
        let options = TestServer::options().hooks(gate.clone()).config(|config| {
            config.limits.requests_in_flight = 3;
            config.hook_deadline = Duration::from_secs(600);
        });
        let mut scene = Scene::of(options).await;
        gate.user.set(scene.mallory.user()).unwrap();
        let mut socket = scene.server.socket(&scene.mallory, Encoding::Json).await;
        let lookup = LookUp {
            username: "ada".to_owned(),
        };
        let page = PageRequest {
            conversation: scene.shared,
            from: PageStart::Newest,
            limit: None,
            as_content: false,
        };
        let mut lookups = Vec::new();
        let mut pages = Vec::new();
        for _ in 0..REQUESTS {
            match method {
                Method::UserLookup => lookups.push(socket.begin(&lookup).await.unwrap()),
                _ => pages.push(socket.begin(&page).await.unwrap()),
            }
        }
        eventually("the gate to fill", async || {
            gate.inside.load(Ordering::SeqCst) == most
        })
        .await;
        scene.is_unharmed("requests that wait").await;
        assert_eq!(gate.inside.load(Ordering::SeqCst), most);
        gate.open.add_permits(REQUESTS);
        for pending in lookups {
            let user: User = socket.finish(pending).await.unwrap().unwrap();
            assert_eq!(user.username.as_str(), "ada");
        }
        for pending in pages {
            let page = socket.finish(pending).await.unwrap().unwrap();
            assert_eq!(page.items.len(), 1);
        }
        assert_eq!(gate.most.load(Ordering::SeqCst), most, "{method}");
    }
}
