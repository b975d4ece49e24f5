package configs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseBlobURL(t *testing.T) {
	yes, no := true, false
	for text, want := range map[string]BlobTarget{
		"":                    {},
		"file://":             {},
		"file:///srv/blobs":   {Dir: "/srv/blobs"},
		"file:///srv/my%20b":  {Dir: "/srv/my b"},
		"s3://bucket":         {Bucket: "bucket"},
		"s3://bucket/":        {Bucket: "bucket"},
		"s3://my.bucket-1?":   {Bucket: "my.bucket-1"},
		"s3://bucket?region=": {},
		"s3://bucket?endpoint=http://127.0.0.1:9000&region=us-east-1&path_style=true": {
			Bucket: "bucket", Endpoint: "http://127.0.0.1:9000", Region: "us-east-1", PathStyle: &yes,
		},
		"s3://bucket?endpoint=https%3A%2F%2Fs3.x.org%2F&path_style=no&insecure=on&prefix=/site/a/&sse=kms&kms_key=arn:x:1:key/2": {
			Bucket: "bucket", Endpoint: "https://s3.x.org", PathStyle: &no, Insecure: true, Prefix: "site/a",
			SSE: "kms", KMSKey: "arn:x:1:key/2",
		},
		"s3://bucket?endpoint=https://[::1]:9000&sse=s3": {Bucket: "bucket", Endpoint: "https://[::1]:9000", SSE: "s3"},
	} {
		got, err := ParseBlobURL(text)
		if text == "s3://bucket?region=" {
			require.ErrorContains(t, err, "region is no name")
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestBlobURLFaults(t *testing.T) {
	const secret = "AKIAhush"
	for text, want := range map[string]string{
		"/srv/blobs":                                     "is no URL",
		"file://srv/blobs":                               "three slashes",
		"file:///srv?x=1":                                "not of the form file:///folder",
		"gs://bucket":                                    "begins with gs://",
		"s3://":                                          "names no bucket",
		"s3://UPPER":                                     "names no bucket",
		"s3://a":                                         "names no bucket",
		"s3://bucket/some/where":                         "write s3://bucket?prefix=some/where",
		"s3://bucket?endpont=http://h":                   `parameter "endpont" that there is not; did you mean endpoint?`,
		"s3://bucket?pathstyle=true":                     "did you mean path_style?",
		"s3://bucket?Region=x":                           "did you mean region?",
		"s3://bucket?path_style=maybe":                   "path_style is neither true nor false",
		"s3://bucket?endpoint=minio:9000":                "endpoint begins with neither http:// nor https://",
		"s3://bucket?endpoint=http://h/path":             "endpoint is not of the form",
		"s3://bucket?endpoint=http://h:99999":            "no port from 1 to 65535",
		"s3://bucket?endpoint=http://":                   "endpoint is not of the form",
		"s3://bucket?region=a&region=b":                  `"region" twice`,
		"s3://bucket?prefix=a/../b":                      "prefix is not of letters",
		"s3://bucket?prefix=a//b":                        "prefix is not of letters",
		"s3://bucket?sse=aes":                            "sse is neither s3 nor kms",
		"s3://bucket?sse=kms":                            "sse=kms and kms_key",
		"s3://bucket?kms_key=x":                          "sse=kms and kms_key",
		"s3://bucket?a=1;b=2":                            "not of the form name=value",
		"s3://bucket?region=x#y":                         "has a #",
		"s3://" + secret + ":hush@bucket":                "holds credentials",
		"s3://bucket?access_key=" + secret:               "MEDIAD_BLOB_ACCESS_KEY",
		"s3://bucket?Secret_Key=" + secret:               "MEDIAD_BLOB_SECRET_KEY",
		"s3://bucket?endpoint=http://u:" + secret + "@h": "holds credentials",
		secret + ":x@s3://bucket":                        "begins with neither",
	} {
		_, err := ParseBlobURL(text)
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestBlobKeysComeTogether(t *testing.T) {
	const url = "blob.url: s3://bucket?endpoint=http://127.0.0.1:9000\n"
	_, err := parse("f.yaml", []byte(url), nil)
	require.ErrorContains(t, err, "MEDIAD_BLOB_ACCESS_KEY")
	_, err = parse("f.yaml", []byte(url), []string{"MEDIAD_BLOB_ACCESS_KEY=a", "MEDIAD_BLOB_SECRET_KEY=b"})
	require.NoError(t, err)
	_, err = parse("f.yaml", []byte("blob.url: s3://bucket?rejion=x\n"), nil)
	require.ErrorContains(t, err, `f.yaml:1: blob.url: has a parameter "rejion" that there is not; did you mean region?`)
	require.Error(t, func() error { _, err := parse("f.yaml", nil, []string{"MEDIAD_BLOB_URL=s3://a:b@bucket"}); return err }())
}

func FuzzParseBlobURL(f *testing.F) {
	for _, seed := range []string{"", "file:///a", "file://", "s3://bucket",
		"s3://bucket?endpoint=http://127.0.0.1:9000&region=r&path_style=true",
		"s3://bucket?endpoint=https://[::1]&insecure=1&sse=kms&kms_key=k&prefix=a/b",
		"s3://u:p@bucket", "s3://bucket?access_key=a", "s3://b?%zz=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseBlobURL(text)
		if err != nil {
			return
		}
		again, err := ParseBlobURL(got.String())
		require.NoError(t, err, "%q became %q", text, got.String())
		require.Equal(t, got, again)
		require.False(t, got.Bucket != "" && strings.Contains(got.Endpoint, "@"), "credentials have passed")
	})
}
