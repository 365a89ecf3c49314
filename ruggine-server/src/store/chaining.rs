//! Judging device lists that are to be appended. Both backends share this, so
//! that they cannot disagree on which list follows which.

use super::{AppendList, NewDeviceList};

/// The newest list of a user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) version: u64,
    pub(super) hash: [u8; 32],
    pub(super) account: [u8; 32],
}

/// What becomes of a list beside the newest one; `None` where it follows.
pub(super) fn judge(newest: Option<&Newest>, list: &NewDeviceList) -> Option<AppendList> {
    let follows = match newest {
        None => list.version == 1,
        Some(newest) if newest.hash == list.hash => return Some(AppendList::Existed),
        Some(newest) => {
            list.version.checked_sub(1) == Some(newest.version)
                && list.previous == newest.hash
                && list.account == newest.account
        }
    };
    (!follows).then_some(AppendList::Conflict)
}
