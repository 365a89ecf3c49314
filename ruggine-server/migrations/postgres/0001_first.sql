-- The same shape as in SQLite. Every unique key starts with a conversation,
-- user or device id, so that the tables can be spread over several servers.
-- Times are milliseconds, texts of people are sealed JSON. Names compare by
-- their bytes.

CREATE TABLE meta (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

-- Every key that ever sealed a record here, with a record that proves it.
CREATE TABLE sealing_keys (
    kid    text COLLATE "C" PRIMARY KEY,
    record text NOT NULL
);

CREATE TABLE users (
    user_id       uuid PRIMARY KEY,
    username      text COLLATE "C" NOT NULL,
    profile       text NOT NULL,
    password_hash text,
    created_at    bigint NOT NULL
);

CREATE TABLE usernames (
    username text COLLATE "C" PRIMARY KEY,
    user_id  uuid NOT NULL
);

-- Counters and positions change in place: room is left beside each row, and
-- no index covers what moves.
CREATE TABLE devices (
    user_id       uuid NOT NULL,
    device_id     uuid NOT NULL,
    name          text NOT NULL,
    secret_hash   bytea NOT NULL,
    write_counter bigint NOT NULL DEFAULT 0,
    created_at    bigint NOT NULL,
    PRIMARY KEY (user_id, device_id)
) WITH (fillfactor = 70);

CREATE TABLE sessions (
    user_id      uuid NOT NULL,
    session_id   uuid NOT NULL,
    device_id    uuid NOT NULL,
    -- The refresh generation in use; a token of an older one is a reuse.
    generation   bigint NOT NULL,
    created_at   bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    revoked_at   bigint,
    PRIMARY KEY (user_id, session_id)
) WITH (fillfactor = 70);

CREATE TABLE tokens (
    user_id    uuid NOT NULL,
    hash       bytea NOT NULL,
    session_id uuid NOT NULL,
    kind       text NOT NULL,
    generation bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (user_id, hash)
);
CREATE INDEX tokens_by_session ON tokens (user_id, session_id);
CREATE INDEX tokens_by_end ON tokens (expires_at);

CREATE TABLE conversations (
    conv_id        uuid PRIMARY KEY,
    kind           text NOT NULL,
    mode           text NOT NULL,
    creator        uuid NOT NULL,
    created_at     bigint NOT NULL,
    last_seq       bigint NOT NULL,
    roster_version bigint NOT NULL,
    member_count   bigint NOT NULL,
    mls_epoch      bigint
) WITH (fillfactor = 50);

CREATE TABLE directs (
    low_user  uuid NOT NULL,
    high_user uuid NOT NULL,
    mode      text COLLATE "C" NOT NULL,
    conv_id   uuid NOT NULL,
    PRIMARY KEY (low_user, high_user, mode)
);

-- One row per stay. Both ends are included; an open end means membership.
CREATE TABLE members (
    conv_id   uuid NOT NULL,
    user_id   uuid NOT NULL,
    from_seq  bigint NOT NULL,
    until_seq bigint,
    role      text NOT NULL,
    PRIMARY KEY (conv_id, user_id, from_seq)
);
CREATE INDEX members_by_user ON members (user_id, conv_id);
CREATE UNIQUE INDEX members_once ON members (conv_id, user_id) WHERE until_seq IS NULL;
-- Whether a group keeps an owner is asked with every change of its roster.
CREATE INDEX members_owners ON members (conv_id) WHERE until_seq IS NULL AND role = 'owner';

CREATE TABLE messages (
    conv_id       uuid NOT NULL,
    seq           bigint NOT NULL,
    kind          text NOT NULL,
    sender        uuid NOT NULL,
    device_id     uuid NOT NULL,
    client_msg_id uuid NOT NULL,
    mls_epoch     bigint,
    key_id        text NOT NULL,
    created_at    bigint NOT NULL,
    body          text NOT NULL,
    PRIMARY KEY (conv_id, seq),
    CONSTRAINT messages_once UNIQUE (conv_id, device_id, client_msg_id)
) PARTITION BY HASH (conv_id);

-- Sealed bodies do not shrink: trying costs time for nothing. The partitions
-- take the setting over when they are made.
ALTER TABLE messages ALTER COLUMN body SET STORAGE EXTERNAL;

DO $$
BEGIN
    FOR part IN 0..63 LOOP
        EXECUTE format(
            'CREATE TABLE messages_%s PARTITION OF messages FOR VALUES WITH (MODULUS 64, REMAINDER %s)',
            lpad(part::text, 2, '0'), part);
    END LOOP;
END
$$;

CREATE TABLE device_cursors (
    device_id uuid NOT NULL,
    conv_id   uuid NOT NULL,
    user_id   uuid NOT NULL,
    delivered bigint NOT NULL DEFAULT 0,
    -- The own read position that this device is known to have.
    read_seen bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, conv_id)
) WITH (fillfactor = 70);
CREATE INDEX device_cursors_by_user ON device_cursors (conv_id, user_id);

CREATE TABLE read_positions (
    user_id uuid NOT NULL,
    conv_id uuid NOT NULL,
    seq     bigint NOT NULL,
    PRIMARY KEY (user_id, conv_id)
) WITH (fillfactor = 70);

-- What was committed and may not have been announced yet: one row per batch.
CREATE TABLE outbox (
    batch_id   uuid PRIMARY KEY,
    created_at bigint NOT NULL,
    heads      text NOT NULL
);
CREATE INDEX outbox_by_age ON outbox (created_at);
