-- +goose Up
-- How many clips somebody has cut out of the broadcasts of others is bounded, and so counted with each.
CREATE INDEX videos_cut ON videos (owner_id) WHERE kind = 'clip' AND deleted_at IS NULL AND channel_id IS NOT NULL;

-- +goose Down
DROP INDEX videos_cut;
