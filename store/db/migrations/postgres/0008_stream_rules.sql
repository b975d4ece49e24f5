-- +goose Up
ALTER TABLE streams ADD COLUMN deleted_at BIGINT; -- its rows stay: sessions and videos refer to them, and its name is not given away

-- Why publishers left or were not let in. Each stream has its newest.
CREATE TABLE disconnects (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream_id TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    at        BIGINT NOT NULL,
    protocol  TEXT COLLATE "C" NOT NULL,
    remote    TEXT COLLATE "C" NOT NULL, -- masked
    code      TEXT COLLATE "C" NOT NULL,
    detail    TEXT COLLATE "C" NOT NULL
);

CREATE INDEX disconnects_stream ON disconnects (stream_id, id);

-- +goose Down
DROP TABLE disconnects;
ALTER TABLE streams DROP COLUMN deleted_at;
