-- +goose Up
-- What streams and videos may be about. A row stays when its category goes, so that the list's version only rises.
CREATE TABLE categories (
    id         TEXT    NOT NULL PRIMARY KEY,
    slug       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL, -- of the list, when the row was changed last
    deleted_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX categories_slug ON categories (slug) WHERE deleted_at IS NULL;
CREATE INDEX categories_version ON categories (version);

CREATE INDEX videos_category ON videos (category, visibility, state, id) WHERE category <> '' AND deleted_at IS NULL;

-- What was denied is little, and looked for.
CREATE INDEX audit_log_denied ON audit_log (id) WHERE outcome = 'denied';

-- Where somebody came from last is asked for when all their sessions have ended, too.
CREATE INDEX sessions_traced ON sessions (user_id, last_seen_at) WHERE ip_enc <> '';

-- +goose Down
DROP INDEX sessions_traced;
DROP INDEX audit_log_denied;
DROP INDEX videos_category;
DROP TABLE categories;
