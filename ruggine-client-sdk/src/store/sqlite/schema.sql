-- Version 1. Ids are 16 bytes, times milliseconds. The file as a whole is
-- encrypted, so what stands here is plain.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    conv_id         BLOB PRIMARY KEY,
    kind            TEXT NOT NULL,
    mode            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    head            INTEGER NOT NULL,
    cursor          INTEGER NOT NULL,
    floor           INTEGER NOT NULL,
    own_read        INTEGER NOT NULL,
    -- The own read position that the server was told from here.
    read_told       INTEGER NOT NULL DEFAULT 0,
    role            TEXT,
    peer            BLOB,
    roster_version  INTEGER NOT NULL,
    members_version INTEGER NOT NULL DEFAULT 0,
    title           TEXT NOT NULL DEFAULT '',
    title_seq       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    conv_id       BLOB NOT NULL,
    seq           INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    sender        BLOB NOT NULL,
    device_id     BLOB NOT NULL,
    client_msg_id BLOB NOT NULL,
    server_ts     INTEGER NOT NULL,
    payload       BLOB,
    -- 1 where the row counts as unread, 2 where it also names the user.
    weight        INTEGER NOT NULL,
    PRIMARY KEY (conv_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_countable ON messages (conv_id, seq, sender, weight) WHERE weight > 0;

CREATE TABLE outbox (
    place         INTEGER PRIMARY KEY AUTOINCREMENT,
    conv_id       BLOB NOT NULL,
    client_msg_id BLOB NOT NULL,
    payload       BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    acked_seq     INTEGER,
    acked_at      INTEGER,
    failure       TEXT,
    UNIQUE (conv_id, client_msg_id)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (conv_id, place) WHERE acked_seq IS NULL AND failure IS NULL;

CREATE TABLE users (
    user_id      BLOB PRIMARY KEY,
    username     TEXT NOT NULL,
    display_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    conv_id   BLOB NOT NULL,
    user_id   BLOB NOT NULL,
    role      TEXT NOT NULL,
    delivered INTEGER NOT NULL,
    read      INTEGER NOT NULL,
    PRIMARY KEY (conv_id, user_id)
) STRICT, WITHOUT ROWID;
