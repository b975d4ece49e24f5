package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mediad/configs"
	"mediad/store/blob"
	"mediad/store/blob/s3"
	"mediad/store/blob/s3test"
)

// bucketFindings examines the bucket alone.
func bucketFindings(t *testing.T, c *configs.Config, fix bool) []finding {
	t.Helper()
	d := &doctor{config: c, fix: fix}
	d.examineBucket(t.Context())
	for _, f := range d.findings {
		require.Equal(t, f.fails, f.fails && f.advice != "", "what fails says what to do: %v", f)
		require.NotContains(t, f.text+f.advice, c.Blob.SecretKey)
	}
	return d.findings
}

func TestDoctorOnTheBucket(t *testing.T) {
	for _, kind := range s3test.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			server := s3test.Start(t, kind)
			c := configs.Default()
			c.Blob.AccessKey, c.Blob.SecretKey = server.AccessKey, server.SecretKey
			c.Blob.URL = "s3://media?path_style=true&prefix=site&region=" + s3test.Region + "&endpoint=" + server.Endpoint
			c.Site.PublicURL = "https://live.example.org/"
			first := func(c *configs.Config, fix bool, want string) {
				t.Helper()
				fs := bucketFindings(t, c, fix)
				require.Len(t, fs, 1, "%v", fs)
				require.True(t, fs[0].fails)
				require.Contains(t, fs[0].advice, want, fs[0].text)
			}
			first(c, false, "doctor --fix")
			fs := bucketFindings(t, c, true)
			require.Len(t, fs, 3, "%v", fs)
			for _, f := range fs {
				require.False(t, f.fails, "%v", f)
			}
			require.Contains(t, fs[1].text, "writes, lists, reads and deletes")
			require.Contains(t, fs[2].text, "pages of https://live.example.org may upload to it")
			require.Contains(t, fs[0].text, ": made, answers")
			fs[2].text = strings.TrimSuffix(fs[2].text, "; the rules for it were set")
			require.Equal(t, fs[2], bucketFindings(t, c, false)[2], "what was fixed stays")
			local := *c
			local.Site.PublicURL, local.HTTP.Addr = "", ":33080"
			require.Contains(t, bucketFindings(t, &local, false)[2].text, "http://localhost:33080")

			target, err := configs.ParseBlobURL(c.Blob.URL)
			require.NoError(t, err)
			store, err := s3.Open(t.Context(), bucketOptions(target, c))
			require.NoError(t, err)
			defer store.Close()
			require.NoError(t, store.List(t.Context(), "", func(i blob.Info) error {
				t.Errorf("left behind: %s", i.Key)
				return nil
			}))

			sealed := *c
			sealed.Blob.URL += "&sse=s3"
			f := bucketFindings(t, &sealed, false)[1]
			require.Equal(t, kind != s3test.MinIO, f.fails, "%v", f)
			require.Contains(t, f.text, "encrypt")

			wrong := *c
			wrong.Blob.SecretKey = "not-the-secret"
			first(&wrong, true, "MEDIAD_BLOB_SECRET_KEY")
			wrong = *c
			wrong.Blob.AccessKey = "somebody"
			first(&wrong, true, "MEDIAD_BLOB_ACCESS_KEY")
			wrong = *c
			wrong.Blob.URL = strings.Replace(c.Blob.URL, s3test.Region, "mars-1", 1)
			first(&wrong, true, "region=")
			require.NoError(t, server.Stop())
			first(c, true, "check endpoint=")
		})
	}
}

func TestDoctorOnAFolderSaysNothingOfABucket(t *testing.T) {
	require.Empty(t, bucketFindings(t, configs.Default(), true))
}

func TestDoctorSeesTheBucketsClock(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large</Message></Error>"))
	}))
	defer server.Close()
	c := configs.Default()
	c.Blob.URL, c.Blob.AccessKey, c.Blob.SecretKey = "s3://media?endpoint="+server.URL, "a", "secret"
	fs := bucketFindings(t, c, true)
	require.Len(t, fs, 2)
	require.Equal(t, "clock", fs[0].name)
	require.Contains(t, fs[0].text, "is -1h0m")
	require.Contains(t, fs[1].advice, "clock of this machine")
}
