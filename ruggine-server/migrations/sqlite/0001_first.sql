-- Every unique key starts with a conversation, user or device id, so that the
-- same shape can be spread over several servers. Ids are 16 bytes, times are
-- milliseconds, texts of people are sealed JSON.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Every key that ever sealed a record here, with a record that proves it.
CREATE TABLE sealing_keys (
    kid    TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    user_id       BLOB PRIMARY KEY,
    username      TEXT NOT NULL,
    profile       TEXT NOT NULL,
    password_hash TEXT,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usernames (
    username TEXT PRIMARY KEY,
    user_id  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    user_id       BLOB NOT NULL,
    device_id     BLOB NOT NULL,
    name          TEXT NOT NULL,
    secret_hash   BLOB NOT NULL,
    write_counter INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    user_id      BLOB NOT NULL,
    session_id   BLOB NOT NULL,
    device_id    BLOB NOT NULL,
    -- The refresh generation in use; a token of an older one is a reuse.
    generation   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    revoked_at   INTEGER,
    PRIMARY KEY (user_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
    user_id    BLOB NOT NULL,
    hash       BLOB NOT NULL,
    session_id BLOB NOT NULL,
    kind       TEXT NOT NULL,
    generation INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_session ON tokens (user_id, session_id);
CREATE INDEX tokens_by_end ON tokens (expires_at);

CREATE TABLE conversations (
    conv_id        BLOB PRIMARY KEY,
    kind           TEXT NOT NULL,
    mode           TEXT NOT NULL,
    creator        BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    last_seq       INTEGER NOT NULL,
    roster_version INTEGER NOT NULL,
    member_count   INTEGER NOT NULL,
    mls_epoch      INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE directs (
    low_user  BLOB NOT NULL,
    high_user BLOB NOT NULL,
    mode      TEXT NOT NULL,
    conv_id   BLOB NOT NULL,
    PRIMARY KEY (low_user, high_user, mode)
) STRICT, WITHOUT ROWID;

-- One row per stay. Both ends are included; an open end means membership.
CREATE TABLE members (
    conv_id   BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    from_seq  INTEGER NOT NULL,
    until_seq INTEGER,
    role      TEXT NOT NULL,
    PRIMARY KEY (conv_id, user_id, from_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, conv_id);
CREATE UNIQUE INDEX members_once ON members (conv_id, user_id) WHERE until_seq IS NULL;
-- Whether a group keeps an owner is asked with every change of its roster. All
-- columns of the question are in it, or the primary key would be preferred.
CREATE INDEX members_owners ON members (conv_id, role, until_seq)
    WHERE until_seq IS NULL AND role = 'owner';

CREATE TABLE messages (
    conv_id       BLOB NOT NULL,
    seq           INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    sender        BLOB NOT NULL,
    device_id     BLOB NOT NULL,
    client_msg_id BLOB NOT NULL,
    mls_epoch     INTEGER,
    key_id        TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    body          TEXT NOT NULL,
    PRIMARY KEY (conv_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_once ON messages (conv_id, device_id, client_msg_id);

CREATE TABLE device_cursors (
    device_id BLOB NOT NULL,
    conv_id   BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    -- The own read position that this device is known to have.
    read_seen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, conv_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_cursors_by_user ON device_cursors (conv_id, user_id, delivered);

CREATE TABLE read_positions (
    user_id BLOB NOT NULL,
    conv_id BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (user_id, conv_id)
) STRICT, WITHOUT ROWID;

-- What was committed and may not have been announced yet: one row per batch.
CREATE TABLE outbox (
    batch_id   BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL,
    heads      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_age ON outbox (created_at);
