//! Device lists: what people say about their devices.

use std::collections::HashSet;

use ruggine_core::api::identity::{Get, Lists, Publish, Published, UserLists};
use ruggine_core::{ErrorCode, UserId, limits};
use ruggine_crypto::identity::{DeviceCertificate, DeviceList};

use super::{Caller, Engine, EngineError, EngineResult, Verb};
use crate::store::{AppendList, NewDeviceList, StoreError, StoredDeviceList};

/// Users whose lists are read together.
const USERS_TOGETHER: usize = 10;

impl Engine {
    /// The newest device list of a user.
    pub(super) async fn device_list(&self, user: UserId) -> EngineResult<Option<DeviceList>> {
        let Some(stored) = self.0.store.newest_device_list(user).await? else {
            return Ok(None);
        };
        match DeviceList::from_bytes(&stored.body) {
            Ok(list) => Ok(Some(list)),
            Err(_) => Err(EngineError::Store(StoreError::Inconsistent {
                table: "device_lists",
                column: "body",
            })),
        }
    }
}

impl Verb for Publish {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Published> {
        let user = caller.principal()?.user;
        engine.0.rates.lists.check(&user)?;
        let list = DeviceList::from_bytes(&self.list).map_err(|error| {
            EngineError::detailed(ErrorCode::InvalidIdentity, error.to_string())
        })?;
        if list.user() != user {
            return Err(EngineError::detailed(
                ErrorCode::InvalidIdentity,
                "the device list is of another user",
            ));
        }
        let version = list.version();
        if version > limits::DEVICE_LIST_VERSIONS_MAX {
            return Err(EngineError::detailed(ErrorCode::LimitReached, "versions"));
        }
        let new = NewDeviceList {
            user,
            version,
            previous: *list.previous(),
            hash: list.hash(),
            account: *list.account().as_bytes(),
            devices: list
                .devices()
                .iter()
                .map(DeviceCertificate::device)
                .collect(),
            body: self.list,
            at: engine.0.clock.now(),
        };
        match engine.0.store.append_device_list(new).await? {
            AppendList::Appended | AppendList::Existed => Ok(Published { version }),
            AppendList::Conflict => Err(EngineError::rejected(ErrorCode::IdentityConflict)),
            AppendList::ForeignDevice => Err(EngineError::detailed(
                ErrorCode::InvalidIdentity,
                "the user has never logged in on a device of the list",
            )),
        }
    }
}

impl Verb for Get {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Lists> {
        caller.principal()?;
        if self.users.len() > limits::IDENTITY_QUERY_MAX {
            return Err(EngineError::detailed(ErrorCode::LimitReached, "users"));
        }
        let mut named = HashSet::new();
        let asked: Vec<(UserId, u64)> = self
            .users
            .iter()
            .filter(|known| named.insert(known.user))
            .map(|known| (known.user, known.after))
            .collect();
        let mut answer = Answer {
            users: Vec::with_capacity(asked.len()),
            room: limits::DEVICE_LISTS_BYTES_MAX,
        };
        for some in asked.chunks(USERS_TOGETHER) {
            let stored = match answer.room {
                0 => Vec::new(),
                // One more says whether there are more.
                _ => {
                    let per_user = limits::DEVICE_LISTS_PER_USER + 1;
                    engine.0.store.device_lists(some.to_vec(), per_user).await?
                }
            };
            answer.take(some, stored);
        }
        Ok(Lists {
            users: answer.users,
        })
    }
}

/// An answer that is being made.
struct Answer {
    users: Vec<UserLists>,
    /// Bytes that still fit; zero once something did not.
    room: usize,
}

impl Answer {
    /// Takes lists of these users as far as there is room. They come in the
    /// order of the users.
    fn take(&mut self, users: &[(UserId, u64)], stored: Vec<StoredDeviceList>) {
        let mut stored = stored.into_iter().peekable();
        for (user, _) in users {
            let mut lists = Vec::new();
            let mut more = self.room == 0;
            while let Some(list) = stored.next_if(|list| list.user == *user) {
                if lists.len() == limits::DEVICE_LISTS_PER_USER {
                    more = true;
                } else if let Some(left) = self.room.checked_sub(list.body.len()) {
                    self.room = left;
                    lists.push(list.body);
                } else {
                    self.room = 0;
                    more = true;
                }
            }
            self.users.push(UserLists {
                user: *user,
                lists,
                more,
            });
        }
    }
}
