package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"mediad/configs"
	"mediad/store/blob"
	"mediad/store/blob/s3"
)

// bucketOptions are blob.url and its keys in the words of the store.
func bucketOptions(t configs.BlobTarget, c *configs.Config) s3.Options {
	o := s3.Options{Endpoint: t.Endpoint, Bucket: t.Bucket, Region: t.Region, Prefix: t.Prefix,
		SkipVerify: t.Insecure, SSE: t.SSE, KMSKey: t.KMSKey,
		AccessKey: c.Blob.AccessKey, SecretKey: c.Blob.SecretKey}
	if t.PathStyle != nil {
		o.Addressing = "host"
		if *t.PathStyle {
			o.Addressing = "path"
		}
	}
	return o
}

// Bounds of the bucket's checks: an examination of a dead bucket ends soon, and a slow one is called slow where it could not
// keep up with a few streams.
const (
	bucketTimeout = 5 * time.Second
	maxSkew       = 5 * time.Minute // S3 refuses from 15 minutes on
	bucketProbe   = 1 << 20
	slowLatency   = 300 * time.Millisecond
	slowRate      = 2 << 20 // bytes a second: three streams with 6 Mbit/s
)

// examineBucket says one thing of each kind, and stops where what follows could only repeat it.
func (d *doctor) examineBucket(ctx context.Context) {
	const name = "bucket"
	target, err := configs.ParseBlobURL(d.config.Blob.URL)
	if err != nil {
		d.say(finding{name: name, text: "blob.url " + err.Error(), fails: true, advice: "correct blob.url"})
		return
	}
	if target.Bucket == "" {
		return
	}
	o := bucketOptions(target, d.config)
	o.Timeout, o.Attempts = bucketTimeout, 2
	store, err := s3.Open(ctx, o)
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true,
			advice: "correct blob.url, MEDIAD_BLOB_ACCESS_KEY and MEDIAD_BLOB_SECRET_KEY"})
		return
	}
	defer store.Close()
	err = store.Check(ctx)
	d.examineBucketClock(store)
	made := ""
	if errors.Is(err, blob.ErrNoBucket) && d.fix {
		if err = store.MakeBucket(ctx); err != nil {
			d.say(finding{name: name, text: err.Error(), fails: true,
				advice: "these credentials may not make it: have its owner make the bucket " + o.Bucket})
			return
		}
		made = "made, "
		err = store.Check(ctx)
	}
	if err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: bucketAdvice(err, o)})
		return
	}
	d.say(finding{name: name, text: store.String() + ": " + made + "answers, and takes these credentials"})
	if d.examineBucketRights(ctx, store, o.SSE != "") {
		d.examineBucketCORS(ctx, store)
		d.examineBucketOpenness(ctx, store, o.SkipVerify)
	}
}

// bucketAdvice is what to do about a bucket that could not be listed.
func bucketAdvice(err error, o s3.Options) string {
	switch code := s3.Code(err); {
	case code == "RequestTimeTooSkewed":
		return "set the clock of this machine (NTP): the server refuses what is signed more than 15 minutes off"
	case code == "AuthorizationHeaderMalformed" || code == "InvalidRegion":
		return "the region is another: set region=… in blob.url as the server's message says"
	case code == "SignatureDoesNotMatch":
		return "the secret key is not that of the access key: set MEDIAD_BLOB_SECRET_KEY"
	case code == "InvalidAccessKeyId" || code == "XAdminUserNotFound":
		return "the server does not know this access key: set MEDIAD_BLOB_ACCESS_KEY"
	case errors.Is(err, blob.ErrNoBucket):
		return "run mediad doctor --fix to make it, or name another in blob.url"
	case errors.Is(err, blob.ErrDenied):
		return "give these credentials the right to list the bucket (s3:ListBucket)"
	case errors.Is(err, blob.ErrTemporary):
		return "nothing answers as S3 there: check endpoint=… in blob.url, whether the server runs, DNS, firewall and its certificate"
	}
	return "the message is the server's own; is " + o.Endpoint + " its S3 port?"
}

func (d *doctor) examineBucketClock(store *s3.Store) {
	skew, known := store.Skew()
	if known && skew.Abs() > maxSkew {
		d.say(finding{name: "clock", text: fmt.Sprintf("the bucket's server is %s off", skew.Round(time.Second)), fails: true,
			advice: "set the clocks of both (NTP): S3 refuses what is signed 15 minutes off"})
	}
}

