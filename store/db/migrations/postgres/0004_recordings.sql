-- +goose Up
ALTER TABLE segments ADD COLUMN independent BOOLEAN NOT NULL DEFAULT FALSE; -- begins with a key frame
ALTER TABLE segments ADD COLUMN target BIGINT NOT NULL DEFAULT 0; -- the session's TARGETDURATION in seconds
ALTER TABLE segments ADD COLUMN discontinuities BIGINT NOT NULL DEFAULT 0; -- of the stream, in front of the segment
ALTER TABLE segments ADD COLUMN bucket BIGINT NOT NULL DEFAULT 0 CHECK (bucket IN (0, 1, 2)); -- 0: not for it, 1: to be stored there, 2: there
CREATE INDEX segments_pending ON segments (session_id, rendition, msn) WHERE bucket = 1;
DROP INDEX segments_start; -- nothing is deleted by time alone any more

-- How a rendition's segments of one epoch are decoded.
CREATE TABLE session_tracks (
    session_id TEXT COLLATE "C" NOT NULL, -- no foreign key, as for segments
    rendition  TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT           NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('video', 'audio')),
    codec      TEXT COLLATE "C" NOT NULL,
    config     BYTEA            NOT NULL, -- the codec's decoder configuration
    init       BYTEA            NOT NULL, -- the init segment
    PRIMARY KEY (session_id, rendition, epoch)
);

-- What is stored of sessions. made: there is a replay; empty: nothing of it can be played; unrecorded: only its rows are there;
-- deleting: what nobody uses of it goes.
CREATE TABLE recordings (
    session_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream_id  TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('running', 'ended', 'made', 'empty', 'unrecorded', 'deleting')),
    bytes      BIGINT           NOT NULL, -- of its media, once it is over
    evicted    BOOLEAN          NOT NULL DEFAULT FALSE, -- nothing of it is on the local disk any more
    updated_at BIGINT           NOT NULL
);

CREATE INDEX recordings_state ON recordings (state, session_id);
CREATE INDEX recordings_stream ON recordings (stream_id, session_id);

CREATE TABLE videos (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind         TEXT COLLATE "C" NOT NULL CHECK (kind IN ('upload', 'replay', 'clip', 'import')),
    owner_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    stream_id    TEXT COLLATE "C" REFERENCES streams (id),
    session_id   TEXT COLLATE "C",
    from_ns      BIGINT, -- of a clip: the stretch of the session, program dates in unix nanoseconds
    to_ns        BIGINT,
    title        TEXT COLLATE "C" NOT NULL,
    description  TEXT COLLATE "C" NOT NULL,
    category     TEXT COLLATE "C" NOT NULL, -- '' is none
    language     TEXT COLLATE "C" NOT NULL, -- '' is unknown
    visibility   TEXT COLLATE "C" NOT NULL CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    mature       BOOLEAN          NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('draft', 'uploading', 'queued', 'processing', 'ready', 'failed')),
    duration_ms  BIGINT           NOT NULL,
    width        BIGINT           NOT NULL,
    height       BIGINT           NOT NULL,
    bytes        BIGINT           NOT NULL,
    published_at BIGINT,
    deleted_at   BIGINT, -- gone for everyone; its media is swept later
    created_at   BIGINT           NOT NULL,
    updated_at   BIGINT           NOT NULL,
    version      BIGINT           NOT NULL
);

-- As for streams, deleted_at is kept out of the indices that have an order.
CREATE UNIQUE INDEX videos_replay ON videos (session_id) WHERE kind = 'replay';
CREATE INDEX videos_session ON videos (session_id);
CREATE INDEX videos_listed ON videos (visibility, state, id) WHERE deleted_at IS NULL;
CREATE INDEX videos_stream ON videos (stream_id, id);
CREATE INDEX videos_deleted ON videos (deleted_at, id);
CREATE INDEX videos_owner ON videos (owner_id, id);
CREATE INDEX videos_unfinished ON videos (kind, created_at) WHERE state = 'processing';

-- +goose Down
DROP TABLE videos;
DROP TABLE recordings;
DROP TABLE session_tracks;
CREATE INDEX segments_start ON segments (start_ns);
DROP INDEX segments_pending;
ALTER TABLE segments DROP COLUMN bucket;
ALTER TABLE segments DROP COLUMN discontinuities;
ALTER TABLE segments DROP COLUMN target;
ALTER TABLE segments DROP COLUMN independent;
