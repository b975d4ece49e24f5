-- +goose Up
-- What other servers sign their requests with.
CREATE TABLE server_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    label        TEXT    NOT NULL,
    secret_enc   TEXT    NOT NULL, -- sealed
    hint         TEXT    NOT NULL, -- its last four characters
    created_by   TEXT    NOT NULL REFERENCES users (id),
    last_used_at INTEGER,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Numbers that a key has used, so that a request is good once.
CREATE TABLE nonces (
    server_key_id TEXT    NOT NULL,
    nonce         TEXT    NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (server_key_id, nonce)
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_expires ON nonces (expires_at);

-- Answers to calls that may be made again with their key, for a day.
CREATE TABLE idempotency (
    caller     TEXT    NOT NULL, -- user, server key, or keyed index of an address
    route      TEXT    NOT NULL, -- operation
    key        TEXT    NOT NULL, -- SHA-256 of path and key, hex
    body_hash  TEXT    NOT NULL, -- SHA-256 of query and body, hex
    claim      TEXT    NOT NULL, -- the request that runs or ran
    busy_until INTEGER NOT NULL, -- by then it runs no more
    answer_enc TEXT    NOT NULL, -- sealed; '' while it runs
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (caller, route, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expires ON idempotency (expires_at);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE nonces;
DROP TABLE server_keys;
