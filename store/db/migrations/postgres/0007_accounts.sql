-- +goose Up
ALTER TABLE users ADD COLUMN email_enc TEXT COLLATE "C" NOT NULL DEFAULT ''; -- sealed; '' is none
ALTER TABLE users ADD COLUMN email_bidx TEXT COLLATE "C"; -- keyed index of the address in lower case
ALTER TABLE users ADD COLUMN email_verified_at BIGINT;
ALTER TABLE users ADD COLUMN state TEXT COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'leaving', 'erased'));
ALTER TABLE users ADD COLUMN suspended_until BIGINT; -- NULL while suspended: for good
ALTER TABLE users ADD COLUMN suspended_reason TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN session_version BIGINT NOT NULL DEFAULT 1; -- sessions of another version are dead
ALTER TABLE users ADD COLUMN bio TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN links TEXT COLLATE "C" NOT NULL DEFAULT '[]'; -- JSON list
ALTER TABLE users ADD COLUMN settings TEXT COLLATE "C" NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE users ADD COLUMN verified_at BIGINT;
ALTER TABLE users ADD COLUMN streamer_requested_at BIGINT; -- waits for an admin
ALTER TABLE users ADD COLUMN streamer_note TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE UNIQUE INDEX users_email ON users (email_bidx);
CREATE INDEX users_requests ON users (streamer_requested_at) WHERE streamer_requested_at IS NOT NULL;

-- A login on one device, and the family of its refresh tokens.
CREATE TABLE sessions (
    id           TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    version      BIGINT NOT NULL, -- users.session_version at the time
    transport    TEXT COLLATE "C"    NOT NULL CHECK (transport IN ('body', 'cookie')),
    device_name  TEXT COLLATE "C"    NOT NULL,
    ip_enc       TEXT COLLATE "C"    NOT NULL, -- sealed; '' once it is erased
    agent_enc    TEXT COLLATE "C"    NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    end_reason   TEXT COLLATE "C"    NOT NULL -- '' while it lives
);

CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_personal ON sessions (last_seen_at) WHERE ip_enc <> '';

CREATE TABLE refresh_tokens (
    id         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    family     TEXT COLLATE "C"    NOT NULL REFERENCES sessions (id),
    generation BIGINT NOT NULL,
    hash       TEXT COLLATE "C"    NOT NULL, -- SHA-256 of the token, hex
    used_at    BIGINT, -- replaced by the next generation
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash);
CREATE UNIQUE INDEX refresh_tokens_family ON refresh_tokens (family, generation);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);

CREATE TABLE api_tokens (
    id           TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    user_id      TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    label        TEXT COLLATE "C"    NOT NULL,
    hash         TEXT COLLATE "C"    NOT NULL, -- SHA-256 of the token, hex
    hint         TEXT COLLATE "C"    NOT NULL, -- its last four characters
    scopes       TEXT COLLATE "C"    NOT NULL, -- JSON list
    expires_at   BIGINT,
    last_used_at BIGINT,
    created_at   BIGINT NOT NULL
);

CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
CREATE INDEX api_tokens_user ON api_tokens (user_id, id);

CREATE TABLE totp (
    user_id      TEXT COLLATE "C"    NOT NULL PRIMARY KEY REFERENCES users (id),
    secret_enc   TEXT COLLATE "C"    NOT NULL, -- sealed
    confirmed_at BIGINT, -- asked for at logins from then on
    last_step    BIGINT NOT NULL, -- of the code used last: none is good twice
    created_at   BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    id         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    user_id    TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    hash       TEXT COLLATE "C"    NOT NULL, -- SHA-256 of user and code, hex
    used_at    BIGINT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX recovery_codes_hash ON recovery_codes (hash);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id, id);

