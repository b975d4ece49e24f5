-- +goose Up
CREATE TABLE users (
    id                   TEXT    NOT NULL PRIMARY KEY,
    username             TEXT    NOT NULL, -- [a-z0-9_]{3,32}: lower-case by rule, so unique as it stands
    display_name         TEXT    NOT NULL,
    password_hash        TEXT    NOT NULL,
    role                 TEXT    NOT NULL CHECK (role IN ('viewer', 'streamer', 'moderator', 'admin')),
    must_change_password INTEGER NOT NULL CHECK (must_change_password IN (0, 1)),
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    version              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_username ON users (username);
CREATE INDEX users_role ON users (role, id);

-- +goose Down
DROP TABLE users;
