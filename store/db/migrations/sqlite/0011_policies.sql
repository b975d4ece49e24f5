-- +goose Up
-- They rise with each change of who may watch; what was given out for an older one is good no more.
ALTER TABLE streams ADD COLUMN policy_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE videos ADD COLUMN policy_epoch INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE videos DROP COLUMN policy_epoch;
ALTER TABLE streams DROP COLUMN policy_epoch;
