-- +goose Up
-- Of a clip that somebody cuts out of another's broadcast: whose broadcast it is, by whose followers it is watched, and the widest visibility that it
-- may have. Who may not watch the one may not watch the other.
ALTER TABLE videos ADD COLUMN channel_id TEXT COLLATE "C" REFERENCES users (id);
ALTER TABLE videos ADD COLUMN widest TEXT COLLATE "C" NOT NULL DEFAULT '';

CREATE INDEX videos_channel ON videos (channel_id) WHERE channel_id IS NOT NULL;
CREATE INDEX videos_clips ON videos (stream_id, id) WHERE kind = 'clip' AND deleted_at IS NULL;

-- Servers that a stream is forwarded to.
CREATE TABLE stream_forwards (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    stream_id  TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    url_enc    TEXT COLLATE "C" NOT NULL, -- sealed, as the stream key of another site is in it
    created_at BIGINT           NOT NULL
);

CREATE INDEX stream_forwards_stream ON stream_forwards (stream_id, id);

-- Moments of broadcasts that somebody gave a name; they become chapters of what is kept of them.
CREATE TABLE stream_markers (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    session_id TEXT COLLATE "C" NOT NULL,
    stream_id  TEXT COLLATE "C" NOT NULL REFERENCES streams (id),
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    label      TEXT COLLATE "C" NOT NULL,
    at         BIGINT           NOT NULL
);

CREATE INDEX stream_markers_session ON stream_markers (session_id, at, id);
CREATE INDEX stream_markers_user ON stream_markers (user_id);
CREATE INDEX stream_markers_stream ON stream_markers (stream_id);

-- +goose Down
DROP TABLE stream_markers;
DROP TABLE stream_forwards;
DROP INDEX videos_clips;
DROP INDEX videos_channel;
ALTER TABLE videos DROP COLUMN widest;
ALTER TABLE videos DROP COLUMN channel_id;
