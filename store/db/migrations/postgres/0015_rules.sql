-- +goose Up
ALTER TABLE streams ADD COLUMN publish_protocols TEXT COLLATE "C" NOT NULL DEFAULT ''; -- by which may be published, with commas between them; '' is any
ALTER TABLE streams ADD COLUMN publish_max_bitrate_bps BIGINT; -- NULL: what the server takes

CREATE INDEX streams_disabled ON streams (id) WHERE disabled_at IS NOT NULL AND deleted_at IS NULL;

-- What an admin set while the server ran. A row stays once it is there, so that versions only rise.
CREATE TABLE settings (
    key        TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- as in the configuration
    value      TEXT COLLATE "C" NOT NULL, -- as the configuration's file would have it
    is_set     BOOLEAN NOT NULL, -- FALSE: the file's value, or the default
    updated_by TEXT COLLATE "C" NOT NULL, -- user
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

-- +goose Down
DROP TABLE settings;
DROP INDEX streams_disabled;
ALTER TABLE streams DROP COLUMN publish_max_bitrate_bps;
ALTER TABLE streams DROP COLUMN publish_protocols;
