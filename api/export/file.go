package export

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"mediad/api/caller"
	"mediad/api/object"
	"mediad/api/picture"
	"mediad/api/problem"
	"mediad/store/db"
)

// pageSize is how many rows are read at a time.
const pageSize = 200

// fields are one object of a file. No secret, and nothing that was given in confidence by others, is in any.
type fields map[string]any

// source gives out a file's objects, one after another.
type source func(ctx context.Context, q db.Queries, u db.User, add func(fields) error) error

// part is a file of the zip.
type part struct {
	name string
	from source
}

func (s *Service) parts() []part {
	return []part{
		{"sessions.json", s.sessions}, {"following.json", following}, {"followers.json", followers}, {"blocks.json", blocks},
		{"channel_moderators.json", moderators}, {"streams.json", s.streams}, {"broadcasts.json", broadcasts}, {"videos.json", s.videos},
		{"history.json", history}, {"watch_later.json", watchLater}, {"api_tokens.json", apiTokens}, {"audit.json", records},
	}
}

// write writes the zip.
func (s *Service) write(ctx context.Context, to io.Writer, u db.User, progress func(percent int)) error {
	z := zip.NewWriter(to)
	q := s.o.DB.Read(ctx)
	profile, err := s.profile(q, u)
	if err != nil {
		return err
	}
	for name, body := range map[string]any{"profile.json": profile, "settings.json": u.Settings} {
		w, err := s.create(z, name)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			return fmt.Errorf("export: %s: %w", name, err)
		}
	}
	parts := s.parts()
	for i, p := range parts {
		w, err := s.create(z, p.name)
		if err != nil {
			return err
		}
		if err := list(ctx, w, func(add func(fields) error) error { return p.from(ctx, q, u, add) }); err != nil {
			return fmt.Errorf("export: %s: %w", p.name, err)
		}
		progress(90 * (i + 1) / len(parts))
	}
	for kind, name := range map[string]string{"avatar": u.Avatar, "banner": u.Banner} {
		if name == "" {
			continue
		}
		if err := s.picture(ctx, z, kind, name); err != nil {
			return err
		}
	}
	return z.Close()
}

func (s *Service) create(z *zip.Writer, name string) (io.Writer, error) {
	return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: s.o.Now().UTC()})
}

// list writes a JSON list as it comes.
func list(ctx context.Context, w io.Writer, each func(add func(fields) error) error) error {
	between := "["
	enc := json.NewEncoder(w)
	err := each(func(one fields) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.WriteString(w, between); err != nil {
			return err
		}
		between = ","
		return enc.Encode(one)
	})
	if err != nil {
		return err
	}
	if between == "[" {
		between = "[]"
	} else {
		between = "]"
	}
	_, err = io.WriteString(w, between+"\n")
	return err
}

// picture adds a picture as it is shown: the file that it was made of is not kept.
func (s *Service) picture(ctx context.Context, z *zip.Writer, kind, name string) error {
	body, size, err := s.o.Objects.Store().Open(ctx, picture.Key(name))
	if errors.Is(err, object.ErrNotExist) { // another was chosen meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("export: %s: %w", kind, err)
	}
	defer body.Close()
	extension := name[len(name)-len(".jpg"):]
	w, err := s.create(z, kind+extension)
	if err != nil {
		return err
	}
	if n, err := io.Copy(w, body); err != nil || n != size {
		return fmt.Errorf("export: %s: %d of %d bytes: %w", kind, n, size, errors.Join(err, ctx.Err()))
	}
	return nil
}

func (s *Service) profile(q db.Queries, u db.User) (fields, error) {
	email, err := s.o.Email(u)
	if err != nil {
		return nil, err
	}
	second, err := q.FindTOTP(u.ID)
	if err != nil && !errors.Is(err, db.ErrNotFound) {
		return nil, err
	}
	return fields{
		"id": u.ID, "username": u.Username, "display_name": u.DisplayName, "bio": u.Bio, "links": u.Links, "email": email,
		"email_verified_at": stamp(u.EmailVerifiedAt), "role": u.Role, "verified_at": stamp(u.VerifiedAt), "two_factor": second.ConfirmedAt != nil,
		"followers_count": u.FollowersCount, "following_count": u.FollowingCount, "created_at": stamp(&u.CreatedAt), "updated_at": stamp(&u.UpdatedAt),
	}, nil
}

