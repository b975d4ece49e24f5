-- +goose Up
-- River's tables as River v0.51 makes them (line main, version 8), to the letter: a test asks River whether they are current.
CREATE TABLE river_migration (
    line TEXT NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT NOW(),
    CONSTRAINT line_length CHECK (char_length(line) > 0 AND char_length(line) < 128),
    CONSTRAINT version_gte_1 CHECK (version >= 1),
    CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version)
);

INSERT INTO river_migration (line, version) VALUES
    ('main', 1), ('main', 2), ('main', 3), ('main', 4), ('main', 5), ('main', 6), ('main', 7), ('main', 8);

CREATE TYPE river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);

CREATE TABLE river_job (
    id bigserial PRIMARY KEY,
    state river_job_state NOT NULL DEFAULT 'available',
    attempt smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL DEFAULT 25,
    attempted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT NOW(),
    finalized_at timestamptz,
    scheduled_at timestamptz NOT NULL DEFAULT NOW(),
    priority smallint NOT NULL DEFAULT 1,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    queue text NOT NULL DEFAULT 'default',
    tags varchar(255)[] NOT NULL DEFAULT '{}',
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK (
        (finalized_at IS NULL AND state NOT IN ('cancelled', 'completed', 'discarded')) OR
        (finalized_at IS NOT NULL AND state IN ('cancelled', 'completed', 'discarded'))
    ),
    CONSTRAINT max_attempts_is_positive CHECK (max_attempts > 0),
    CONSTRAINT priority_in_range CHECK (priority >= 1 AND priority <= 4),
    CONSTRAINT queue_length CHECK (char_length(queue) > 0 AND char_length(queue) < 128),
    CONSTRAINT kind_length CHECK (char_length(kind) > 0 AND char_length(kind) < 128)
);

CREATE INDEX river_job_kind ON river_job USING btree (kind);
CREATE INDEX river_job_state_and_finalized_at_index ON river_job USING btree (state, finalized_at) WHERE finalized_at IS NOT NULL;
CREATE INDEX river_job_prioritized_fetching_index ON river_job USING btree (state, queue, priority, scheduled_at, id);
CREATE INDEX river_job_args_index ON river_job USING GIN (args);
CREATE INDEX river_job_metadata_index ON river_job USING GIN (metadata);

-- +goose StatementBegin
CREATE FUNCTION river_job_state_in_bitmask(bitmask BIT(8), state river_job_state)
RETURNS boolean
LANGUAGE SQL
IMMUTABLE
AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;
-- +goose StatementEnd

CREATE UNIQUE INDEX river_job_unique_idx ON river_job (unique_key)
    WHERE unique_key IS NOT NULL
      AND unique_states IS NOT NULL
      AND river_job_state_in_bitmask(unique_states, state);

CREATE UNLOGGED TABLE river_leader (
    elected_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    leader_id text NOT NULL,
    name text PRIMARY KEY DEFAULT 'default',
    CONSTRAINT name_length CHECK (name = 'default'),
    CONSTRAINT leader_id_length CHECK (char_length(leader_id) > 0 AND char_length(leader_id) < 128)
);

CREATE TABLE river_queue (
    name text PRIMARY KEY NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    paused_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE river_notification (
    id bigserial PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (length(topic) > 0 AND length(topic) < 128)
);

CREATE INDEX river_notification_created_at_idx ON river_notification (created_at);
CREATE INDEX river_notification_topic_id_idx ON river_notification (topic, id);

-- What River does not keep of a job. The row goes with the job, which River deletes by itself.
CREATE TABLE job_progress (
    job_id     BIGINT NOT NULL PRIMARY KEY REFERENCES river_job (id) ON DELETE CASCADE,
    subject    TEXT COLLATE "C"   NOT NULL, -- what the job is about, "video:ID"; '' for nothing in particular
    attempt    BIGINT NOT NULL, -- whose figures these are
    percent    BIGINT NOT NULL,
    eta_ms     BIGINT,          -- what is left, if that is known
    log_tail   TEXT COLLATE "C"   NOT NULL, -- last lines, JSON
    updated_at BIGINT NOT NULL
);

CREATE INDEX job_progress_subject ON job_progress (subject, job_id);

-- Who works. A node that has been silent for half a minute is taken for dead.
CREATE TABLE node_heartbeats (
    node       TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    beat_at    BIGINT NOT NULL -- by the database's clock
);

CREATE INDEX node_heartbeats_beat ON node_heartbeats (beat_at);

-- Events, written in the transaction that causes them and handed on by the relay.
CREATE TABLE outbox (
    seq         BIGINT GENERATED BY DEFAULT AS IDENTITY NOT NULL PRIMARY KEY, -- the order within a key
    id          TEXT COLLATE "C"   NOT NULL,
    type        TEXT COLLATE "C"   NOT NULL,
    key         TEXT COLLATE "C"   NOT NULL, -- what the event is about, "stream:ID"
    owner_id    TEXT COLLATE "C"   NOT NULL, -- whose webhooks get it; '' for the site's alone
    actor_id    TEXT COLLATE "C"   NOT NULL, -- '' for the system
    data        TEXT COLLATE "C"   NOT NULL, -- JSON
    occurred_at BIGINT NOT NULL,
    sent_at     BIGINT
);

CREATE INDEX outbox_unsent ON outbox (seq) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

-- Where events go over HTTP.
CREATE TABLE webhooks (
    id              TEXT COLLATE "C"    NOT NULL PRIMARY KEY,
    owner_id        TEXT COLLATE "C"    NOT NULL REFERENCES users (id),
    scope           TEXT COLLATE "C"    NOT NULL CHECK (scope IN ('own', 'site')),
    url             TEXT COLLATE "C"    NOT NULL,
    events          TEXT COLLATE "C"    NOT NULL, -- types, JSON
    active          BOOLEAN NOT NULL,
    secret_enc      TEXT COLLATE "C"    NOT NULL, -- sealed
    hint            TEXT COLLATE "C"    NOT NULL, -- its last four characters
    old_secret_enc  TEXT COLLATE "C"    NOT NULL, -- sealed; '' is none
    old_until       BIGINT,         -- until then the old secret signs too
    failing_since   BIGINT,         -- nothing has been delivered since
    disabled_at     BIGINT,         -- by the server, after days of failure
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);

CREATE INDEX webhooks_owner ON webhooks (owner_id, id);
CREATE INDEX webhooks_scope ON webhooks (scope, id);

-- What was, or is to be, delivered.
CREATE TABLE deliveries (
    id            TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    webhook_id    TEXT COLLATE "C"   NOT NULL REFERENCES webhooks (id),
    event_id      TEXT COLLATE "C"   NOT NULL,
    type          TEXT COLLATE "C"   NOT NULL,
    key           TEXT COLLATE "C"   NOT NULL,
    body          TEXT COLLATE "C"   NOT NULL, -- as it is sent, JSON
    state         TEXT COLLATE "C"   NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempt       BIGINT NOT NULL,
    status        BIGINT NOT NULL, -- of the last answer; 0: there was none
    error         TEXT COLLATE "C"   NOT NULL, -- why there was none, one word
    duration_ms   BIGINT NOT NULL,
    response_head TEXT COLLATE "C"   NOT NULL,
    next_at       BIGINT,          -- of the next attempt
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);

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
DROP TABLE river_notification;
DROP TABLE river_queue;
DROP TABLE river_leader;
DROP TABLE river_job;
DROP FUNCTION river_job_state_in_bitmask;
DROP TYPE river_job_state;
DROP TABLE river_migration;
