//! Sizes that both sides agree on. A peer that exceeds one gets a typed error
//! or a coded close; nothing is truncated.

/// Bytes of one frame from a client, text or binary.
pub const CLIENT_FRAME_MAX: usize = 64 * 1024;
/// Bytes of one frame from a server: a full page with its wrapping.
pub const SERVER_FRAME_MAX: usize = 576 * 1024;
/// Bytes of a message's payload.
pub const PAYLOAD_MAX: usize = 40 * 1024;
/// Bytes of payload in one page.
pub const PAGE_BYTES_MAX: usize = 512 * 1024;
/// Rows of one page; also the size that is served when none is asked for.
pub const PAGE_ROWS_MAX: u32 = 100;
/// Conversations in one page of `hello` or `sync.heads`.
pub const HEADS_PAGE: usize = 500;
/// Nesting of arrays and objects in a frame.
pub const DEPTH_MAX: usize = 32;
/// Nesting in a frame from a server, which may wrap a client's content.
pub const SERVER_DEPTH_MAX: usize = 48;
/// Elements of one array, or entries of one object, in a frame from a client.
pub const ELEMENTS_MAX: usize = 1_000;
/// Elements of one array in a frame from a server.
pub const SERVER_ELEMENTS_MAX: usize = 10_000;
/// Characters of a username.
pub const USERNAME_MIN: usize = 3;
/// Characters of a username.
pub const USERNAME_MAX: usize = 32;
/// Characters of a display name.
pub const DISPLAY_NAME_MAX: usize = 64;
/// Characters of a password.
pub const PASSWORD_MIN: usize = 12;
/// Characters of a password.
pub const PASSWORD_MAX: usize = 128;
/// Users named in one `conversation.create` or `member.add`.
pub const MEMBERS_PER_REQUEST: usize = 100;
/// Conversations that one user can be in.
pub const CONVERSATIONS_PER_USER: usize = 5_000;
/// Members of one group.
pub const GROUP_MEMBERS_MAX: usize = 100_000;
/// Users in one `presence.query`.
pub const PRESENCE_QUERY_MAX: usize = 100;
/// Users in one `identity.get`.
pub const IDENTITY_QUERY_MAX: usize = 100;
/// Versions of one user's device list: whoever meets the user reads all of them.
pub const DEVICE_LIST_VERSIONS_MAX: u64 = 10_000;
/// Device lists of one user in one answer.
pub const DEVICE_LISTS_PER_USER: usize = 20;
/// Bytes of device lists in one answer.
pub const DEVICE_LISTS_BYTES_MAX: usize = 256 * 1024;
/// Key packages in one `key_package.publish`, with the one of last resort.
pub const KEY_PACKAGES_PER_REQUEST: usize = 51;
/// Key packages of one suite that the server keeps for a device, besides the
/// one of last resort.
pub const KEY_PACKAGES_MAX: u32 = 100;
/// Mentions in one text.
pub const MENTIONS_MAX: usize = 100;
/// Bytes of a conversation's title.
pub const TITLE_MAX: usize = 256;
