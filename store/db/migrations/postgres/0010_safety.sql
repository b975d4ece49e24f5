-- +goose Up
-- What other servers sign their requests with.
CREATE TABLE server_keys (
    id           TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    label        TEXT COLLATE "C"    NOT NULL,
    secret_enc   TEXT COLLATE "C"    NOT NULL, -- sealed
    hint         TEXT COLLATE "C"    NOT NULL, -- its last four characters
    created_by   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);

-- Numbers that a key has used, so that a request is good once.
CREATE TABLE nonces (
    server_key_id TEXT COLLATE "C"    NOT NULL,
    nonce         TEXT COLLATE "C"    NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (server_key_id, nonce)
);

CREATE INDEX nonces_expires ON nonces (expires_at);

-- Answers to calls that may be made again with their key, for a day.
CREATE TABLE idempotency (
    caller     TEXT COLLATE "C"    NOT NULL, -- user, server key, or keyed index of an address
    route      TEXT COLLATE "C"    NOT NULL, -- operation
    key        TEXT COLLATE "C"    NOT NULL, -- SHA-256 of path and key, hex
    body_hash  TEXT COLLATE "C"    NOT NULL, -- SHA-256 of query and body, hex
    claim      TEXT COLLATE "C"    NOT NULL, -- the request that runs or ran
    busy_until BIGINT NOT NULL, -- by then it runs no more
    answer_enc TEXT COLLATE "C"    NOT NULL, -- sealed; '' while it runs
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (caller, route, key)
);

CREATE INDEX idempotency_expires ON idempotency (expires_at);

-- +goose Down
DROP TABLE idempotency;
DROP TABLE nonces;
DROP TABLE server_keys;
