-- +goose Up
ALTER TABLE videos ADD COLUMN views INTEGER NOT NULL DEFAULT 0; -- rows of views, counted in the transaction that adds one

ALTER TABLE stream_sessions ADD COLUMN peak_viewers INTEGER NOT NULL DEFAULT 0; -- at the same time
ALTER TABLE stream_sessions ADD COLUMN unique_viewers INTEGER NOT NULL DEFAULT 0; -- who told that they watch
ALTER TABLE stream_sessions ADD COLUMN watch_ms INTEGER NOT NULL DEFAULT 0; -- all of them together

-- What players tell of themselves, kept for a month. No foreign key to what is played, which may be gone before.
CREATE TABLE plays (
    id             TEXT    NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL CHECK (kind IN ('video', 'stream')),
    target_id      TEXT    NOT NULL, -- video or stream
    user_id        TEXT    REFERENCES users (id),
    viewer_key     TEXT    NOT NULL, -- keyed hash of who watches
    prefix_key     TEXT    NOT NULL, -- keyed hash of the network they are in
    session_id     TEXT    NOT NULL, -- of a stream: the broadcast; '' before the first beat
    player         TEXT    NOT NULL, -- what it calls itself
    referrer       TEXT    NOT NULL, -- host of the page that led there
    state          TEXT    NOT NULL CHECK (state IN ('playing', 'paused', 'stalled', 'ended')),
    position_ms    INTEGER NOT NULL,
    watched_ms     INTEGER NOT NULL, -- as far as the clock lets it be true
    stalls         INTEGER NOT NULL,
    stall_ms       INTEGER NOT NULL,
    dropped_frames INTEGER NOT NULL,
    latency_ms     INTEGER,
    startup_ms     INTEGER,
    rendition      TEXT    NOT NULL,
    bitrate_bps    INTEGER NOT NULL, -- 0: unknown
    judged         INTEGER NOT NULL CHECK (judged IN (0, 1)), -- it was a view, or refused as one
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL -- the last beat
) STRICT, WITHOUT ROWID;

CREATE INDEX plays_user ON plays (user_id, updated_at);
CREATE INDEX plays_session ON plays (session_id, viewer_key);
CREATE INDEX plays_updated ON plays (updated_at);

CREATE TABLE views (
    video_id   TEXT    NOT NULL REFERENCES videos (id),
    viewer_key TEXT    NOT NULL,
    bucket     INTEGER NOT NULL, -- at, in stretches of 6 hours
    prefix_key TEXT    NOT NULL, -- '' once it limits nobody any more
    at         INTEGER NOT NULL,
    PRIMARY KEY (video_id, viewer_key, bucket)
) STRICT, WITHOUT ROWID;

CREATE INDEX views_at ON views (video_id, at);
CREATE INDEX views_prefix ON views (video_id, prefix_key, at) WHERE prefix_key <> '';
CREATE INDEX views_traceable ON views (at) WHERE prefix_key <> '';

-- Where users left what they watched.
CREATE TABLE watch_history (
    user_id     TEXT    NOT NULL REFERENCES users (id),
    video_id    TEXT    NOT NULL REFERENCES videos (id),
    position_ms INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX watch_history_newest ON watch_history (user_id, updated_at, video_id);
CREATE INDEX watch_history_video ON watch_history (video_id);

CREATE TABLE watch_later (
    user_id    TEXT    NOT NULL REFERENCES users (id),
    video_id   TEXT    NOT NULL REFERENCES videos (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;

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
