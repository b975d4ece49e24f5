-- +goose Up
ALTER TABLE segments ADD COLUMN independent INTEGER NOT NULL DEFAULT 0 CHECK (independent IN (0, 1)); -- begins with a key frame
ALTER TABLE segments ADD COLUMN target INTEGER NOT NULL DEFAULT 0; -- the session's TARGETDURATION in seconds
ALTER TABLE segments ADD COLUMN discontinuities INTEGER NOT NULL DEFAULT 0; -- of the stream, in front of the segment
ALTER TABLE segments ADD COLUMN bucket INTEGER NOT NULL DEFAULT 0 CHECK (bucket IN (0, 1, 2)); -- 0: not for it, 1: to be stored there, 2: there
CREATE INDEX segments_pending ON segments (session_id, rendition, msn) WHERE bucket = 1;
DROP INDEX segments_start; -- nothing is deleted by time alone any more

-- How a rendition's segments of one epoch are decoded.
CREATE TABLE session_tracks (
    session_id TEXT    NOT NULL, -- no foreign key, as for segments
    rendition  TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('video', 'audio')),
    codec      TEXT    NOT NULL,
    config     BLOB    NOT NULL, -- the codec's decoder configuration
    init       BLOB    NOT NULL, -- the init segment
    PRIMARY KEY (session_id, rendition, epoch)
) STRICT, WITHOUT ROWID;

-- What is stored of sessions. made: there is a replay; empty: nothing of it can be played; unrecorded: only its rows are there;
-- deleting: what nobody uses of it goes.
CREATE TABLE recordings (
    session_id TEXT    NOT NULL PRIMARY KEY,
    stream_id  TEXT    NOT NULL REFERENCES streams (id),
    state      TEXT    NOT NULL CHECK (state IN ('running', 'ended', 'made', 'empty', 'unrecorded', 'deleting')),
    bytes      INTEGER NOT NULL, -- of its media, once it is over
    evicted    INTEGER NOT NULL DEFAULT 0 CHECK (evicted IN (0, 1)), -- nothing of it is on the local disk any more
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX recordings_state ON recordings (state, session_id);
CREATE INDEX recordings_stream ON recordings (stream_id, session_id);

CREATE TABLE videos (
    id           TEXT    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('upload', 'replay', 'clip', 'import')),
    owner_id     TEXT    NOT NULL REFERENCES users (id),
    stream_id    TEXT    REFERENCES streams (id),
    session_id   TEXT,
    from_ns      INTEGER, -- of a clip: the stretch of the session, program dates in unix nanoseconds
    to_ns        INTEGER,
    title        TEXT    NOT NULL,
    description  TEXT    NOT NULL,
    category     TEXT    NOT NULL, -- '' is none
    language     TEXT    NOT NULL, -- '' is unknown
    visibility   TEXT    NOT NULL CHECK (visibility IN ('public', 'unlisted', 'followers', 'private')),
    mature       INTEGER NOT NULL CHECK (mature IN (0, 1)),
    state        TEXT    NOT NULL CHECK (state IN ('draft', 'uploading', 'queued', 'processing', 'ready', 'failed')),
    duration_ms  INTEGER NOT NULL,
    width        INTEGER NOT NULL,
    height       INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    published_at INTEGER,
    deleted_at   INTEGER, -- gone for everyone; its media is swept later
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    version      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX videos_replay ON videos (session_id) WHERE kind = 'replay';
CREATE INDEX videos_session ON videos (session_id);
CREATE INDEX videos_listed ON videos (visibility, state, deleted_at, id);
CREATE INDEX videos_stream ON videos (stream_id, deleted_at, id);
CREATE INDEX videos_deleted ON videos (deleted_at, id);
CREATE INDEX videos_owner ON videos (owner_id, deleted_at, id);

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
