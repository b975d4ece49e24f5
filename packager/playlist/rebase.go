package playlist

import "bytes"

// Rebase is a media playlist that lies elsewhere than its media: folder tells, for the file name of an init segment or a segment, what
// stands in front of it there. It takes playlists without parts, as RenderVOD and RenderDVR make them.
func Rebase(plain []byte, folder func(name string) string) []byte {
	const mapTag = `#EXT-X-MAP:URI="`
	out := make([]byte, 0, 2*len(plain))
	for line := range bytes.Lines(plain) {
		name := line
		if rest, ok := bytes.CutPrefix(line, []byte(mapTag)); ok {
			out, name = append(out, mapTag...), rest
		} else if line[0] == '#' {
			out = append(out, line...)
			continue
		}
		if end := bytes.IndexAny(name, "\"\n"); end > 0 {
			out = append(out, folder(string(name[:end]))...)
		}
		out = append(out, name...)
	}
	return out
}
