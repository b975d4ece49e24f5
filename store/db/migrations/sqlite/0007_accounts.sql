-- +goose Up
ALTER TABLE users ADD COLUMN email_enc TEXT NOT NULL DEFAULT ''; -- sealed; '' is none
ALTER TABLE users ADD COLUMN email_bidx TEXT; -- keyed index of the address in lower case
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;
ALTER TABLE users ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'leaving', 'erased'));
ALTER TABLE users ADD COLUMN suspended_until INTEGER; -- NULL while suspended: for good
ALTER TABLE users ADD COLUMN suspended_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN session_version INTEGER NOT NULL DEFAULT 1; -- sessions of another version are dead
ALTER TABLE users ADD COLUMN bio TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN links TEXT NOT NULL DEFAULT '[]'; -- JSON list
ALTER TABLE users ADD COLUMN settings TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE users ADD COLUMN verified_at INTEGER;
ALTER TABLE users ADD COLUMN streamer_requested_at INTEGER; -- waits for an admin
ALTER TABLE users ADD COLUMN streamer_note TEXT NOT NULL DEFAULT '';

CREATE UNIQUE INDEX users_email ON users (email_bidx);
CREATE INDEX users_requests ON users (streamer_requested_at) WHERE streamer_requested_at IS NOT NULL;

