-- +goose Up
ALTER TABLE videos ADD COLUMN pictures TEXT COLLATE "C" NOT NULL DEFAULT '' CHECK (pictures IN ('', 'made', 'none')); -- thumbnail and storyboard; '' is wanted

CREATE INDEX videos_pictures ON videos (id) WHERE pictures = '';

-- +goose Down
DROP INDEX videos_pictures;
ALTER TABLE videos DROP COLUMN pictures;
