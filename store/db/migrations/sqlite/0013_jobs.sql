-- +goose Up
-- River's tables as River v0.51 makes them (line main, version 8), to the letter: a test asks River whether they are current.
CREATE TABLE river_migration (
    line text NOT NULL,
    version integer NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT line_length CHECK (length(line) > 0 AND length(line) < 128),
    CONSTRAINT version_gte_1 CHECK (version >= 1),
    PRIMARY KEY (line, version)
);

INSERT INTO river_migration (line, version) VALUES
    ('main', 1), ('main', 2), ('main', 3), ('main', 4), ('main', 5), ('main', 6), ('main', 7), ('main', 8);

CREATE TABLE river_leader (
    elected_at timestamp NOT NULL,
    expires_at timestamp NOT NULL,
    leader_id text NOT NULL,
    name text PRIMARY KEY NOT NULL DEFAULT 'default' CHECK (name = 'default'),
    CONSTRAINT name_length CHECK (length(name) > 0 AND length(name) < 128),
    CONSTRAINT leader_id_length CHECK (length(leader_id) > 0 AND length(leader_id) < 128)
);

CREATE TABLE river_queue (
    name text PRIMARY KEY NOT NULL,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    paused_at timestamp,
    updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE river_notification (
    id integer PRIMARY KEY AUTOINCREMENT,
    created_at timestamp NOT NULL DEFAULT (datetime('now', 'subsec')),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);

CREATE INDEX river_notification_created_at_idx ON river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON river_notification (topic, id);

CREATE TABLE river_job (
    id integer PRIMARY KEY AUTOINCREMENT,
    args blob NOT NULL DEFAULT (jsonb('{}')),
    attempt integer NOT NULL DEFAULT 0,
    attempted_at timestamp,
    attempted_by blob,
    created_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    errors blob,
    finalized_at timestamp,
    kind text NOT NULL,
    max_attempts integer NOT NULL DEFAULT 25,
    metadata blob NOT NULL DEFAULT (jsonb('{}')),
    priority integer NOT NULL DEFAULT 1,
    queue text NOT NULL DEFAULT 'default',
    state text NOT NULL DEFAULT 'available',
    scheduled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    tags blob NOT NULL DEFAULT (jsonb('[]')),
    unique_key blob,
    unique_states integer,
    CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
    ),
    CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
    CONSTRAINT queue_length CHECK (length(queue) > 0 AND length(queue) < 128),
    CONSTRAINT kind_length CHECK (length(kind) > 0 AND length(kind) < 128),
    CONSTRAINT state_valid CHECK (state IN ('available', 'cancelled', 'completed', 'discarded', 'pending', 'retryable', 'running', 'scheduled'))
);

CREATE INDEX river_job_kind ON river_job (kind);
CREATE INDEX river_job_state_and_finalized_at_index ON river_job (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX river_job_prioritized_fetching_index ON river_job (state, queue, priority, scheduled_at, id);
CREATE UNIQUE INDEX river_job_unique_idx ON river_job (unique_key)
    WHERE unique_key IS NOT NULL
        AND unique_states IS NOT NULL
        AND CASE state
            WHEN 'available' THEN unique_states & (1 << 0)
            WHEN 'cancelled' THEN unique_states & (1 << 1)
            WHEN 'completed' THEN unique_states & (1 << 2)
            WHEN 'discarded' THEN unique_states & (1 << 3)
            WHEN 'pending'   THEN unique_states & (1 << 4)
            WHEN 'retryable' THEN unique_states & (1 << 5)
            WHEN 'running'   THEN unique_states & (1 << 6)
            WHEN 'scheduled' THEN unique_states & (1 << 7)
            ELSE 0
        END >= 1;

-- What River does not keep of a job. The row goes with the job, which River deletes by itself.
CREATE TABLE job_progress (
    job_id     INTEGER NOT NULL PRIMARY KEY REFERENCES river_job (id) ON DELETE CASCADE,
    subject    TEXT    NOT NULL, -- what the job is about, "video:ID"; '' for nothing in particular
    attempt    INTEGER NOT NULL, -- whose figures these are
    percent    INTEGER NOT NULL,
    eta_ms     INTEGER,          -- what is left, if that is known
    log_tail   TEXT    NOT NULL, -- last lines, JSON
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX job_progress_subject ON job_progress (subject, job_id);

-- Who works. A node that has been silent for half a minute is taken for dead.
CREATE TABLE node_heartbeats (
    node       TEXT    NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    beat_at    INTEGER NOT NULL -- by the database's clock
) STRICT, WITHOUT ROWID;

CREATE INDEX node_heartbeats_beat ON node_heartbeats (beat_at);

-- Events, written in the transaction that causes them and handed on by the relay.
CREATE TABLE outbox (
    seq         INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- the order within a key
    id          TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    key         TEXT    NOT NULL, -- what the event is about, "stream:ID"
    owner_id    TEXT    NOT NULL, -- whose webhooks get it; '' for the site's alone
    actor_id    TEXT    NOT NULL, -- '' for the system
    data        TEXT    NOT NULL, -- JSON
    occurred_at INTEGER NOT NULL,
    sent_at     INTEGER
) STRICT;

CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- Where events go over HTTP.
CREATE TABLE webhooks (
    id              TEXT    NOT NULL PRIMARY KEY,
    owner_id        TEXT    NOT NULL REFERENCES users (id),
    scope           TEXT    NOT NULL CHECK (scope IN ('own', 'site')),
    url             TEXT    NOT NULL,
    events          TEXT    NOT NULL, -- types, JSON
    active          INTEGER NOT NULL CHECK (active IN (0, 1)),
    secret_enc      TEXT    NOT NULL, -- sealed
    hint            TEXT    NOT NULL, -- its last four characters
    old_secret_enc  TEXT    NOT NULL, -- sealed; '' is none
    old_until       INTEGER,          -- until then the old secret signs too
    failing_since   INTEGER,          -- nothing has been delivered since
    disabled_at     INTEGER,          -- by the server, after days of failure
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_owner ON webhooks (owner_id, id);
CREATE INDEX webhooks_scope ON webhooks (scope, id);

-- What was, or is to be, delivered.
CREATE TABLE deliveries (
    id            TEXT    NOT NULL PRIMARY KEY,
    webhook_id    TEXT    NOT NULL REFERENCES webhooks (id),
    event_id      TEXT    NOT NULL,
    type          TEXT    NOT NULL,
    key           TEXT    NOT NULL,
    body          TEXT    NOT NULL, -- as it is sent, JSON
    state         TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempt       INTEGER NOT NULL,
    status        INTEGER NOT NULL, -- of the last answer; 0: there was none
    error         TEXT    NOT NULL, -- why there was none, one word
    duration_ms   INTEGER NOT NULL,
    response_head TEXT    NOT NULL,
    next_at       INTEGER,          -- of the next attempt
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX deliveries_event ON deliveries (webhook_id, event_id);
CREATE INDEX deliveries_listed ON deliveries (webhook_id, id);
CREATE INDEX deliveries_first ON deliveries (webhook_id, key, id) WHERE state = 'waiting' AND attempt = 0;
CREATE INDEX deliveries_created ON deliveries (created_at);

-- +goose Down
DROP TABLE deliveries;
DROP TABLE webhooks;
DROP TABLE outbox;
DROP TABLE node_heartbeats;
DROP TABLE job_progress;
DROP TABLE river_job;
DROP TABLE river_notification;
DROP TABLE river_queue;
DROP TABLE river_leader;
DROP TABLE river_migration;
