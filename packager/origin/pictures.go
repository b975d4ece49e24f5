package origin

import (
	"errors"
	"strconv"

	"mediad/packager/playlist"
	"mediad/store/blob"
)

// The pictures of a video that are made once. Each is an object of its own in the blob store.
const (
	storyboardFile = "storyboard.vtt"
	sheetPrefix    = "storyboard_"
	sheetSuffix    = ".jpg"
)

// pictures answers a video's thumbnail, and its storyboard: a WebVTT file and the sheets that it names.
func (a *answer) pictures() {
	f := &a.h.fixed
	if err := a.h.library.Watchable(a.r.Context(), a.route.stream); err != nil {
		a.noVideo(err)
		return
	}
	if a.h.blobs == nil {
		a.problem(notFound, f.forSecond)
		return
	}
	key := "vod/" + a.route.stream + "/" + a.route.file
	info, err := a.h.blobs.Stat(a.r.Context(), key)
	switch {
	case errors.Is(err, blob.ErrNotExist): // it may be made in a moment
		a.problem(notFound, f.forSecond)
		return
	case err != nil:
		a.unreadable(key, err)
		return
	}
	// None of them is immutable: what a crash cut short is made anew under the same names, of what is there then.
	kind, cache := f.jpeg, f.seconds(vodAge)
	if a.route.file == storyboardFile {
		kind = f.vtt
	}
	etag := `"` + strconv.FormatInt(info.Size, 36) + "-" + strconv.FormatInt(info.Modified.UnixNano(), 36) + `"`
	a.sendAs(playlist.Media{Key: key, Size: info.Size}, kind, etag, cache)
}
