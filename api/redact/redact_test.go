package redact_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/api/redact"
)

func TestTextLosesSecrets(t *testing.T) {
	for in, want := range map[string]string{
		// By the name.
		`token=abcdefgh1234`:                         `token=***1234`,
		`GET /x?a=1&sig=0123456789abcdef&b=2`:        `GET /x?a=1&sig=***cdef&b=2`,
		`new_password="correct horse battery" x=1`:   `new_password="***tery" x=1`,
		`{"password":"a \"quoted\" one","x":1}`:      `{"password":"*** one","x":1}`,
		`{"body":"{\"password\":\"se\\\"cret99\"}"}`: `{"body":"{\"password\":\"***et99\"}"}`,
		`{"secret": "short", "key":true}`:            `{"secret": "***", "key":true}`,
		`Authorization: Digest abcdef, c=d`:          `Authorization: *** c=d`,
		`map[Authorization:[Bearer abcdefgh12] A:1]`: `map[Authorization:[***gh12] A:1]`,
		`Cookie: a=b; mediad_rt=mdr_0123456789`:      `Cookie: ***6789`,
		`X-Auth-Token: 0123456789`:                   `X-Auth-Token: ***6789`,
		`streamKey=abcdefghij`:                       `streamKey=***ghij`,
		`next=%2Fa%3Ftoken%3Dabcdefgh%26b=1`:         `next=%2Fa%3Ftoken%3D***efgh%26b=1`,
		`email=anna@example.com`:                     `email=***.com`,
		`password: hunter2`:                          `password: ***`,
		// By itself.
		`refused mds_abcdefghijkl2345 at once`:               `refused ***2345 at once`,
		`mdt_abcdefghijklmnop`:                               `***mnop`,
		`whsec_bWVkaWFkLXdlYmhvb2st=`:                        `***2st=`,
		`header "bearer abc.def-1234"`:                       `header "bearer ***1234"`,
		`saw eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl here`:     `saw ***dXJl here`,
		`mail to anna.b+c@mail.example.com, failed`:          `mail to ***.com, failed`,
		`Anna <anna@example.com>.`:                           `Anna <***.com>.`,
		`dial postgres://mediad:pa:ss=word@db:5432/mediad`:   `dial postgres://mediad:***word@db:5432/mediad`,
		`SecretKey=aaaaaaaabbbb password=aaaaaaaacccc other`: `SecretKey=***bbbb password=***cccc other`,
		// By its place.
		`/t/0123456789abcdef/live/main/index.m3u8`:    `/t/***cdef/live/main/index.m3u8`,
		`PUT /c/upload-token-01/3`:                    `PUT /c/***n-01/3`,
		`push rtmp://tv.example:1935/live/name99x?a`:  `push rtmp://tv.example:1935/live/***?a`,
		`"url":"rtmps://tv.example/live/abcdefghijk"`: `"url":"rtmps://tv.example/live/***hijk"`,
	} {
		got := redact.Text(in)
		assert.Equal(t, want, got)
		assert.Equal(t, want, redact.Text(got), "once is enough")
	}
}

func TestTextKeepsTheRest(t *testing.T) {
	for _, in := range []string{
		"", "a", ":", "=", "token", "token=", "key:", "@", "_", " ", "/t/", "eyJ", `"key":true`, "key=false", "monkey=12345678901",
		"time=2026-03-01T12:00:00.000Z level=INFO msg=serving http=0.0.0.0:8080", "secret_key: the file is gone", "key_id=0198f2a0-0000",
		"@anna wrote", "a***e@e***.com", "github.com/x/y@v1.2.3", "live_key: no key frame", "mdk_0123456789abcdef", "a Bearer token is needed",
		"rtmp://tv.example/live", "/t/short/x", "https://user@host/", "tokens=3", "***", "token=***1234",
	} {
		assert.Equal(t, in, redact.Text(in))
	}
}

func TestLogsLoseSecrets(t *testing.T) {
	var kept bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(redact.Writer{W: &kept}, nil), slog.NewJSONHandler(redact.Writer{W: &kept}, nil)} {
		log := slog.New(h).With("cookie", "with-0123-cookie")
		log.WithGroup("g").Info("message with mds_0123456789secret", "password", "two words-0123", "error", errors.New("dial sig=in-an-error-0123"),
			slog.Group("h", "token", "in-a-group-0123"), "header", http.Header{"Authorization": {"Bearer in-a-header-0123"}},
			"body", `{"secret":"in-json-0123 of text"}`, "plain", "stays")
	}
	for _, secret := range []string{"with-0123", "0123456789secret", "two words", "in-an-error", "in-a-group", "in-a-header", "in-json"} {
		assert.NotContains(t, kept.String(), secret)
	}
	assert.Equal(t, 2, strings.Count(kept.String(), "stays"))
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterTellsOfFailures(t *testing.T) {
	_, err := redact.Writer{W: brokenWriter{}}.Write([]byte("x"))
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

const cleanLine = `{"time":"2026-03-01T12:00:00.000Z","level":"INFO","msg":"publisher gone","stream":"main","session":"0198f2a0-0000-7000-8000-000000000001",` +
	`"remote":"203.0.113.7:50312","took":"4.04s","bytes":48213377,"reason":"publisher_stopped"}` + "\n"

func TestACleanLineAllocatesNothing(t *testing.T) {
	line, w := []byte(cleanLine), redact.Writer{W: io.Discard}
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = w.Write(line) }))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = redact.Text(cleanLine) }))
}

func BenchmarkLine(b *testing.B) {
	for name, w := range map[string]io.Writer{"bare": io.Discard, "redacted": redact.Writer{W: io.Discard}} {
		log := slog.New(slog.NewJSONHandler(w, nil))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				log.Info("publisher gone", "stream", "main", "session", "0198f2a0-0000-7000-8000-000000000001", "remote", "203.0.113.7:50312", "bytes", 48213377)
			}
		})
	}
}

func FuzzBytes(f *testing.F) {
	for _, seed := range []string{`token=abcdefgh1234`, `{"a":"{\"key\":\"x`, `rtmp://a/b/c`, `x@y.zz.`, `eyJa.b`, `/t/abcdefgh`, `key%3D`, `cookie: [`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		out := redact.Bytes(text)
		require.Equal(t, before, text, "what is given is not changed")
		require.LessOrEqual(t, len(out), 8*len(text)+16)
	})
}
