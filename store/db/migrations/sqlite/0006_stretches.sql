-- +goose Up
-- A session that lasts is recorded in stretches, each with a replay of its own. A stretch has the segments with numbers from first_msn
-- to last_msn: 0 is from the session's first on, 9223372036854775807 to its end, and that one alone can be running.
CREATE TABLE stretches (
    session_id TEXT    NOT NULL,
    first_msn  INTEGER NOT NULL,
    last_msn   INTEGER NOT NULL,
    stream_id  TEXT    NOT NULL REFERENCES streams (id),
    state      TEXT    NOT NULL CHECK (state IN ('running', 'ended', 'made', 'empty', 'unrecorded', 'deleting')),
    bytes      INTEGER NOT NULL, -- of its media, once it is over
    evicted    INTEGER NOT NULL DEFAULT 0 CHECK (evicted IN (0, 1)), -- nothing of it is on the local disk any more
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, first_msn)
) STRICT, WITHOUT ROWID;

INSERT INTO stretches (session_id, first_msn, last_msn, stream_id, state, bytes, evicted, updated_at)
    SELECT session_id, 0, 9223372036854775807, stream_id, state, bytes, evicted, updated_at FROM recordings;
DROP TABLE recordings;
ALTER TABLE stretches RENAME TO recordings;

CREATE INDEX recordings_state ON recordings (state, updated_at, session_id, first_msn);
CREATE INDEX recordings_stream ON recordings (stream_id, session_id, first_msn);

ALTER TABLE videos ADD COLUMN first_msn INTEGER NOT NULL DEFAULT 0; -- of a replay: its stretch of the session
ALTER TABLE videos ADD COLUMN last_msn INTEGER NOT NULL DEFAULT 9223372036854775807;
DROP INDEX videos_replay;
CREATE UNIQUE INDEX videos_replay ON videos (session_id, first_msn) WHERE kind = 'replay';
CREATE INDEX videos_changed ON videos (updated_at, id); -- what the bucket is to follow

-- +goose Down
-- A session has one replay again: the first, of all that is there.
CREATE TABLE whole (
    session_id TEXT    NOT NULL PRIMARY KEY,
    stream_id  TEXT    NOT NULL REFERENCES streams (id),
    state      TEXT    NOT NULL CHECK (state IN ('running', 'ended', 'made', 'empty', 'unrecorded', 'deleting')),
    bytes      INTEGER NOT NULL,
    evicted    INTEGER NOT NULL DEFAULT 0 CHECK (evicted IN (0, 1)),
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO whole (session_id, stream_id, state, bytes, evicted, updated_at)
    SELECT session_id, stream_id, state, bytes, evicted, updated_at FROM recordings ORDER BY session_id, first_msn DESC;
DROP TABLE recordings;
ALTER TABLE whole RENAME TO recordings;
CREATE INDEX recordings_state ON recordings (state, session_id);
CREATE INDEX recordings_stream ON recordings (stream_id, session_id);

DROP INDEX videos_changed;
DROP INDEX videos_replay;
DELETE FROM videos WHERE kind = 'replay' AND first_msn > (
    SELECT MIN(v.first_msn) FROM videos v WHERE v.kind = 'replay' AND v.session_id = videos.session_id);
ALTER TABLE videos DROP COLUMN last_msn;
ALTER TABLE videos DROP COLUMN first_msn;
CREATE UNIQUE INDEX videos_replay ON videos (session_id) WHERE kind = 'replay';
