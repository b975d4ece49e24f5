-- +goose Up
CREATE TABLE streams (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    slug              TEXT COLLATE "C" NOT NULL,
    slug_norm         TEXT COLLATE "C" NOT NULL, -- lower-case: "Main" and "main" are one stream, on every file system
    owner_id          TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    title             TEXT COLLATE "C" NOT NULL,
    description       TEXT COLLATE "C" NOT NULL,
    category          TEXT COLLATE "C" NOT NULL, -- '' is none
    language          TEXT COLLATE "C" NOT NULL, -- '' is unknown
    visibility        TEXT COLLATE "C" NOT NULL CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    mature            BOOLEAN          NOT NULL,
    latency           TEXT COLLATE "C" NOT NULL CHECK (latency IN ('low', 'normal')),
    record            BOOLEAN          NOT NULL,
    replay_visibility TEXT COLLATE "C" NOT NULL CHECK (replay_visibility IN ('public', 'unlisted', 'followers', 'private')),
    dvr_s             BIGINT           NOT NULL CHECK (dvr_s BETWEEN 0 AND 86400),
    resume_window_s   BIGINT           NOT NULL CHECK (resume_window_s BETWEEN 0 AND 600),
    max_viewers       BIGINT,
    disabled_at       BIGINT, -- publishing is refused while set
    disabled_reason   TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT           NOT NULL,
    updated_at        BIGINT           NOT NULL,
    version           BIGINT           NOT NULL
);

-- PostgreSQL does not take "disabled_at IS NULL" for an equality that keeps the order of what follows, so here the
-- column stands in neither index: the few that are disabled are passed over.
CREATE UNIQUE INDEX streams_slug ON streams (slug_norm);
CREATE INDEX streams_owner ON streams (owner_id, id);
CREATE INDEX streams_listed ON streams (visibility, id);
CREATE INDEX streams_category ON streams (category, visibility, id);

CREATE TABLE stream_tags (
    tag       TEXT COLLATE "C" NOT NULL,
    stream_id TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    PRIMARY KEY (tag, stream_id)
);

CREATE INDEX stream_tags_stream ON stream_tags (stream_id, tag);

CREATE TABLE stream_keys (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream_id    TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    label        TEXT COLLATE "C" NOT NULL,
    hash         TEXT COLLATE "C" NOT NULL, -- SHA-256 of the secret, hex
    hint         TEXT COLLATE "C" NOT NULL, -- its last four characters
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT,
    last_ip      TEXT COLLATE "C" NOT NULL, -- masked
    created_at   BIGINT           NOT NULL
);

CREATE UNIQUE INDEX stream_keys_hash ON stream_keys (hash);
CREATE INDEX stream_keys_stream ON stream_keys (stream_id, id);

-- +goose Down
DROP TABLE stream_keys;
DROP TABLE stream_tags;
DROP TABLE streams;