// stamp is a moment as the API writes it; nil: null.
func stamp(m *db.Millis) any {
	if m == nil {
		return nil
	}
	return problem.Stamp(m.Time())
}

func (s *Service) sessions(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages("", func(before string) ([]db.Login, error) {
		return q.ListLogins(u.ID, u.SessionVersion, before, db.At(s.o.Now()), pageSize)
	}, func(l db.Login) string { return l.ID }, func(l db.Login) error {
		one := fields{"id": l.ID, "device_name": l.DeviceName, "created_at": stamp(&l.CreatedAt), "last_seen_at": stamp(&l.LastSeenAt), "expires_at": stamp(&l.ExpiresAt)}
		if l.IPEnc != "" {
			ip, err := s.o.Secrets.Open("sessions.ip "+l.ID, l.IPEnc)
			if err != nil {
				return err
			}
			if addr, err := netip.ParseAddr(ip); err == nil {
				one["ip"] = caller.Mask(addr)
			}
			if one["agent"], err = s.o.Secrets.Open("sessions.agent "+l.ID, l.AgentEnc); err != nil {
				return err
			}
		}
		return add(one)
	})
}

// pages goes over all pages of a list that goes on behind a position.
func pages[T, P any](from P, read func(P) ([]T, error), position func(T) P, each func(T) error) error {
	for {
		rows, err := read(from)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := each(row); err != nil {
				return err
			}
			from = position(row)
		}
		if len(rows) < pageSize {
			return nil
		}
	}
}

// related goes over a list of users.
func related(q db.Queries, u db.User, read func(userID string, after db.Related, limit int) ([]db.Related, error), add func(fields) error) error {
	for after := (db.Related{}); ; {
		rows, err := read(u.ID, after, pageSize)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1]
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
		}
		users, err := q.FindUsers(ids)
		if err != nil {
			return err
		}
		names := map[string]string{}
		for _, one := range users {
			names[one.ID] = one.Username
		}
		for _, row := range rows {
			if err := add(fields{"user_id": row.ID, "username": names[row.ID], "created_at": stamp(&row.At)}); err != nil {
				return err
			}
		}
	}
}

func following(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return related(q, u, q.ListFollowing, add)
}

func followers(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return related(q, u, q.ListFollowers, add)
}

func blocks(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return related(q, u, q.ListBlocks, add)
}

func moderators(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return related(q, u, q.ListChannelMods, add)
}

// ownStreams goes over the streams of a user.
func ownStreams(q db.Queries, u db.User, each func(db.Stream) error) error {
	return pages("", func(before string) ([]db.Stream, error) { return q.ListStreamsOf(u.ID, before, pageSize) }, func(row db.Stream) string { return row.ID }, each)
}

func (s *Service) streams(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return ownStreams(q, u, func(row db.Stream) error {
		keys, err := q.ListStreamKeys(row.ID)
		if err != nil {
			return err
		}
		shown := make([]fields, len(keys))
		for i, k := range keys {
			shown[i] = fields{
				"id": k.ID, "label": k.Label, "hint": k.Hint, "created_at": stamp(&k.CreatedAt), "expires_at": stamp(k.ExpiresAt), "revoked_at": stamp(k.RevokedAt),
				"last_used_at": stamp(k.LastUsedAt), "last_ip": k.LastIP,
			}
		}
		return add(fields{
			"id": row.ID, "slug": row.Slug, "title": row.Title, "description": row.Description, "category": row.Category, "tags": row.Tags,
			"language": row.Language, "visibility": row.Visibility, "replay_visibility": row.ReplayVisibility, "mature": row.Mature, "latency": row.Latency,
			"record": row.Record, "created_at": stamp(&row.CreatedAt), "updated_at": stamp(&row.UpdatedAt), "keys": shown,
		})
	})
}

