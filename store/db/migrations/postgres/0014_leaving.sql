-- +goose Up
ALTER TABLE users ADD COLUMN avatar TEXT COLLATE "C" NOT NULL DEFAULT ''; -- name of a picture; '' is none
ALTER TABLE users ADD COLUMN banner TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN limits TEXT COLLATE "C" NOT NULL DEFAULT '{}'; -- JSON: what an admin allows in the place of the site's limits
ALTER TABLE users ADD COLUMN erase_at BIGINT; -- of who is leaving: when the account is erased

CREATE INDEX users_leaving ON users (erase_at) WHERE erase_at IS NOT NULL;

-- What somebody who is leaving has is private until the account is erased, or restored: then it is again what is kept here.
ALTER TABLE streams ADD COLUMN hidden_at BIGINT; -- publishing is refused while set
ALTER TABLE streams ADD COLUMN kept_visibility TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE streams ADD COLUMN kept_replay_visibility TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE videos ADD COLUMN kept_visibility TEXT COLLATE "C" NOT NULL DEFAULT '';

-- Follows that do not count, as one of the two is leaving.
CREATE TABLE parked_follows (
    follower   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    followee   TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    notify     TEXT COLLATE "C"    NOT NULL CHECK (notify IN ('all', 'live', 'none')),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (follower, followee)
);

CREATE INDEX parked_follows_followee ON parked_follows (followee, follower);

-- Objects of the blob store that go: they were replaced, or are good for a while, or their making was cut short.
CREATE TABLE doomed_objects (
    key    TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    due_at BIGINT NOT NULL
);

CREATE INDEX doomed_objects_due ON doomed_objects (due_at, key);

-- What users asked to have of their data.
CREATE TABLE exports (
    id          TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    user_id     TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    state       TEXT COLLATE "C"    NOT NULL CHECK (state IN ('queued', 'running', 'ready', 'failed')),
    blob_key    TEXT COLLATE "C"    NOT NULL, -- '' until it is ready
    bytes       BIGINT NOT NULL,
    finished_at BIGINT,
    expires_at  BIGINT, -- NULL until it is ready
    created_at  BIGINT NOT NULL
);

CREATE INDEX exports_user ON exports (user_id, id);

-- +goose Down
DROP TABLE exports;
DROP TABLE doomed_objects;
DROP TABLE parked_follows;
ALTER TABLE videos DROP COLUMN kept_visibility;
ALTER TABLE streams DROP COLUMN kept_replay_visibility;
ALTER TABLE streams DROP COLUMN kept_visibility;
ALTER TABLE streams DROP COLUMN hidden_at;
DROP INDEX users_leaving;
ALTER TABLE users DROP COLUMN erase_at;
ALTER TABLE users DROP COLUMN limits;
ALTER TABLE users DROP COLUMN banner;
ALTER TABLE users DROP COLUMN avatar;
