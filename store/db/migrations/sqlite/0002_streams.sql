-- +goose Up
CREATE TABLE streams (
    id                TEXT    NOT NULL PRIMARY KEY,
    slug              TEXT    NOT NULL,
    slug_norm         TEXT    NOT NULL, -- lower-case: "Main" and "main" are one stream, on every file system
    owner_id          TEXT    NOT NULL REFERENCES users (id),
    title             TEXT    NOT NULL,
    description       TEXT    NOT NULL,
    category          TEXT    NOT NULL, -- '' is none
    language          TEXT    NOT NULL, -- '' is unknown
    visibility        TEXT    NOT NULL CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    mature            INTEGER NOT NULL CHECK (mature IN (0, 1)),
    latency           TEXT    NOT NULL CHECK (latency IN ('low', 'normal')),
    record            INTEGER NOT NULL CHECK (record IN (0, 1)),
    replay_visibility TEXT    NOT NULL CHECK (replay_visibility IN ('public', 'unlisted', 'followers', 'private')),
    dvr_s             INTEGER NOT NULL CHECK (dvr_s BETWEEN 0 AND 86400),
    resume_window_s   INTEGER NOT NULL CHECK (resume_window_s BETWEEN 0 AND 600),
    max_viewers       INTEGER,
    disabled_at       INTEGER, -- publishing is refused while set
    disabled_reason   TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    version           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX streams_slug ON streams (slug_norm);
CREATE INDEX streams_owner ON streams (owner_id, id);
CREATE INDEX streams_listed ON streams (visibility, disabled_at, id);
CREATE INDEX streams_category ON streams (category, visibility, disabled_at, id);

CREATE TABLE stream_tags (
    tag       TEXT NOT NULL,
    stream_id TEXT NOT NULL REFERENCES streams (id),
    PRIMARY KEY (tag, stream_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX stream_tags_stream ON stream_tags (stream_id, tag);

CREATE TABLE stream_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    stream_id    TEXT    NOT NULL REFERENCES streams (id),
    label        TEXT    NOT NULL,
    hash         TEXT    NOT NULL, -- SHA-256 of the secret, hex
    hint         TEXT    NOT NULL, -- its last four characters
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER,
    last_ip      TEXT    NOT NULL, -- masked
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX stream_keys_hash ON stream_keys (hash);
CREATE INDEX stream_keys_stream ON stream_keys (stream_id, id);

-- +goose Down
DROP TABLE stream_keys;
DROP TABLE stream_tags;
DROP TABLE streams;