-- A login on one device, and the family of its refresh tokens.
CREATE TABLE sessions (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      TEXT    NOT NULL REFERENCES users (id),
    version      INTEGER NOT NULL, -- users.session_version at the time
    transport    TEXT    NOT NULL CHECK (transport IN ('body', 'cookie')),
    device_name  TEXT    NOT NULL,
    ip_enc       TEXT    NOT NULL, -- sealed; '' once it is erased
    agent_enc    TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    end_reason   TEXT    NOT NULL -- '' while it lives
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_personal ON sessions (last_seen_at) WHERE ip_enc <> '';

CREATE TABLE refresh_tokens (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    family     TEXT    NOT NULL REFERENCES sessions (id),
    generation INTEGER NOT NULL,
    hash       TEXT    NOT NULL, -- SHA-256 of the token, hex
    used_at    INTEGER, -- replaced by the next generation
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash);
CREATE UNIQUE INDEX refresh_tokens_family ON refresh_tokens (family, generation);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

CREATE TABLE api_tokens (
    id           TEXT    NOT NULL PRIMARY KEY,
    user_id      TEXT    NOT NULL REFERENCES users (id),
    label        TEXT    NOT NULL,
    hash         TEXT    NOT NULL, -- SHA-256 of the token, hex
    hint         TEXT    NOT NULL, -- its last four characters
    scopes       TEXT    NOT NULL, -- JSON list
    expires_at   INTEGER,
    last_used_at INTEGER,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
CREATE INDEX api_tokens_user ON api_tokens (user_id, id);

CREATE TABLE totp (
    user_id      TEXT    NOT NULL PRIMARY KEY REFERENCES users (id),
    secret_enc   TEXT    NOT NULL, -- sealed
    confirmed_at INTEGER, -- asked for at logins from then on
    last_step    INTEGER NOT NULL, -- of the code used last: none is good twice
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_codes (
    id         TEXT    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    hash       TEXT    NOT NULL, -- SHA-256 of user and code, hex
    used_at    INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX recovery_codes_hash ON recovery_codes (hash);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id, id);

-- What is sent by mail or handed over, and good once.
CREATE TABLE one_time_codes (
    hash       TEXT    NOT NULL PRIMARY KEY, -- SHA-256, hex
    user_id    TEXT    NOT NULL REFERENCES users (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('password_reset', 'email_verify')),
    subject    TEXT    NOT NULL, -- email_verify: the keyed index of the address
    used_at    INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX one_time_codes_user ON one_time_codes (user_id, kind);
CREATE INDEX one_time_codes_expires ON one_time_codes (expires_at);

CREATE TABLE invites (
    id         TEXT    NOT NULL PRIMARY KEY,
    hash       TEXT    NOT NULL, -- SHA-256 of the code, hex
    hint       TEXT    NOT NULL,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0),
    created_by TEXT, -- NULL: the command line
    expires_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX invites_hash ON invites (hash);

-- Keys that access tokens are signed with.
CREATE TABLE signing_keys (
    id          TEXT    NOT NULL PRIMARY KEY, -- kid
    public_key  TEXT    NOT NULL, -- Ed25519, base64url
    private_enc TEXT    NOT NULL, -- sealed seed
    signs_from  INTEGER NOT NULL, -- shown before that, so that everyone knows it by then
    expires_at  INTEGER, -- NULL: the newest
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX signing_keys_expires ON signing_keys (expires_at);

CREATE TABLE login_failures (
    subject       TEXT    NOT NULL PRIMARY KEY, -- keyed index of account and network, or of the account
    failures      INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_failures_expires ON login_failures (expires_at);

-- The last link of each chain of the audit log.
CREATE TABLE audit_heads (
    node   TEXT    NOT NULL,
    day    TEXT    NOT NULL, -- 2026-03-01, UTC
    seq    INTEGER NOT NULL,
    hash   TEXT    NOT NULL,
    sealed TEXT    NOT NULL, -- '' until the day is over
    PRIMARY KEY (node, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_heads_open ON audit_heads (day) WHERE sealed = '';

CREATE TABLE audit_log (
    id          TEXT    NOT NULL PRIMARY KEY,
    at          INTEGER NOT NULL,
    node        TEXT    NOT NULL,
    day         TEXT    NOT NULL,
    seq         INTEGER NOT NULL, -- in the node's day, from 1
    actor_id    TEXT    NOT NULL, -- '' is nobody
    actor_role  TEXT    NOT NULL,
    via         TEXT    NOT NULL CHECK (via IN ('session', 'token', 'key', 'system')),
    ip          TEXT    NOT NULL, -- masked
    request_id  TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    target_type TEXT    NOT NULL,
    target_id   TEXT    NOT NULL,
    before      TEXT    NOT NULL, -- JSON, masked; '' is nothing
    after       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('ok', 'denied')),
    prev_hash   TEXT    NOT NULL, -- '' in the first row of a day
    hash        TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX audit_log_chain ON audit_log (node, day, seq);
CREATE INDEX audit_log_actor ON audit_log (actor_id, id);
CREATE INDEX audit_log_target ON audit_log (target_type, target_id, id);
CREATE INDEX audit_log_action ON audit_log (action, id);

-- +goose StatementBegin
CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
-- +goose StatementEnd

-- Rows are kept 400 days.
-- +goose StatementBegin
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log WHEN OLD.at > (unixepoch() - 400 * 86400) * 1000
BEGIN
    SELECT RAISE(ABORT, 'audit_log is append-only');
END;
-- +goose StatementEnd

-- +goose Down
DROP TABLE audit_log;
DROP TABLE audit_heads;
DROP TABLE login_failures;
DROP TABLE signing_keys;
DROP TABLE invites;
DROP TABLE one_time_codes;
DROP TABLE recovery_codes;
DROP TABLE totp;
DROP TABLE api_tokens;
DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP INDEX users_requests;
DROP INDEX users_email;
ALTER TABLE users DROP COLUMN streamer_note;
ALTER TABLE users DROP COLUMN streamer_requested_at;
ALTER TABLE users DROP COLUMN verified_at;
ALTER TABLE users DROP COLUMN settings;
ALTER TABLE users DROP COLUMN links;
ALTER TABLE users DROP COLUMN bio;
ALTER TABLE users DROP COLUMN session_version;
ALTER TABLE users DROP COLUMN suspended_reason;
ALTER TABLE users DROP COLUMN suspended_until;
ALTER TABLE users DROP COLUMN state;
ALTER TABLE users DROP COLUMN email_verified_at;
ALTER TABLE users DROP COLUMN email_bidx;
ALTER TABLE users DROP COLUMN email_enc;
