package account

import (
	"context"
	"strconv"
	"time"

	"mediad/api/patch"
	"mediad/store/db"
)

// Limits are how much of everything a user may have.
type Limits struct {
	StorageBytes, UploadsADay, FileBytes, DurationS, Streams, StreamKeys, Webhooks, APITokens int64
}

// DefaultLimits are those of a site that was told nothing.
func DefaultLimits() Limits {
	return Limits{
		StorageBytes: 50 << 30, UploadsADay: 20, FileBytes: 16 << 30, DurationS: int64(12 * time.Hour / time.Second), Streams: 3, StreamKeys: 5,
		Webhooks: 5, APITokens: 20,
	}
}

// LimitsOf are the site's, or what an admin allows the user in their place.
func (s *Service) LimitsOf(u db.User) Limits {
	l := s.limits
	for _, one := range []struct {
		to  *int64
		own *int64
	}{
		{&l.StorageBytes, u.Limits.StorageBytes}, {&l.UploadsADay, u.Limits.UploadsADay}, {&l.FileBytes, u.Limits.FileBytes},
		{&l.DurationS, u.Limits.DurationS}, {&l.Streams, u.Limits.Streams}, {&l.StreamKeys, u.Limits.StreamKeys}, {&l.Webhooks, u.Limits.Webhooks},
		{&l.APITokens, u.Limits.APITokens},
	} {
		if one.own != nil {
			*one.to = *one.own
		}
	}
	return l
}

// LimitsBody is how much a user may have.
type LimitsBody struct {
	StorageMaxBytes int64 `json:"storage_max_bytes" minimum:"0" example:"53687091200"`
	UploadsMax      int64 `json:"uploads_max" minimum:"0" doc:"A day" example:"20"`
	FileMaxBytes    int64 `json:"file_max_bytes" minimum:"0" doc:"Of one upload" example:"17179869184"`
	DurationMaxS    int64 `json:"duration_max_s" minimum:"0" doc:"Of one upload" example:"43200"`
	StreamsMax      int64 `json:"streams_max" minimum:"0" example:"3"`
	StreamKeysMax   int64 `json:"stream_keys_max" minimum:"0" doc:"Of one stream" example:"5"`
	WebhooksMax     int64 `json:"webhooks_max" minimum:"0" example:"5"`
	APITokensMax    int64 `json:"api_tokens_max" minimum:"0" example:"20"`
}

// QuotaBody is how much a user may have, and has.
type QuotaBody struct {
	StorageBytes int64 `json:"storage_bytes" minimum:"0" doc:"Of replays, clips and uploads" example:"1073741824"`
	UploadsToday int64 `json:"uploads_today" minimum:"0" doc:"Since midnight, UTC" example:"0"`
	Streams      int64 `json:"streams" minimum:"0" example:"1"`
	APITokens    int64 `json:"api_tokens" minimum:"0" example:"2"`
	LimitsBody
}

// LimitsBody shows how much the user may have.
func (s *Service) LimitsBody(u db.User) LimitsBody {
	l := s.LimitsOf(u)
	return LimitsBody{l.StorageBytes, l.UploadsADay, l.FileBytes, l.DurationS, l.Streams, l.StreamKeys, l.Webhooks, l.APITokens}
}

// quota counts what the user has.
func (s *Service) quota(ctx context.Context, u db.User) (QuotaBody, error) {
	usage, err := s.db.Read(ctx).UsageOf(u.ID, db.At(s.now().UTC().Truncate(24*time.Hour)))
	return QuotaBody{usage.StorageBytes, usage.UploadsToday, usage.Streams, usage.APITokens, s.LimitsBody(u)}, err
}

// LimitsPatch is what an admin changes of them.
type LimitsPatch struct {
	StorageMaxBytes patch.Field[int64] `json:"storage_max_bytes,omitempty" doc:"null: as the site has it, and so for all of them" example:"107374182400"`
	UploadsMax      patch.Field[int64] `json:"uploads_max,omitempty" doc:"A day" example:"50"`
	FileMaxBytes    patch.Field[int64] `json:"file_max_bytes,omitempty" example:"17179869184"`
	DurationMaxS    patch.Field[int64] `json:"duration_max_s,omitempty" example:"43200"`
	StreamsMax      patch.Field[int64] `json:"streams_max,omitempty" example:"10"`
	StreamKeysMax   patch.Field[int64] `json:"stream_keys_max,omitempty" doc:"Of one stream" example:"5"`
	WebhooksMax     patch.Field[int64] `json:"webhooks_max,omitempty" example:"5"`
	APITokensMax    patch.Field[int64] `json:"api_tokens_max,omitempty" example:"20"`
}

// maxLimit keeps sums of bytes within their type.
const maxLimit = 1 << 53

// apply changes limits, and says what of it is not allowed.
func (p LimitsPatch) apply(l *db.Limits) error {
	var bad Invalid
	for _, one := range []struct {
		name  string
		field patch.Field[int64]
		to    **int64
	}{
		{"storage_max_bytes", p.StorageMaxBytes, &l.StorageBytes}, {"uploads_max", p.UploadsMax, &l.UploadsADay},
		{"file_max_bytes", p.FileMaxBytes, &l.FileBytes}, {"duration_max_s", p.DurationMaxS, &l.DurationS},
		{"streams_max", p.StreamsMax, &l.Streams}, {"stream_keys_max", p.StreamKeysMax, &l.StreamKeys},
		{"webhooks_max", p.WebhooksMax, &l.Webhooks}, {"api_tokens_max", p.APITokensMax, &l.APITokens},
	} {
		if v := one.field.Value; v < 0 || v > maxLimit {
			bad.Add("quota/"+one.name, "out_of_range", "0 to "+strconv.Itoa(maxLimit), 0)
		}
		one.field.ApplyPtr(one.to)
	}
	if len(bad.Fields) > 0 {
		return &bad
	}
	return nil
}