func broadcasts(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	const future db.Millis = 1 << 62
	return ownStreams(q, u, func(row db.Stream) error {
		return pages(future, func(before db.Millis) ([]db.Session, error) { return q.ListSessions(row.ID, before, pageSize) },
			func(one db.Session) db.Millis { return one.StartedAt }, func(one db.Session) error {
				return add(fields{
					"id": one.ID, "stream_id": row.ID, "started_at": stamp(&one.StartedAt), "ended_at": stamp(one.EndedAt), "end_reason": one.EndReason,
					"peak_viewers": one.PeakViewers, "unique_viewers": one.UniqueViewers, "watch_s": one.WatchMS / 1000,
				})
			})
	})
}

func (s *Service) videos(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages("", func(before string) ([]db.Video, error) {
		return q.ListVideos(db.VideoFilter{OwnerID: u.ID, Before: before}, pageSize)
	},
		func(v db.Video) string { return v.ID }, func(v db.Video) error {
			return add(fields{
				"id": v.ID, "kind": v.Kind, "title": v.Title, "description": v.Description, "category": v.Category, "language": v.Language,
				"visibility": v.Visibility, "mature": v.Mature, "state": v.State, "duration_ms": v.DurationMS, "width": v.Width, "height": v.Height, "bytes": v.Bytes,
				"published_at": stamp(v.PublishedAt), "created_at": stamp(&v.CreatedAt), "updated_at": stamp(&v.UpdatedAt), "url": s.o.PublicURL + "/video/" + v.ID,
			})
		})
}

func history(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages(db.Related{}, func(after db.Related) ([]db.Mark, error) { return q.ListMarks(u.ID, after, pageSize) },
		func(m db.Mark) db.Related { return db.Related{ID: m.VideoID, At: m.UpdatedAt} }, func(m db.Mark) error {
			return add(fields{"video_id": m.VideoID, "position_ms": m.PositionMS, "updated_at": stamp(&m.UpdatedAt)})
		})
}

func watchLater(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages(db.Related{}, func(after db.Related) ([]db.WatchLater, error) { return q.ListWatchLater(u.ID, after, pageSize) },
		func(w db.WatchLater) db.Related { return db.Related{ID: w.VideoID, At: w.CreatedAt} }, func(w db.WatchLater) error {
			return add(fields{"video_id": w.VideoID, "created_at": stamp(&w.CreatedAt)})
		})
}

func apiTokens(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages("", func(before string) ([]db.APIToken, error) { return q.ListAPITokens(u.ID, before, pageSize) },
		func(t db.APIToken) string { return t.ID }, func(t db.APIToken) error {
			return add(fields{
				"id": t.ID, "label": t.Label, "hint": t.Hint, "scopes": t.Scopes, "created_at": stamp(&t.CreatedAt), "expires_at": stamp(t.ExpiresAt),
				"last_used_at": stamp(t.LastUsedAt),
			})
		})
}

// records are what the user did. What it was done to may be others', and is an id alone.
func records(_ context.Context, q db.Queries, u db.User, add func(fields) error) error {
	return pages("", func(before string) ([]db.Audit, error) {
		return q.ListAudit(db.AuditFilter{ActorID: u.ID, Before: before}, pageSize)
	}, func(a db.Audit) string { return a.ID }, func(a db.Audit) error {
		return add(fields{
			"id": a.ID, "at": stamp(&a.At), "via": a.Via, "ip": a.IP, "action": a.Action, "target": fields{"type": a.TargetType, "id": a.TargetID}, "outcome": a.Outcome,
		})
	})
}

// fileName is what an export is called where it is saved.
func fileName(at time.Time) string { return "mediad-export-" + at.UTC().Format("2006-01-02") + ".zip" }
