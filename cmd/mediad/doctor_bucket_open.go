package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"mediad/store/blob"
	"mediad/store/blob/s3"
)

// examineBucketOpenness says where everybody may read what is stored of live streams: nothing there asks for a token. An open bucket is how
// classic HLS is served past this server, so it is no fault by itself.
func (d *doctor) examineBucketOpenness(ctx context.Context, store *s3.Store, skipVerify bool) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify}} //nolint:gosec // as blob.url has it
	defer transport.CloseIdleConnections()
	open, err := openToEverybody(ctx, store, &http.Client{Transport: transport, Timeout: bucketTimeout})
	switch {
	case err != nil:
		d.say(finding{name: "bucket", text: "who may read it cannot be seen: " + err.Error(), advice: "try again"})
	case open:
		d.say(finding{name: "bucket", text: "everybody may read what is below live/ in it, by its name: segments of streams that are not public as well",
			advice: "that is as it should be while all streams and videos are public; else close it, as deploy/nginx-bucket/README.md says"})
	}
}

// openToEverybody puts an object of its own below live/, and asks for it without a signature.
func openToEverybody(ctx context.Context, store *s3.Store, client *http.Client) (open bool, err error) {
	key := "live/doctor-" + rand.Text()
	if err := store.Put(ctx, key, strings.NewReader("x"), 1, blob.Meta{ContentType: "text/plain"}); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, store.Delete(ctx, key)) }()
	signed, err := store.PresignGet(ctx, key, blob.GetOptions{})
	if err != nil {
		return false, err
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		return false, errors.New("its address cannot be read") // err has the signature in it
	}
	u.RawQuery = ""
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return false, err
	}
	return answer.StatusCode == http.StatusOK, answer.Body.Close()
}
