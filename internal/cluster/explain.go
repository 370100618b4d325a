package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Advice is an error that says what failed and what to do next. Neither ends in a period or has a
// second line that matters: [Explain] prints them as two lines.
type Advice struct{ What, Next string }

func (a *Advice) Error() string { return firstLine(a.What) + ".\n" + firstLine(a.Next) }

// Next is implemented by errors that know what to do next, where the text of the error says what
// failed.
type Next interface{ Next() string }

// rbac is in the message of each 403 that comes from a missing right. Other refusals come from
// admission: a policy, a webhook, a quota.
var rbac = regexp.MustCompile(`cannot \w+ (resource|path) "`)

// Explain turns an error into two lines: what failed, and what to do next.
func Explain(err error) string {
	var told *Advice
	if errors.As(err, &told) {
		return err.Error()
	}
	what, _, _ := strings.Cut(err.Error(), pluginHelp)
	return fmt.Sprintf("Error: %s.\n%s", firstLine(what), next(err))
}

// pluginHelp begins the help that client-go adds where a credential plugin is missing.
const pluginHelp = "\n\nIt looks like you are trying to use a client-go credential plugin"

const ownCluster = "or take a cluster of your own: make up"

func next(err error) string {
	var knows Next
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var otherHost x509.HostnameError
	var network *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &knows):
		return knows.Next()
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return "Somebody is deleting this run's namespace. Run it again."
	case apierrors.IsForbidden(err) && rbac.MatchString(err.Error()):
		return "The user of this kubeconfig lacks that right: ask for it, " + ownCluster +
			" (A server that has just started says so to anybody.)"
	case apierrors.IsForbidden(err):
		return "A policy of this cluster refuses that, and the message names it. Ask who runs the " +
			"cluster, " + ownCluster
	case apierrors.IsUnauthorized(err):
		return "The cluster does not know the user of this kubeconfig: a token or certificate may " +
			"have expired. Log in anew, " + ownCluster
	case apierrors.IsResourceExpired(err):
		return "The server has forgotten what it changed since then, as a restart makes it. " +
			"A program would List again; run the lesson again."
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore) {
			return "A certificate is not valid yet, so this machine's clock is most likely behind: see date."
		}
		return "A certificate has expired, or this machine's clock is ahead: see date. A new cluster: make down up"
	case errors.As(err, &otherHost):
		return "The server's certificate is for another name. Correct server or tls-server-name in the kubeconfig."
	case errors.As(err, &authority):
		return "Another cluster answers at that address than the one in the kubeconfig. A new one: make down up"
	case strings.Contains(err.Error(), "getting credentials: exec: "):
		return nextForPlugin(err.Error())
	case errors.As(err, &network) && network.Op == "proxyconnect":
		return "The proxy of HTTPS_PROXY or of the kubeconfig cannot be reached. Correct or unset it."
	case errors.As(err, &name):
		return "Nobody here knows that host name. Check the server in the kubeconfig, and the network."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing listens there: the cluster is not running. Start it with: make up"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "What listens there does not speak TLS. Check the server in the kubeconfig."
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		return "See how the cluster is with: make status"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "The connection broke. See how the cluster is with: make status"
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err),
		apierrors.IsServerTimeout(err), apierrors.IsInternalError(err):
		return "The server is in trouble or has too much to do. Try again in a moment."
	}
	return "See how the cluster is with: make status"
}

// nextForPlugin is for a kubeconfig that gets its credentials from a program. Where the program is
// missing, client-go adds some lines of help, and at the end the kubeconfig's own hint.
func nextForPlugin(text string) string {
	if !strings.Contains(text, "not found") {
		return "The kubeconfig runs that program to get credentials, and it failed. Run it yourself " +
			"to see why: most often you have to log in anew."
	}
	next := "The kubeconfig runs that program to get credentials. Install it, " + ownCluster
	if _, help, ok := strings.Cut(text, "authentication/#client-go-credential-plugins"); ok {
		if hint := strings.Join(strings.Fields(help), " "); hint != "" {
			next = "The kubeconfig runs that program to get credentials, and says: " + hint
		}
	}
	return next
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
