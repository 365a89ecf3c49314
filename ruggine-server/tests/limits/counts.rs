//! What limits refuse is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ruggine_core::codec::Encoding;
use ruggine_server::metrics::{Measurement, Metrics};
use ruggine_server::testing::{SocketClient, text_message};

use super::support::{exhaust, limited};

/// Counts the measurements that say that something was too much.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    limited: AtomicU64,
    pub(crate) lagged: AtomicU64,
}

impl Metrics for Counts {
    fn record(&self, measurement: Measurement) {
        match measurement {
            Measurement::Limited => self.limited.fetch_add(1, Ordering::Relaxed),
            Measurement::Lagged => self.lagged.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

#[tokio::test]
async fn what_limits_refuse_is_counted() {
    let counts = Arc::new(Counts::default());
    let server = limited(|limits| {
        limits.sends_per_second = 1;
        limits.send_burst = 1;
        limits.sockets_per_user = 1;
    })
    .metrics(counts.clone())
    .start()
    .await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    assert_eq!(counts.limited.load(Ordering::Relaxed), 0);
    exhaust(1, Duration::from_secs(1), || {
        http.call(text_message(group, "more"))
    })
    .await;
    assert_eq!(counts.limited.load(Ordering::Relaxed), 1);
    let _socket = server.socket(&ada, Encoding::Json).await;
    let mut second = SocketClient::connect(server.address(), Encoding::Json).await;
    second.hello(ada.token()).await.unwrap_err();
    assert_eq!(counts.limited.load(Ordering::Relaxed), 2);
}
