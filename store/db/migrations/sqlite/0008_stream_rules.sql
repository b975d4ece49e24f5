-- +goose Up
ALTER TABLE streams ADD COLUMN deleted_at INTEGER; -- its rows stay: sessions and videos refer to them, and its name is not given away

-- Why publishers left or were not let in. Each stream has its newest.
CREATE TABLE disconnects (
    id        TEXT    NOT NULL PRIMARY KEY,
    stream_id TEXT    NOT NULL REFERENCES streams (id),
    at        INTEGER NOT NULL,
    protocol  TEXT    NOT NULL,
    remote    TEXT    NOT NULL, -- masked
    code      TEXT    NOT NULL,
    detail    TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX disconnects_stream ON disconnects (stream_id, id);

-- +goose Down
DROP TABLE disconnects;
ALTER TABLE streams DROP COLUMN deleted_at;
