package s3

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/minio/minio-go/v7"

	"mediad/store/blob"
)

// sentinels are what the servers' codes mean in the words of the contract. A code that is not here is judged by its status;
// the answer to a bulk delete has codes alone.
var sentinels = map[string]error{
	"NoSuchKey":     blob.ErrNotExist,
	"NoSuchVersion": blob.ErrNotExist,
	"NoSuchUpload":  blob.ErrNotExist,
	"NoSuchBucket":  blob.ErrNoBucket,

	"AccessDenied":                 blob.ErrDenied,
	"AuthorizationHeaderMalformed": blob.ErrDenied, // the region is another
	"InvalidRegion":                blob.ErrDenied,
	"XAdminUserNotFound":           blob.ErrDenied, // versitygw's 404 to an access key that it does not know

	"XMinioStorageFull":              blob.ErrNoSpace,
	"XMinioAdminBucketQuotaExceeded": blob.ErrNoSpace,
	"QuotaExceeded":                  blob.ErrNoSpace,
	"InsufficientStorage":            blob.ErrNoSpace,

	"BadDigest":                     blob.ErrChecksum,
	"XAmzContentSHA256Mismatch":     blob.ErrChecksum,
	"XAmzContentChecksumMismatch":   blob.ErrChecksum,
	"XMinioContentChecksumMismatch": blob.ErrChecksum,

	"PreconditionFailed":         blob.ErrExist,
	"ConditionalRequestConflict": blob.ErrExist,

	"ObjectParentIsFile":            blob.ErrKey,
	"ExistingObjectIsDirectory":     blob.ErrKey,
	"XMinioObjectExistsAsDirectory": blob.ErrKey,
	"XMinioParentIsObject":          blob.ErrKey,

	"InternalError":    blob.ErrTemporary,
	"RequestTimeout":   blob.ErrTemporary,
	"IncompleteBody":   blob.ErrTemporary, // bodies are measured before they are sent: the connection broke
	"SlowDown":         blob.ErrTemporary,
	"SlowDownRead":     blob.ErrTemporary,
	"SlowDownWrite":    blob.ErrTemporary,
	"OperationAborted": blob.ErrTemporary,
}

// answerError is the server's refusal.
type answerError struct {
	answer   minio.ErrorResponse
	sentinel error // nil where the contract has no word for it
}

func (e *answerError) Unwrap() error { return e.sentinel }

func (e *answerError) Error() string {
	what := ""
	if e.sentinel != nil {
		what = e.sentinel.Error() + ": "
	}
	return fmt.Sprintf("blob/s3: %s%s (%d %s)", what, e.answer.Message, e.answer.StatusCode, e.answer.Code)
}

// Code is the code of the server's answer, such as "InvalidAccessKeyId"; empty where err is no answer.
func Code(err error) string {
	if a, ok := errors.AsType[*answerError](err); ok {
		return a.answer.Code
	}
	return ""
}

// mapError says in the contract's words what one attempt came to. The caller's own context has been looked at before: a
// deadline here is the attempt's.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*answerError](err); ok {
		return err
	}
	if broken, ok := errors.AsType[*bodyError](err); ok {
		return broken
	}
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return &answerError{answer: answer, sentinel: sentinelOf(answer)}
	}
	if known := blob.Reason(err); known != "other" && known != "deadline" && known != "canceled" {
		return err
	}
	if transport, ok := errors.AsType[*url.Error](err); ok {
		// Its URL names the object, and where one was signed holds a signature; the error within says what happened.
		err = transport.Err
	}
	return fmt.Errorf("blob/s3: %w: %w", blob.ErrTemporary, err)
}

func sentinelOf(answer minio.ErrorResponse) error {
	if sentinel, ok := sentinels[answer.Code]; ok {
		return sentinel
	}
	switch status := answer.StatusCode; {
	case status == http.StatusInsufficientStorage:
		return blob.ErrNoSpace
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return blob.ErrDenied
	case status == http.StatusPreconditionFailed:
		return blob.ErrExist
	case status == http.StatusNotImplemented:
		return errors.ErrUnsupported
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests:
		return blob.ErrTemporary
	}
	return nil
}
