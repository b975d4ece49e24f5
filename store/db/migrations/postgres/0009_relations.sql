-- +goose Up
ALTER TABLE users ADD COLUMN followers_count BIGINT NOT NULL DEFAULT 0; -- rows of follows, counted in the transaction that changes them
ALTER TABLE users ADD COLUMN following_count BIGINT NOT NULL DEFAULT 0;

CREATE TABLE follows (
    follower   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    followee   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    notify     TEXT COLLATE "C"    NOT NULL CHECK (notify IN ('all', 'live', 'none')),
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (follower, followee)
);

CREATE INDEX follows_followers ON follows (followee, created_at, follower);
CREATE INDEX follows_following ON follows (follower, created_at, followee);

CREATE TABLE blocks (
    user_id    TEXT COLLATE "C"    NOT NULL REFERENCES users (id), -- who blocks
    other_id   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (user_id, other_id)
);

CREATE INDEX blocks_other ON blocks (other_id);
CREATE INDEX blocks_newest ON blocks (user_id, created_at, other_id);

CREATE TABLE channel_mods (
    user_id    TEXT COLLATE "C"    NOT NULL REFERENCES users (id), -- whose channel
    other_id   TEXT COLLATE "C"    NOT NULL REFERENCES users (id), -- who moderates it
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (user_id, other_id)
);

CREATE INDEX channel_mods_other ON channel_mods (other_id);
CREATE INDEX channel_mods_newest ON channel_mods (user_id, created_at, other_id);

-- What everyone finds of a user's videos, to be counted.
CREATE INDEX videos_counted ON videos (owner_id) WHERE visibility = 'public' AND state = 'ready' AND deleted_at IS NULL;

-- +goose Down
DROP INDEX videos_counted;
DROP TABLE channel_mods;
DROP TABLE blocks;
DROP TABLE follows;
ALTER TABLE users DROP COLUMN following_count;
ALTER TABLE users DROP COLUMN followers_count;
