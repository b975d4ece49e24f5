package s3

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mediad/internal/testx"
	"mediad/store/blob"
	"mediad/store/blob/blobtest"
	"mediad/store/blob/s3test"
)

func TestMain(m *testing.M) { testx.Main(m) }

// each runs a test against each server, side by side: most of the time is theirs.
func each(t *testing.T, test func(*testing.T, *s3test.Server)) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, kind := range s3test.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, s3test.Start(t, kind))
		})
	}
}

// options are those of an owner, with a bucket that nobody else has.
func options(server *s3test.Server) Options {
	return Options{Endpoint: server.Endpoint, Bucket: "b-" + bucketName(), Region: s3test.Region, Prefix: "some/where",
		AccessKey: server.AccessKey, SecretKey: server.SecretKey, Addressing: "path", PartSize: blob.MinPart}
}

func bucketName() string {
	name := []byte(random())
	for i := range name {
		name[i] |= 0x20 // lower case
	}
	return string(name)
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return s
}

// bucket is a store whose bucket is there.
func bucket(t testing.TB, o Options) *Store {
	t.Helper()
	s := open(t, o)
	require.NoError(t, s.MakeBucket(t.Context()))
	return s
}

func TestConformance(t *testing.T) {
	each(t, func(t *testing.T, server *s3test.Server) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return bucket(t, options(server)) })
	})
}

func TestConformanceBehindDecorators(t *testing.T) {
	server := s3test.Start(t, s3test.VersityGW)
	blobtest.Run(t, func(t *testing.T) blob.Store {
		o := options(server)
		o.Prefix = ""
		return blob.Observe(blob.NewGuard(blob.Limit(bucket(t, o), 16), blob.GuardOptions{}), observer{})
	})
}

type observer struct{}

func (observer) BlobDone(string, int64, time.Duration, error) {}
