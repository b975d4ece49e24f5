package s3

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"mediad/store/blob"
	"mediad/store/blob/s3test"
)

// BenchmarkSegment puts and gets a segment of 320 KB by the store and by bare minio-go, in turns, and reports the ratio of
// the times (x-bare): 1 is as fast as the library.
func BenchmarkSegment(b *testing.B) {
	const size = 320_000
	body := bytes.Repeat([]byte("media segment..."), size/16)
	for _, kind := range s3test.Kinds {
		server := s3test.Start(b, kind)
		o := options(server)
		s := bucket(b, o)
		transport := newTransport(o.withDefaults())
		defer transport.CloseIdleConnections()
		bare, err := minio.New(server.Endpoint[len("http://"):], &minio.Options{Region: o.Region, Transport: transport,
			Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, "")})
		require.NoError(b, err)

		inTurns := func(b *testing.B, ours, theirs func() error) {
			var took [2]time.Duration
			b.SetBytes(size)
			for b.Loop() {
				for i, do := range []func() error{ours, theirs} {
					start := time.Now()
					if err := do(); err != nil {
						b.Fatal(err)
					}
					took[i] += time.Since(start)
				}
			}
			b.ReportMetric(float64(took[0])/float64(took[1]), "x-bare")
			b.ReportMetric(float64(took[0].Microseconds())/float64(b.N), "µs/ours")
		}
		b.Run(string(kind)+"/put", func(b *testing.B) {
			inTurns(b, func() error {
				return s.Put(b.Context(), "ours", bytes.NewReader(body), size, blob.Meta{ContentType: "video/iso.segment"})
			}, func() error {
				_, err := bare.PutObject(b.Context(), o.Bucket, "bare", bytes.NewReader(body), size,
					minio.PutObjectOptions{ContentType: "video/iso.segment", DisableMultipart: true})
				return err
			})
		})
		b.Run(string(kind)+"/get", func(b *testing.B) {
			inTurns(b, func() error {
				r, err := s.Open(b.Context(), "ours", 0, -1)
				if err != nil {
					return err
				}
				defer r.Close()
				_, err = io.Copy(io.Discard, r)
				return err
			}, func() error {
				r, err := bare.GetObject(b.Context(), o.Bucket, "bare", minio.GetObjectOptions{})
				if err != nil {
					return err
				}
				defer r.Close()
				_, err = io.Copy(io.Discard, r)
				return err
			})
		})
	}
}
