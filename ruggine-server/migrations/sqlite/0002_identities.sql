-- What people say about their devices, and what devices leave here so that
-- others can add them to a group. All of it is signed, holds no secret and is
-- handed to whoever asks, so it is not sealed.

-- Every version of everybody's device list. Rows are added and nothing else.
CREATE TABLE device_lists (
    user_id   BLOB NOT NULL,
    version   INTEGER NOT NULL,
    -- The account key that signed it.
    account   BLOB NOT NULL,
    hash      BLOB NOT NULL,
    body      BLOB NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, version)
) STRICT, WITHOUT ROWID;

-- A package that was handed out, replaced or withdrawn is spent: its name stays
-- until it would have expired, so that it is not taken a second time.
CREATE TABLE key_packages (
    user_id     BLOB NOT NULL,
    device_id   BLOB NOT NULL,
    reference   BLOB NOT NULL,
    suite       INTEGER NOT NULL,
    last_resort INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    spent_at    INTEGER,
    -- Under which it was made; empty once spent, like the body.
    certificate BLOB NOT NULL,
    body        BLOB NOT NULL,
    PRIMARY KEY (user_id, device_id, reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_packages_left ON key_packages (user_id, device_id, suite, last_resort, expires_at)
    WHERE spent_at IS NULL;
CREATE UNIQUE INDEX key_packages_last ON key_packages (user_id, device_id, suite)
    WHERE last_resort AND spent_at IS NULL;
CREATE INDEX key_packages_by_end ON key_packages (expires_at);
