package patch

import (
	"slices"
	"strconv"
	"strings"

	"mediad/api/problem"
)

// VersionTag is the part of an ETag that names the version of a row; the edge adds what names the bytes.
func VersionTag(version int64) string { return `"v` + strconv.FormatInt(version, 10) + `"` }

// Matched reads the version out of an If-Match; 0: any is right. The error is a *problem.Problem.
func Matched(header string) (int64, error) {
	if header == "" || strings.TrimSpace(header) == "*" {
		return 0, nil
	}
	var versions []int64
	for tag := range strings.SplitSeq(header, ",") {
		number, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(tag), `"`), "-")
		n, err := strconv.ParseInt(strings.TrimPrefix(number, "v"), 10, 64)
		if err == nil && n > 0 {
			versions = append(versions, n)
		}
	}
	if len(versions) == 0 {
		return 0, problem.New(problem.VersionMismatch, "If-Match has no ETag of this resource.")
	}
	return slices.Max(versions), nil
}
