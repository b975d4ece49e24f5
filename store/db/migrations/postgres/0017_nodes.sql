-- +goose Up
-- The servers that share the database. Times are the database's: nodes have a clock each.
CREATE TABLE nodes (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- kept in the node's data folder
    run        TEXT COLLATE "C" NOT NULL, -- of which process; '' once that has stopped
    place      TEXT COLLATE "C" NOT NULL, -- of the data folder, hashed: a copy has another
    host       TEXT COLLATE "C" NOT NULL, -- for people
    started_at BIGINT           NOT NULL,
    beat_at    BIGINT           NOT NULL -- when it told last that it is there
);

CREATE INDEX nodes_beat ON nodes (beat_at);

-- Which node may publish a stream, while there is a publisher or a session.
CREATE TABLE stream_owners (
    stream_id   TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES streams (id),
    node        TEXT COLLATE "C" NOT NULL,
    claimed_at  BIGINT           NOT NULL,
    asked       TEXT COLLATE "C" NOT NULL, -- what the owner is to do: '', 'yield', or the reason for which to end the session
    asked_by    TEXT COLLATE "C" NOT NULL, -- node that the stream is to be left to; '': none
    taken       BIGINT           NOT NULL, -- how often it changed hands while the owner was sending, since taken_at
    taken_at    BIGINT           NOT NULL,
    replaced    TEXT COLLATE "C" NOT NULL, -- who was replaced last, hashed; '': nobody
    replaced_at BIGINT           NOT NULL -- when, or when they were refused last
);

CREATE INDEX stream_owners_node ON stream_owners (node);

-- Rows of former versions have '' and are taken by the first node that starts.
ALTER TABLE stream_sessions ADD COLUMN node TEXT COLLATE "C" NOT NULL DEFAULT ''; -- that has it on air
ALTER TABLE stream_sessions ADD COLUMN away_at BIGINT; -- since when its publisher is away; NULL: it is there
ALTER TABLE recordings ADD COLUMN node TEXT COLLATE "C" NOT NULL DEFAULT ''; -- that keeps it, on its disk or in the bucket
CREATE INDEX recordings_node ON recordings (node, state, updated_at, session_id, first_msn);

-- +goose Down
DROP INDEX recordings_node;
ALTER TABLE recordings DROP COLUMN node;
ALTER TABLE stream_sessions DROP COLUMN away_at;
ALTER TABLE stream_sessions DROP COLUMN node;
DROP TABLE stream_owners;
DROP TABLE nodes;
