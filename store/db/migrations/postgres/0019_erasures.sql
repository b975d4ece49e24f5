-- +goose Up
-- Pages of who is to be erased go on behind the last one of the page before, by both columns.
DROP INDEX users_leaving;
CREATE INDEX users_leaving ON users (erase_at, id) WHERE erase_at IS NOT NULL;

-- +goose Down
DROP INDEX users_leaving;
CREATE INDEX users_leaving ON users (erase_at) WHERE erase_at IS NOT NULL;
