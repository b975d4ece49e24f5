package video

import (
	"context"
	"slices"

	"mediad/api/caller"
	"mediad/api/stream"
	"mediad/store/db"
)

// MayWatch says whether the caller of the context may know of a video. A clip out of another's broadcast is watched by that one's followers and not
// by its maker's, and its maker sees it as long as they could watch what it was cut from.
func MayWatch(ctx context.Context, r stream.Relations, v db.Video) (bool, error) {
	if v.ChannelID == nil {
		return stream.MayWatch(ctx, r, v.Visibility, v.OwnerID, caller.VideosRead)
	}
	may, err := stream.MayWatch(ctx, r, v.Visibility, *v.ChannelID, caller.VideosRead)
	if err != nil || may || caller.Of(ctx).UserID != v.OwnerID {
		return may, err
	}
	who := caller.Of(ctx)
	if !who.SignedIn() || !who.Has(caller.VideosRead) {
		return false, nil
	}
	return stream.MayWatch(ctx, r, v.Widest, *v.ChannelID, caller.VideosRead)
}

// visibilities are those that there are, the widest first.
var visibilities = []string{"public", "unlisted", "followers", "private"}

// narrowest is what the fewest may watch.
func narrowest(all ...string) string {
	most := 0
	for _, one := range all {
		at := slices.Index(visibilities, one)
		if at < 0 {
			at = len(visibilities) - 1
		}
		most = max(most, at)
	}
	return visibilities[most]
}

// within says whether a visibility is no wider than another.
func within(visibility, widest string) bool { return narrowest(visibility, widest) == visibility }
