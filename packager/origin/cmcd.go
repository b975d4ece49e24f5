package origin

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// CMCD is what a player told of itself with a request (CTA-5004, Common Media Client Data), in four headers or as one
// parameter of the query. It never changes an answer. Players behind a cache tell the cache.
type CMCD uint8

// What a player told.
const (
	CMCDNone    CMCD = iota // nothing
	CMCDFine                // it has something to play
	CMCDStarved             // its buffer ran dry since its last request (bs)
)

// maxCMCD bounds what is read of a report; players send some hundred bytes.
const maxCMCD = 2 << 10

var cmcdHeaders = [...]string{"Cmcd-Request", "Cmcd-Object", "Cmcd-Status", "Cmcd-Session"}

// cmcdOf returns the report of a request as the query spells it, "" if there is none.
func cmcdOf(r *http.Request) string {
	report := ""
	for _, name := range cmcdHeaders {
		for _, value := range r.Header[name] {
			if report != "" {
				report += ","
			}
			if report += value; len(report) > maxCMCD {
				return report[:maxCMCD]
			}
		}
	}
	if report != "" {
		return report
	}
	for query := r.URL.RawQuery; query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if value, ok := strings.CutPrefix(pair, "CMCD="); ok {
			// What is not well-formed is read as it stands.
			if plain, err := url.QueryUnescape(value[:min(len(value), maxCMCD)]); err == nil {
				return plain
			}
			return value[:min(len(value), maxCMCD)]
		}
	}
	return ""
}

// starved tells whether a report has the key bs. Commas inside quoted strings separate nothing.
func starved(report string) bool {
	quoted, begin := false, 0
	for i := 0; i <= len(report); i++ {
		switch {
		case i == len(report) || report[i] == ',' && !quoted:
			switch strings.TrimSpace(report[begin:i]) {
			case "bs", "bs=?1", "bs=true":
				return true
			}
			begin = i + 1
		case report[i] == '\\' && quoted:
			i++
		case report[i] == '"':
			quoted = !quoted
		}
	}
	return false
}

// cmcd reads and logs what the player told.
func (a *answer) cmcd() CMCD {
	report := cmcdOf(a.r)
	if report == "" {
		return CMCDNone
	}
	a.h.log.Debug("cmcd", slog.String("stream", a.route.stream), slog.String("rendition", a.route.rendition),
		slog.String("kind", a.route.kind.String()), slog.String("report", report))
	if starved(report) {
		return CMCDStarved
	}
	return CMCDFine
}
