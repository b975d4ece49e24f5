package configs

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// BlobTarget is what blob.url names: a folder or a bucket.
type BlobTarget struct {
	// Dir is the folder, absolute; empty with no Bucket: blobs in data_dir.
	Dir string

	// Bucket is empty where objects are kept in a folder. The rest belongs to it.
	Bucket string
	// Endpoint is the server's URL without a path; empty: Amazon S3.
	Endpoint string
	Region   string
	Prefix   string // no slash at either end
	// PathStyle is nil where the URL does not say.
	PathStyle *bool
	// Insecure takes any certificate.
	Insecure bool
	// SSE is "", "s3" or "kms", with KMSKey.
	SSE, KMSKey string
}

// blobParams are the parameters of an s3:// URL.
var blobParams = []string{"endpoint", "region", "path_style", "prefix", "insecure", "sse", "kms_key"}

// secretParams are what people write into such URLs elsewhere.
var secretParams = []string{"access_key", "secret_key", "access_key_id", "secret_access_key", "accesskey", "secretkey",
	"key", "secret", "user", "password", "token", "session_token"}

var errBlobCredentials = errors.New("holds credentials: they belong into MEDIAD_BLOB_ACCESS_KEY and MEDIAD_BLOB_SECRET_KEY")

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	hostName   = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
	regionName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	keyPath    = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)
	kmsKeyID   = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,256}$`)
)

const maxBlobPrefix = 255

// ParseBlobURL reads blob.url: empty, file:///folder, or s3://bucket?endpoint=…. Its errors never repeat what may be a secret.
func ParseBlobURL(text string) (BlobTarget, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case text == "":
		return BlobTarget{}, nil
	case !ok:
		return BlobTarget{}, errors.New("is no URL: file:///folder or s3://bucket?endpoint=https://host&region=…")
	case scheme == "file":
		return parseBlobFolder(rest)
	case scheme == "s3":
		return parseBucket(rest)
	case strings.ContainsAny(scheme, "@:?&= "):
		return BlobTarget{}, errors.New("begins with neither file:// nor s3://")
	}
	return BlobTarget{}, fmt.Errorf("begins with %s://, not with file:// or s3://", scheme)
}

func parseBlobFolder(rest string) (BlobTarget, error) {
	if rest == "" {
		return BlobTarget{}, nil
	}
	dir, err := url.PathUnescape(rest)
	if err != nil || strings.ContainsAny(rest, "?#") || strings.ContainsRune(dir, 0) {
		return BlobTarget{}, errors.New("is not of the form file:///folder")
	}
	if !strings.HasPrefix(dir, "/") {
		return BlobTarget{}, errors.New("names a folder that is not absolute: file:///folder has three slashes")
	}
	return BlobTarget{Dir: dir}, nil
}

func parseBucket(rest string) (BlobTarget, error) {
	bucket, query, _ := strings.Cut(rest, "?")
	if strings.Contains(bucket, "@") {
		return BlobTarget{}, errBlobCredentials
	}
	if name, path, ok := strings.Cut(strings.TrimSuffix(bucket, "/"), "/"); ok {
		if bucketName.MatchString(name) && keyPath.MatchString(path) {
			return BlobTarget{}, fmt.Errorf("has a path behind the bucket: write s3://%s?prefix=%s", name, path)
		}
		return BlobTarget{}, errors.New("has a path behind the bucket: it belongs into the parameter prefix")
	}
	t := BlobTarget{Bucket: strings.TrimSuffix(bucket, "/")}
	if !bucketName.MatchString(t.Bucket) || strings.Contains(t.Bucket, "..") {
		return BlobTarget{}, errors.New("names no bucket: 3 to 63 lower-case letters, digits, dots and hyphens")
	}
	if strings.Contains(query, "#") {
		return BlobTarget{}, errors.New("has a # in it")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return BlobTarget{}, errors.New("has parameters that are not of the form name=value&name=value")
	}
	for name, value := range values {
		if len(value) > 1 {
			return BlobTarget{}, fmt.Errorf("has the parameter %q twice", name)
		}
		if err := t.set(name, strings.TrimSpace(value[0])); err != nil {
			return BlobTarget{}, err
		}
	}
	if (t.SSE == "kms") != (t.KMSKey != "") {
		return BlobTarget{}, errors.New("needs sse=kms and kms_key=… together")
	}
	return t, nil
}

// set takes one parameter. Values that are refused are repeated only where they cannot be a secret by mistake.
func (t *BlobTarget) set(name, value string) (err error) {
	switch name {
	case "endpoint":
		t.Endpoint, err = parseEndpoint(value)
	case "region":
		t.Region = value
		if !regionName.MatchString(value) {
			err = errors.New("region is no name such as eu-central-1")
		}
	case "prefix":
		t.Prefix = strings.Trim(value, "/")
		if t.Prefix != "" && (!keyPath.MatchString(t.Prefix) || len(t.Prefix) > maxBlobPrefix || dots(t.Prefix)) {
			err = fmt.Errorf("prefix is not of letters, digits, dots, underscores and hyphens between slashes, at most %d", maxBlobPrefix)
		}
	case "path_style":
		var on bool
		on, err = parseSwitch(name, value)
		t.PathStyle = &on
	case "insecure":
		t.Insecure, err = parseSwitch(name, value)
	case "sse":
		t.SSE = value
		if value != "s3" && value != "kms" {
			err = errors.New("sse is neither s3 nor kms")
		}
	case "kms_key":
		t.KMSKey = value
		if !kmsKeyID.MatchString(value) {
			err = errors.New("kms_key is no key's id")
		}
	default:
		if slices.Contains(secretParams, strings.ToLower(name)) {
			return errBlobCredentials
		}
		return fmt.Errorf("has a parameter %q that there is not%s", name, DidYouMean(name, blobParams))
	}
	return err
}

func dots(path string) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." })
}

func parseSwitch(name, value string) (bool, error) {
	var on bool
	if (boolValue{&on}).Set(value) != nil {
		return false, fmt.Errorf("%s is neither true nor false", name)
	}
	return on, nil
}

func parseEndpoint(value string) (string, error) {
	u, err := url.Parse(value)
	switch {
	case err == nil && u.User != nil:
		return "", errBlobCredentials
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("endpoint begins with neither http:// nor https://")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !hostName.MatchString(u.Host):
		return "", errors.New("endpoint is not of the form https://host:port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", errors.New("endpoint has no port from 1 to 65535")
		}
	}
	return u.Scheme + "://" + u.Host, nil
}

// String is the URL that names the same.
func (t BlobTarget) String() string {
	if t.Bucket == "" {
		if t.Dir == "" {
			return ""
		}
		return "file://" + (&url.URL{Path: t.Dir}).EscapedPath()
	}
	query := url.Values{}
	for name, value := range map[string]string{
		"endpoint": t.Endpoint, "region": t.Region, "prefix": t.Prefix, "sse": t.SSE, "kms_key": t.KMSKey,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if t.PathStyle != nil {
		query.Set("path_style", strconv.FormatBool(*t.PathStyle))
	}
	if t.Insecure {
		query.Set("insecure", "true")
	}
	if len(query) == 0 {
		return "s3://" + t.Bucket
	}
	return "s3://" + t.Bucket + "?" + query.Encode()
}

// blobValue is blob.url, kept as it was written.
type blobValue struct{ p *string }

func (v blobValue) Set(s string) error {
	if _, err := ParseBlobURL(s); err != nil {
		return err
	}
	*v.p = s
	return nil
}
func (v blobValue) String() string { return *v.p }
