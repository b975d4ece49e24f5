package web

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
)

const manifestName = "manifest.json"

// manifest knows which files each page needs beyond those that its HTML names, so that a browser can fetch them while it still
// reads the HTML: without that a watch page takes three round trips to its player.
type manifest struct {
	links map[pageKind][]string // values of Link headers
}

// chunk is one entry of the build's manifest.
type chunk struct {
	File    string   `json:"file"`
	CSS     []string `json:"css"`
	Imports []string `json:"imports"`
}

// views names the file that each page loads after its entry.
func views() map[pageKind]string {
	return map[pageKind]string{
		homePage:  "src/features/home/HomePage.vue",
		watchPage: "src/features/watch/WatchPage.vue",
		videoPage: "src/features/video/VideoPage.vue",
	}
}

// readManifest makes the Link headers of each page. Without a manifest that can be read there are none: the pages work all the
// same, only slower.
func readManifest(files fs.FS) *manifest {
	m := &manifest{links: map[pageKind][]string{}}
	data, err := fs.ReadFile(files, manifestName)
	if err != nil {
		return m
	}
	var chunks map[string]chunk
	if err := json.Unmarshal(data, &chunks); err != nil {
		return m
	}
	entry := map[string]bool{}
	collect(chunks, "index.html", entry, nil)
	for kind, view := range views() {
		collect(chunks, view, maps.Clone(entry), func(c chunk) {
			m.links[kind] = append(m.links[kind], "</"+c.File+">; rel=modulepreload")
			for _, css := range c.CSS {
				m.links[kind] = append(m.links[kind], "</"+css+">; rel=preload; as=style")
			}
		})
		slices.Sort(m.links[kind])
		// The one script that the first paint waits for goes ahead of all: over HTTP/1.1 six requests go at a time.
		m.links[kind] = slices.Insert(m.links[kind], 0, "</theme.js>; rel=preload; as=script")
	}
	return m
}

// collect visits a chunk and all that it imports, each once.
func collect(chunks map[string]chunk, key string, seen map[string]bool, visit func(chunk)) {
	c, known := chunks[key]
	if !known || seen[key] {
		return
	}
	seen[key] = true
	if visit != nil {
		visit(c)
	}
	for _, imported := range c.Imports {
		collect(chunks, imported, seen, visit)
	}
}

// of returns the Link headers of a page. Those that play a stream name its playlist too: it is the first thing that the player
// asks for. Where a video is played from the API says.
func (m *manifest) of(p page) []string {
	links := m.links[p.kind]
	if p.kind != watchPage && p.kind != embedPage {
		return links
	}
	return append(slices.Clip(links), "<"+p.playlist()+">; rel=preload; as=fetch; crossorigin")
}
