// Package hint adds to an error what its reader can do next.
package hint

import (
	"errors"
	"fmt"
)

// Error is an error with a way out.
type Error struct {
	Err  error
	Next string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// New returns an error with the message and what to do next.
func New(next, format string, args ...any) error {
	return &Error{Err: fmt.Errorf(format, args...), Next: next}
}

// Next returns the way out that the error carries, or "".
func Next(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Next
	}
	return ""
}
