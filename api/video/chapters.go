package video

import (
	"context"
	"math"
	"time"

	"mediad/api/text"
	"mediad/store/db"
)

const (
	// maxChapters of a video (api.md 4.4), and maxChapterTitle in characters.
	maxChapters     = 100
	maxChapterTitle = 100
)

// Chapter is a stretch of a video that has a name. It goes up to the next one.
type Chapter struct {
	Start time.Duration
	Title string
}

// chapters are those of a replay or clip: the moments of its broadcast that were marked, rising, the first at the beginning.
func (h *handlers) chapters(ctx context.Context, q db.Queries, v db.Video) ([]Chapter, error) {
	if v.SessionID == nil {
		return nil, nil
	}
	from, to := db.Millis(0), db.Millis(math.MaxInt64)
	if v.FromNS != nil && v.ToNS != nil {
		from, to = db.At(time.Unix(0, *v.FromNS)), db.At(time.Unix(0, *v.ToNS))
	}
	marked, err := q.ListMarkers(*v.SessionID, from, to, maxChapters-1)
	if err != nil || len(marked) == 0 {
		return nil, err
	}
	moments := make([]time.Time, len(marked))
	for i, m := range marked {
		moments[i] = m.At.Time()
	}
	places, err := h.media.Places(ctx, v.ID, moments)
	if err != nil {
		return nil, err
	}
	var out []Chapter
	for i, at := range places {
		if at < 0 {
			continue
		}
		at = at.Truncate(time.Millisecond)
		c := Chapter{Start: at, Title: marked[i].Label}
		switch {
		case len(out) > 0 && out[len(out)-1].Start == at: // both were set while the publisher was away
			out[len(out)-1] = c
		case len(out) == 0 && at > 0:
			out = append(out, Chapter{Title: shorten(v.Title)}, c)
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// shorten cuts a title to what a chapter may have.
func shorten(title string) string {
	if text.Len(title) <= maxChapterTitle {
		return title
	}
	return string([]rune(title)[:maxChapterTitle-1]) + "…"
}