// examineBucketRights puts, lists, reads and deletes an object of its own, says what that took, and tells whether all of it
// worked.
func (d *doctor) examineBucketRights(ctx context.Context, store *s3.Store, encrypted bool) bool {
	const name = "bucket"
	key := "doctor-" + rand.Text()
	body := make([]byte, bucketProbe)
	_, _ = rand.Read(body) // never fails
	var took [2]time.Duration
	timed := func(to *time.Duration, do func() error) error {
		start := time.Now()
		err := do()
		*to = time.Since(start)
		return err
	}
	put := func() error {
		return store.Put(ctx, key, bytes.NewReader(body), bucketProbe, blob.Meta{ContentType: "application/octet-stream"})
	}
	// The first put also finds out which checksums the server knows.
	err := errors.Join(put(), timed(&took[0], put))
	if err != nil {
		advice := "give these credentials the right to write (s3:PutObject)"
		if errors.Is(err, blob.ErrNoSpace) {
			advice = "the bucket is full or over its quota: free some space in it, or raise the quota"
		}
		d.say(finding{name: name, text: "cannot write: " + err.Error(), fails: true, advice: advice})
		return false
	}
	if encrypted {
		d.examineBucketEncryption(ctx, store, key)
	}
	steps := []struct {
		what, right string
		do          func() error
	}{
		{"list", "s3:ListBucket", func() error {
			seen := false
			err := store.List(ctx, key, func(blob.Info) error { seen = true; return nil })
			if err == nil && !seen {
				return errors.New("what was just written is not listed")
			}
			return err
		}},
		{"read", "s3:GetObject", func() error { return timed(&took[1], func() error { return readBack(ctx, store, key, body) }) }},
		{"delete", "s3:DeleteObject", func() error { return store.Delete(ctx, key) }},
	}
	well := true
	for _, s := range steps {
		if err := s.do(); err != nil {
			d.say(finding{name: name, text: "cannot " + s.what + ": " + err.Error(), fails: true,
				advice: "give these credentials the right " + s.right})
			well = false
		}
	}
	if !well {
		return false
	}
	var latency time.Duration
	if err := timed(&latency, func() error { return store.Check(ctx) }); err != nil {
		d.say(finding{name: name, text: err.Error(), fails: true, advice: "it answered before: try again"})
		return false
	}
	rate := func(d time.Duration) float64 { return float64(bucketProbe) / d.Seconds() }
	const said = "writes, lists, reads and deletes; 1 MiB in at %.1f MB/s, out at %.1f MB/s, an answer takes %s"
	f := finding{name: name, text: fmt.Sprintf(said,
		rate(took[0])/1e6, rate(took[1])/1e6, latency.Round(time.Millisecond))}
	if latency > slowLatency || rate(took[0]) < slowRate {
		f.advice = "that is slow: a stream writes up to 1 MB/s with its rungs. Choose a bucket that is nearer"
	}
	d.say(f)
	return true
}

// examineBucketEncryption looks at an object that was stored with sse=….
func (d *doctor) examineBucketEncryption(ctx context.Context, store *s3.Store, key string) {
	const name = "bucket"
	how, err := store.Encrypted(ctx, key)
	switch {
	case err != nil:
		d.say(finding{name: name, text: "its encryption cannot be seen: " + err.Error(),
			advice: "give these credentials the right s3:GetObject"})
	case how == "":
		d.say(finding{name: name, text: "the server passes over sse=…: nothing is encrypted", fails: true,
			advice: "encrypt the disks below it and take sse out of blob.url, or choose a server that encrypts"})
	default:
		d.say(finding{name: name, text: "encrypts what it stores (" + how + ")"})
	}
}

// originOf is scheme and host of a URL, as browsers name a page's origin.
func originOf(site string) string {
	u, err := url.Parse(site)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func readBack(ctx context.Context, store blob.Store, key string, want []byte) error {
	r, err := store.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("the bytes are not those that were written")
	}
	return err
}

// localPage is the origin of pages that are opened on this machine.
func localPage(c *configs.Config) string {
	_, port, err := net.SplitHostPort(c.HTTP.Addr)
	switch {
	case err != nil: // http.addr is off
		return "https://localhost:8443"
	case port == "80":
		return "http://localhost"
	default:
		return "http://localhost:" + port
	}
}

// examineBucketCORS asks as a browser on the site's page would: uploads go from there to the bucket, past this server.
func (d *doctor) examineBucketCORS(ctx context.Context, store *s3.Store) {
	const name = "bucket"
	const serverWide = "MinIO keeps its rules for all buckets: set MINIO_API_CORS_ALLOW_ORIGIN there; others, in their own console"
	origin := originOf(d.config.Site.PublicURL)
	allow := origin
	if origin == "" {
		origin, allow = localPage(d.config), "*"
	}
	set := ""
	cors, err := store.CORS(ctx, origin)
	if err == nil && d.fix && (!cors.Allowed || !cors.ETag) {
		if err := store.SetCORS(ctx, allow); err != nil {
			d.say(finding{name: name, text: "its CORS rules cannot be set: " + err.Error(), advice: serverWide})
			return
		}
		set = "; the rules for it were set"
		cors, err = store.CORS(ctx, origin)
	}
	switch {
	case err != nil:
		d.say(finding{name: name, text: "CORS: " + err.Error(), advice: "try again"})
	case !cors.Allowed:
		d.say(finding{name: name, text: "pages of " + origin + " may not upload to it (CORS)",
			advice: "run mediad doctor --fix. " + serverWide})
	case !cors.ETag:
		d.say(finding{name: name, text: "pages do not see the ETag of what they upload (CORS)",
			advice: "run mediad doctor --fix, or expose the header ETag there"})
	default:
		d.say(finding{name: name, text: "pages of " + origin + " may upload to it" + set})
	}
}
