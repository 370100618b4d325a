package docs_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestStatusCodes: each function that docs/words.md names tells an error of the code beside it, and
// no other of the table does.
func TestStatusCodes(t *testing.T) {
	resource, cause := schema.GroupResource{Resource: "configmaps"}, errors.New("cause")
	status := []struct {
		ask  string
		err  *apierrors.StatusError
		tell func(error) bool
	}{
		{"IsNotFound", apierrors.NewNotFound(resource, "a"), apierrors.IsNotFound},
		{"IsConflict", apierrors.NewConflict(resource, "a", cause), apierrors.IsConflict},
		{"IsAlreadyExists", apierrors.NewAlreadyExists(resource, "a"), apierrors.IsAlreadyExists},
		{"IsResourceExpired", apierrors.NewResourceExpired("old"), apierrors.IsResourceExpired},
		{"IsGone", apierrors.NewGone("old"), apierrors.IsGone}, //nolint:staticcheck // it is what IsGone looks for
		{"IsTooManyRequests", apierrors.NewTooManyRequests("busy", 1), apierrors.IsTooManyRequests},
		{"IsForbidden", apierrors.NewForbidden(resource, "a", cause), apierrors.IsForbidden},
		{"IsUnauthorized", apierrors.NewUnauthorized("who"), apierrors.IsUnauthorized},
		{"IsInternalError", apierrors.NewInternalError(cause), apierrors.IsInternalError},
		{"IsServiceUnavailable", apierrors.NewServiceUnavailable("down"), apierrors.IsServiceUnavailable},
		{"IsTimeout", apierrors.NewTimeoutError("slow", 1), apierrors.IsTimeout},
	}
	codes := map[string][]string{} // by function
	for line := range strings.Lines(readPage(t, "docs/words.md")) {
		cells := strings.Split(line, " | ")
		first, _, _ := strings.Cut(strings.TrimPrefix(cells[0], "| "), ",")
		if _, err := strconv.Atoi(first); err != nil {
			continue
		}
		for ask := range strings.SplitSeq(cells[1], ", ") {
			codes[strings.Trim(ask, "`")] = strings.Split(strings.TrimPrefix(cells[0], "| "), ", ")
		}
	}
	if len(codes) != len(status) {
		t.Errorf("the page names %d functions, the test %d", len(codes), len(status))
	}
	for _, s := range status {
		if code := strconv.Itoa(int(s.err.Status().Code)); !slices.Contains(codes[s.ask], code) {
			t.Errorf("the page has %s at %q, the error has %s", s.ask, codes[s.ask], code)
		}
		for _, other := range status {
			if got := s.tell(other.err); got != (s.ask == other.ask) {
				t.Errorf("%s(%v) = %v", s.ask, other.err, got)
			}
		}
	}
}
