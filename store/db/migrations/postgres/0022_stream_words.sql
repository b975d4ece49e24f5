-- +goose Up
ALTER TABLE streams ADD COLUMN disabled_by_staff BOOLEAN NOT NULL DEFAULT FALSE; -- its owner may not lift it

-- tag is what is looked for, and of each there is one.
ALTER TABLE stream_tags ADD COLUMN spelling TEXT COLLATE "C" NOT NULL DEFAULT ''; -- as its owner wrote it; '': as tag
ALTER TABLE stream_tags ADD COLUMN position BIGINT NOT NULL DEFAULT 0; -- among those of its stream

DROP INDEX stream_tags_stream;
CREATE INDEX stream_tags_stream ON stream_tags (stream_id, position, tag);

-- +goose Down
DROP INDEX stream_tags_stream;
CREATE INDEX stream_tags_stream ON stream_tags (stream_id, tag);
ALTER TABLE stream_tags DROP COLUMN position;
ALTER TABLE stream_tags DROP COLUMN spelling;
ALTER TABLE streams DROP COLUMN disabled_by_staff;
