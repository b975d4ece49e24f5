-- +goose Up
-- Alerts that fire, and did lately.
CREATE TABLE alerts (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    fingerprint TEXT COLLATE "C" NOT NULL, -- of the rule and the labels, and of the node where each has its own
    rule        TEXT COLLATE "C" NOT NULL,
    severity    TEXT COLLATE "C" NOT NULL,
    summary     TEXT COLLATE "C" NOT NULL,
    labels      TEXT COLLATE "C" NOT NULL, -- JSON
    node        TEXT COLLATE "C" NOT NULL, -- which tells of it
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('firing', 'resolved')),
    resolution  TEXT COLLATE "C" NOT NULL CHECK (resolution IN ('', 'cleared', 'node_gone', 'rule_gone')), -- '' while it fires
    value       DOUBLE PRECISION,             -- of the expression when it fired; NULL is no number
    fired_at    BIGINT NOT NULL,
    resolved_at BIGINT,
    acked_at    BIGINT,
    acked_by    TEXT COLLATE "C" NOT NULL -- user; '' is nobody
);

CREATE UNIQUE INDEX alerts_firing ON alerts (fingerprint) WHERE state = 'firing';
CREATE INDEX alerts_state ON alerts (state, id);
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

-- How many there were in the last day.
CREATE INDEX follows_created ON follows (created_at);

-- +goose Down
DROP INDEX follows_created;
DROP TABLE alerts;
