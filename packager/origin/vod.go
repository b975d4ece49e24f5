package origin

import (
	"context"
	"errors"

	"mediad/packager/playlist"
)

// ErrNoVideo is what a Library answers, wrapped or not, for a video that is not there to be seen.
var ErrNoVideo = errors.New("origin: no such video")

// Library has what is not live. Its methods are called from many goroutines.
type Library interface {
	// Video finds a video; it may take its time to, until ctx ends.
	Video(ctx context.Context, id string) (Video, error)
	// Watchable is nil for a video that is there to be seen. It costs less than Video, which reads what the video is made of.
	Watchable(ctx context.Context, id string) error
}

// Video is one video.
type Video interface {
	Multivariant() playlist.Document
	Rendition(name string) (VideoRendition, bool)
	// Download is the video as one file; a *NoDownloadError where it cannot be one.
	Download(ctx context.Context) (VideoFile, error)
}

// VideoRendition is one media playlist of a video, and its media.
type VideoRendition interface {
	Playlist() playlist.Document
	Init(epoch int64) ([]byte, bool)
	Media(epoch int64, msn uint64) (playlist.Media, bool)
}

// vodPrefix is where videos are.
const vodPrefix = "/vod/"

// vodAge is how long a video's playlists may be kept, in seconds: a deleted video is gone from caches after that.
const vodAge = 60

// vod answers for what is not live.
func (a *answer) vod() {
	f := &a.h.fixed
	if a.h.library == nil {
		a.problem(notFound, f.forSecond)
		return
	}
	if a.route.kind == Thumbnail || a.route.kind == Storyboard {
		a.pictures()
		return
	}
	v, err := a.h.library.Video(a.r.Context(), a.route.stream)
	if err != nil {
		a.noVideo(err)
		return
	}
	if a.route.kind == Multivariant {
		a.document(v.Multivariant(), f.seconds(vodAge))
		return
	}
	if a.route.kind == Download {
		a.download(v)
		return
	}
	r, ok := v.Rendition(a.route.rendition)
	if !ok {
		a.problem(notFound, f.seconds(vodAge))
		return
	}
	var m playlist.Media
	switch a.route.kind {
	case Playlist:
		a.document(r.Playlist(), f.seconds(vodAge))
		return
	case Init:
		m.Bytes, ok = r.Init(a.route.epoch)
	default:
		m, ok = r.Media(a.route.epoch, a.route.msn)
	}
	if !ok {
		a.problem(notFound, f.seconds(vodAge))
		return
	}
	a.send(m, a.contentType())
}

// noVideo answers where a video was not found, or the library could not tell.
func (a *answer) noVideo(err error) {
	if errors.Is(err, ErrNoVideo) {
		a.problem(notFound, a.h.fixed.forSecond)
		return
	}
	if a.r.Context().Err() == nil {
		a.h.log.Error("video cannot be read", "video", a.route.stream, "error", err)
	}
	a.problem(storageUnavailable, a.h.fixed.noStore)
}
