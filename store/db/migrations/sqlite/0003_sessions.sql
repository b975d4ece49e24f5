-- +goose Up
CREATE TABLE stream_sessions (
    id         TEXT    NOT NULL PRIMARY KEY,
    stream_id  TEXT    NOT NULL REFERENCES streams (id),
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    end_reason TEXT    NOT NULL, -- '' while it lasts
    epochs     TEXT    NOT NULL, -- JSON list
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX stream_sessions_stream ON stream_sessions (stream_id, started_at);
CREATE INDEX stream_sessions_ended ON stream_sessions (ended_at);

-- One row a segment and rendition. session_id has no foreign key: rows are written behind and may come before the
-- session's own, after a time without the database.
CREATE TABLE segments (
    session_id    TEXT    NOT NULL,
    rendition     TEXT    NOT NULL,
    msn           INTEGER NOT NULL,
    stream_id     TEXT    NOT NULL REFERENCES streams (id),
    epoch         INTEGER NOT NULL,
    start_ns      INTEGER NOT NULL, -- program date of the first sample, unix nanoseconds
    duration_ns   INTEGER NOT NULL,
    blob_key      TEXT    NOT NULL,
    blob_offset   INTEGER NOT NULL,
    bytes         INTEGER NOT NULL,
    discontinuity INTEGER NOT NULL CHECK (discontinuity IN (0, 1)),
    gap           INTEGER NOT NULL CHECK (gap IN (0, 1)),
    PRIMARY KEY (session_id, rendition, msn)
) STRICT, WITHOUT ROWID;

CREATE INDEX segments_msn ON segments (stream_id, msn);
CREATE INDEX segments_epoch ON segments (stream_id, epoch);
CREATE INDEX segments_start ON segments (start_ns);

-- +goose Down
DROP TABLE segments;
DROP TABLE stream_sessions;
