//! View-models: what a client shows, as lists that tell how they change.
//!
//! They hold facts ready to be shown and no prose, no colours and no widgets.
//! Each is a value that its owner drives: `next` waits for something to change
//! and returns the differences, which lead from the list before to the list now.

mod conversation_list;
mod diff;
mod timeline;

pub use conversation_list::{ConversationItem, ConversationList, Preview};
pub use diff::{Diff, apply_diffs};
pub use timeline::{Body, ItemKey, SendState, Timeline, TimelineItem};
