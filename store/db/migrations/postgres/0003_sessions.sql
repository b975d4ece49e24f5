-- +goose Up
CREATE TABLE stream_sessions (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream_id  TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    started_at BIGINT           NOT NULL,
    ended_at   BIGINT,
    end_reason TEXT COLLATE "C" NOT NULL, -- '' while it lasts
    epochs     TEXT COLLATE "C" NOT NULL, -- JSON list
    updated_at BIGINT           NOT NULL
);

CREATE INDEX stream_sessions_stream ON stream_sessions (stream_id, started_at);
CREATE INDEX stream_sessions_ended ON stream_sessions (ended_at);

-- One row a segment and rendition. session_id has no foreign key: rows are written behind and may come before the
-- session's own, after a time without the database.
CREATE TABLE segments (
    session_id    TEXT COLLATE "C" NOT NULL,
    rendition     TEXT COLLATE "C" NOT NULL,
    msn           BIGINT           NOT NULL,
    stream_id     TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    epoch         BIGINT           NOT NULL,
    start_ns      BIGINT           NOT NULL, -- program date of the first sample, unix nanoseconds
    duration_ns   BIGINT           NOT NULL,
    blob_key      TEXT COLLATE "C" NOT NULL,
    blob_offset   BIGINT           NOT NULL,
    bytes         BIGINT           NOT NULL,
    discontinuity BOOLEAN          NOT NULL,
    gap           BOOLEAN          NOT NULL,
    PRIMARY KEY (session_id, rendition, msn)
);

CREATE INDEX segments_msn ON segments (stream_id, msn);
CREATE INDEX segments_epoch ON segments (stream_id, epoch);
CREATE INDEX segments_start ON segments (start_ns);

-- +goose Down
DROP TABLE segments;
DROP TABLE stream_sessions;
