-- What people say about their devices, and what devices leave here so that
-- others can add them to a group. The same shape as in SQLite. All of it is
-- signed, holds no secret and is handed to whoever asks, so it is not sealed.

-- Every version of everybody's device list. Rows are added and nothing else.
CREATE TABLE device_lists (
    user_id   uuid NOT NULL,
    version   bigint NOT NULL,
    -- The account key that signed it.
    account   bytea NOT NULL,
    hash      bytea NOT NULL,
    body      bytea NOT NULL,
    stored_at bigint NOT NULL,
    PRIMARY KEY (user_id, version)
);

-- A package that was handed out, replaced or withdrawn is spent: its name stays
-- until it would have expired, so that it is not taken a second time.
CREATE TABLE key_packages (
    user_id     uuid NOT NULL,
    device_id   uuid NOT NULL,
    reference   bytea NOT NULL,
    suite       bigint NOT NULL,
    last_resort boolean NOT NULL,
    expires_at  bigint NOT NULL,
    spent_at    bigint,
    -- Under which it was made; empty once spent, like the body.
    certificate bytea NOT NULL,
    body        bytea NOT NULL,
    PRIMARY KEY (user_id, device_id, reference)
);
CREATE INDEX key_packages_left ON key_packages (user_id, device_id, suite, last_resort, expires_at)
    WHERE spent_at IS NULL;
CREATE UNIQUE INDEX key_packages_last ON key_packages (user_id, device_id, suite)
    WHERE last_resort AND spent_at IS NULL;
CREATE INDEX key_packages_by_end ON key_packages (expires_at);

-- Keys and signatures do not shrink: trying costs time for nothing.
ALTER TABLE device_lists ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE key_packages ALTER COLUMN body SET STORAGE EXTERNAL;
