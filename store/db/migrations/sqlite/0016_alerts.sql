-- +goose Up
-- Alerts that fire, and did lately.
CREATE TABLE alerts (
    id          TEXT    NOT NULL PRIMARY KEY,
    fingerprint TEXT    NOT NULL, -- of the rule and the labels, and of the node where each has its own
    rule        TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    summary     TEXT    NOT NULL,
    labels      TEXT    NOT NULL, -- JSON
    node        TEXT    NOT NULL, -- which tells of it
    state       TEXT    NOT NULL CHECK (state IN ('firing', 'resolved')),
    resolution  TEXT    NOT NULL CHECK (resolution IN ('', 'cleared', 'node_gone', 'rule_gone')), -- '' while it fires
    value       REAL,             -- of the expression when it fired; NULL is no number
    fired_at    INTEGER NOT NULL,
    resolved_at INTEGER,
    acked_at    INTEGER,
    acked_by    TEXT    NOT NULL -- user; '' is nobody
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX alerts_firing ON alerts (fingerprint) WHERE state = 'firing';
CREATE INDEX alerts_state ON alerts (state, id);
CREATE INDEX alerts_resolved ON alerts (resolved_at) WHERE resolved_at IS NOT NULL;

-- How many there were in the last day.
CREATE INDEX follows_created ON follows (created_at);

-- +goose Down
DROP INDEX follows_created;
DROP TABLE alerts;