-- What is sent by mail or handed over, and good once.
CREATE TABLE one_time_codes (
    hash       TEXT COLLATE "C"    NOT NULL PRIMARY KEY, -- SHA-256, hex
    user_id    TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    kind       TEXT COLLATE "C"    NOT NULL CHECK (kind IN ('password_reset', 'email_verify')),
    subject    TEXT COLLATE "C"    NOT NULL, -- email_verify: the keyed index of the address
    used_at    BIGINT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX one_time_codes_user ON one_time_codes (user_id, kind);
CREATE INDEX one_time_codes_expires ON one_time_codes (expires_at);

CREATE TABLE invites (
    id         TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    hash       TEXT COLLATE "C"    NOT NULL, -- SHA-256 of the code, hex
    hint       TEXT COLLATE "C"    NOT NULL,
    uses_left  BIGINT NOT NULL CHECK (uses_left >= 0),
    created_by TEXT COLLATE "C", -- NULL: the command line
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX invites_hash ON invites (hash);

-- Keys that access tokens are signed with.
CREATE TABLE signing_keys (
    id          TEXT COLLATE "C"    NOT NULL PRIMARY KEY, -- kid
    public_key  TEXT COLLATE "C"    NOT NULL, -- Ed25519, base64url
    private_enc TEXT COLLATE "C"    NOT NULL, -- sealed seed
    signs_from  BIGINT NOT NULL, -- shown before that, so that everyone knows it by then
    expires_at  BIGINT, -- NULL: the newest
    created_at  BIGINT NOT NULL
);

CREATE INDEX signing_keys_expires ON signing_keys (expires_at);

CREATE TABLE login_failures (
    subject       TEXT COLLATE "C"    NOT NULL PRIMARY KEY, -- keyed index of account and network, or of the account
    failures      BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);

CREATE INDEX login_failures_expires ON login_failures (expires_at);

-- The last link of each chain of the audit log.
CREATE TABLE audit_heads (
    node   TEXT COLLATE "C"    NOT NULL,
    day    TEXT COLLATE "C"    NOT NULL, -- 2026-03-01, UTC
    seq    BIGINT NOT NULL,
    hash   TEXT COLLATE "C"    NOT NULL,
    sealed TEXT COLLATE "C"    NOT NULL, -- '' until the day is over
    PRIMARY KEY (node, day)
);

CREATE INDEX audit_heads_open ON audit_heads (day) WHERE sealed = '';

CREATE TABLE audit_log (
    id          TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    at          BIGINT NOT NULL,
    node        TEXT COLLATE "C"    NOT NULL,
    day         TEXT COLLATE "C"    NOT NULL,
    seq         BIGINT NOT NULL, -- in the node's day, from 1
    actor_id    TEXT COLLATE "C"    NOT NULL, -- '' is nobody
    actor_role  TEXT COLLATE "C"    NOT NULL,
    via         TEXT COLLATE "C"    NOT NULL CHECK (via IN ('session', 'token', 'key', 'system')),
    ip          TEXT COLLATE "C"    NOT NULL, -- masked
    request_id  TEXT COLLATE "C"    NOT NULL,
    action      TEXT COLLATE "C"    NOT NULL,
    target_type TEXT COLLATE "C"    NOT NULL,
    target_id   TEXT COLLATE "C"    NOT NULL,
    before      TEXT COLLATE "C"    NOT NULL, -- JSON, masked; '' is nothing
    after       TEXT COLLATE "C"    NOT NULL,
    reason      TEXT COLLATE "C"    NOT NULL,
    outcome     TEXT COLLATE "C"    NOT NULL CHECK (outcome IN ('ok', 'denied')),
    prev_hash   TEXT COLLATE "C"    NOT NULL, -- '' in the first row of a day
    hash        TEXT COLLATE "C"    NOT NULL
);

CREATE UNIQUE INDEX audit_log_chain ON audit_log (node, day, seq);
CREATE INDEX audit_log_actor ON audit_log (actor_id, id);
CREATE INDEX audit_log_target ON audit_log (target_type, target_id, id);
CREATE INDEX audit_log_action ON audit_log (action, id);

-- Rows are kept 400 days.
-- +goose StatementBegin
CREATE FUNCTION audit_log_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at <= (extract(epoch FROM now())::bigint - 400 * 86400) * 1000 THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only';
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_log_keep BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_keep();
CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_keep();

-- +goose Down
DROP TABLE audit_log;
DROP FUNCTION audit_log_keep();
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
