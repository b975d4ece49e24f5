-- +goose Up
ALTER TABLE streams ADD COLUMN publish_protocols TEXT NOT NULL DEFAULT ''; -- by which may be published, with commas between them; '' is any
ALTER TABLE streams ADD COLUMN publish_max_bitrate_bps INTEGER; -- NULL: what the server takes

CREATE INDEX streams_disabled ON streams (id) WHERE disabled_at IS NOT NULL AND deleted_at IS NULL;

-- What an admin set while the server ran. A row stays once it is there, so that versions only rise.
CREATE TABLE settings (
    key        TEXT    NOT NULL PRIMARY KEY, -- as in the configuration
    value      TEXT    NOT NULL, -- as the configuration's file would have it
    is_set     INTEGER NOT NULL CHECK (is_set IN (0, 1)), -- 0: the file's value, or the default
    updated_by TEXT    NOT NULL, -- user
    updated_at INTEGER NOT NULL,
    version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE settings;
DROP INDEX streams_disabled;
ALTER TABLE streams DROP COLUMN publish_max_bitrate_bps;
ALTER TABLE streams DROP COLUMN publish_protocols;
