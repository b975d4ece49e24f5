-- +goose Up
CREATE TABLE users (
    id                   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    username             TEXT COLLATE "C" NOT NULL, -- [a-z0-9_]{3,32}: lower-case by rule, so unique as it stands
    display_name         TEXT COLLATE "C" NOT NULL,
    password_hash        TEXT COLLATE "C" NOT NULL,
    role                 TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'streamer', 'moderator', 'admin')),
    must_change_password BOOLEAN          NOT NULL,
    created_at           BIGINT           NOT NULL,
    updated_at           BIGINT           NOT NULL,
    version              BIGINT           NOT NULL
);

CREATE UNIQUE INDEX users_username ON users (username);
CREATE INDEX users_role ON users (role, id);

-- +goose Down
DROP TABLE users;
