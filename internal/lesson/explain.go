package lesson

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// advice is an error that knows what to do about it.
type advice struct{ what, next string }

func (a *advice) Error() string { return firstLine(a.what) + ".\n" + firstLine(a.next) }

// complain writes what explain says. On a terminal no line is longer than it is wide.
func complain(w io.Writer, err error) {
	text := explain(err)
	if isTerminal(w) {
		text = fold(text, width)
	}
	fmt.Fprintln(w, text)
}

// fold breaks lines at blanks so that each has so many columns at most, if its words allow it.
func fold(text string, columns int) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			b.WriteByte('\n')
		}
		at := 0
		for j, word := range strings.Split(line, " ") {
			n := utf8.RuneCountInString(word)
			switch {
			case j == 0:
			case at+1+n > columns:
				b.WriteByte('\n')
				at = 0
			default:
				b.WriteByte(' ')
				at++
			}
			b.WriteString(word)
			at += n
		}
	}
	return b.String()
}

// explain turns an error into one or two lines: what failed, and what to do next.
func explain(err error) string {
	what, next := firstLine(err.Error()), ""
	var told *advice
	var late *timeoutError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var network *net.OpError
	switch {
	case errors.As(err, &told):
		return err.Error()
	case errors.As(err, &late):
		next = "See how the cluster is with: make status. A slow one may need a longer -timeout."
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		next = "Somebody is deleting the lesson's namespace. Run the lesson again."
	case apierrors.IsForbidden(err):
		next = "The user of this kubeconfig lacks that right: ask for it, or take a cluster of your own: make up. " +
			"(A server that has just started says so to anybody.)"
	case apierrors.IsUnauthorized(err):
		next = "The cluster does not know the user of this kubeconfig: its credentials may have expired. " +
			"For a cluster of your own: make up"
	case apierrors.IsResourceExpired(err):
		next = "The server has forgotten what it changed since then, as a restart makes it. " +
			"A program would List again; run the lesson again."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		next = "A certificate has expired, or this machine's clock is ahead: see date. A new cluster: make down up"
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			next = "A certificate is not valid yet, so this machine's clock is most likely behind: see date."
		}
	case errors.As(err, &authority):
		next = "Another cluster answers at that address than the one in the kubeconfig. A new one: make down up"
	case errors.Is(err, syscall.ECONNREFUSED):
		next = "Nothing listens there: the cluster is not running. Start it with: make up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		next = "See how the cluster is with: make status"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		next = "The connection broke. See how the cluster is with: make status"
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		next = "The server has too much to do. Run the lesson again in a moment."
	default: // most of what goes wrong with a cluster passes
		next = "Try again. If that does not help, see how the cluster is with: make status"
	}
	return fmt.Sprintf("Error: %s.\n%s", what, next)
}

// firstLine is for errors that were joined, of workers that all met the same trouble: the first one
// stands for all.
func firstLine(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if !more {
		return first
	}
	return fmt.Sprintf("%s (and %d lines more)", first, strings.Count(rest, "\n")+1)
}
