//! Hooks that outlive the server that asks them.

use std::fmt;
use std::sync::Arc;

use crate::hooks::{Attempt, DynHooks, Hooks, Outcome, Verdict};

/// Hands on to hooks that somebody else holds too, so that a test can look at
/// them, and a server that starts again finds them as they were.
#[derive(Clone)]
pub struct SharedHooks(Arc<dyn DynHooks>);

impl SharedHooks {
    /// Hands on to these.
    #[must_use]
    pub fn new(hooks: Arc<dyn DynHooks>) -> Self {
        Self(hooks)
    }
}

impl Hooks for SharedHooks {
    async fn before(&self, attempt: Attempt) -> Verdict {
        DynHooks::before(&*self.0, attempt).await
    }

    async fn after(&self, outcome: Outcome) {
        DynHooks::after(&*self.0, outcome).await;
    }
}

impl fmt::Debug for SharedHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedHooks")
    }
}
