-- +goose Up
ALTER TABLE videos ADD COLUMN views BIGINT NOT NULL DEFAULT 0; -- rows of views, counted in the transaction that adds one

ALTER TABLE stream_sessions ADD COLUMN peak_viewers BIGINT NOT NULL DEFAULT 0; -- at the same time
ALTER TABLE stream_sessions ADD COLUMN unique_viewers BIGINT NOT NULL DEFAULT 0; -- who told that they watch
ALTER TABLE stream_sessions ADD COLUMN watch_ms BIGINT NOT NULL DEFAULT 0; -- all of them together

-- What players tell of themselves, kept for a month. No foreign key to what is played, which may be gone before.
CREATE TABLE plays (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind           TEXT COLLATE "C" NOT NULL CHECK (kind IN ('video', 'stream')),
    target_id      TEXT COLLATE "C" NOT NULL, -- video or stream
    user_id        TEXT COLLATE "C" REFERENCES users (id),
    viewer_key     TEXT COLLATE "C" NOT NULL, -- keyed hash of who watches
    prefix_key     TEXT COLLATE "C" NOT NULL, -- keyed hash of the network they are in
    session_id     TEXT COLLATE "C" NOT NULL, -- of a stream: the broadcast; '' before the first beat
    player         TEXT COLLATE "C" NOT NULL, -- what it calls itself
    referrer       TEXT COLLATE "C" NOT NULL, -- host of the page that led there
    state          TEXT COLLATE "C" NOT NULL CHECK (state IN ('playing', 'paused', 'stalled', 'ended')),
    position_ms    BIGINT NOT NULL,
    watched_ms     BIGINT NOT NULL, -- as far as the clock lets it be true
    stalls         BIGINT NOT NULL,
    stall_ms       BIGINT NOT NULL,
    dropped_frames BIGINT NOT NULL,
    latency_ms     BIGINT,
    startup_ms     BIGINT,
    rendition      TEXT COLLATE "C" NOT NULL,
    bitrate_bps    BIGINT NOT NULL, -- 0: unknown
    judged         BOOLEAN NOT NULL, -- it was a view, or refused as one
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL -- the last beat
);

CREATE INDEX plays_user ON plays (user_id, updated_at);
CREATE INDEX plays_session ON plays (session_id, viewer_key);
CREATE INDEX plays_updated ON plays (updated_at);

CREATE TABLE views (
    video_id   TEXT COLLATE "C" NOT NULL REFERENCES videos (id),
    viewer_key TEXT COLLATE "C" NOT NULL,
    bucket     BIGINT NOT NULL, -- at, in stretches of 6 hours
    prefix_key TEXT COLLATE "C" NOT NULL, -- '' once it limits nobody any more
    at         BIGINT NOT NULL,
    PRIMARY KEY (video_id, viewer_key, bucket)
);

CREATE INDEX views_at ON views (video_id, at);
CREATE INDEX views_prefix ON views (video_id, prefix_key, at) WHERE prefix_key <> '';
CREATE INDEX views_traceable ON views (at) WHERE prefix_key <> '';

-- Where users left what they watched.
CREATE TABLE watch_history (
    user_id     TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    video_id    TEXT COLLATE "C" NOT NULL REFERENCES videos (id),
    position_ms BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, video_id)
);

CREATE INDEX watch_history_newest ON watch_history (user_id, updated_at, video_id);
CREATE INDEX watch_history_video ON watch_history (video_id);

CREATE TABLE watch_later (
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    video_id   TEXT COLLATE "C" NOT NULL REFERENCES videos (id),
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, video_id)
);

CREATE INDEX watch_later_newest ON watch_later (user_id, created_at, video_id);
CREATE INDEX watch_later_video ON watch_later (video_id);

-- +goose Down
DROP TABLE watch_later;
DROP TABLE watch_history;
DROP TABLE views;
DROP TABLE plays;
ALTER TABLE stream_sessions DROP COLUMN watch_ms;
ALTER TABLE stream_sessions DROP COLUMN unique_viewers;
ALTER TABLE stream_sessions DROP COLUMN peak_viewers;
ALTER TABLE videos DROP COLUMN views;
