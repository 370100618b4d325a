package observer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/client-go/kubernetes/scheme"
)

// The faults in this file answer in the API server's place, which does not
// see the request.

var (
	codecs = serializer.NewCodecFactory(scheme.Scheme, serializer.WithSerializer(cbor.NewSerializerInfo))
	coreV1 = schema.GroupVersion{Version: "v1"}
)

// Answer answers with a status object, in the encoding that the client asked
// for. The HTTP status is the object's code.
func Answer(name string, header http.Header, status metav1.Status) Fault {
	return answer(name, header, func(Request) metav1.Status { return status })
}

func answer(name string, header http.Header, status func(Request) metav1.Status) Fault {
	return NewFault(name, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := status(RequestOf(r.Context()))
			info := negotiate(r.Header.Get("Accept"))
			var body bytes.Buffer
			if err := codecs.EncoderForVersion(info.Serializer, coreV1).Encode(&s, &body); err != nil {
				panic(fmt.Errorf("observer: encoding a status: %w", err))
			}
			maps.Copy(w.Header(), header)
			w.Header().Set("Content-Type", info.MediaType)
			w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
			w.WriteHeader(int(s.Code))
			_, _ = w.Write(body.Bytes())
		})
	})
}

// negotiate returns the first encoding in an Accept header that there is a
// serializer for, or JSON.
func negotiate(accept string) runtime.SerializerInfo {
	types := codecs.SupportedMediaTypes()
	for clause := range strings.SplitSeq(accept, ",") {
		mediaType, _, _ := strings.Cut(clause, ";")
		if info, ok := runtime.SerializerInfoForMediaType(types, strings.TrimSpace(mediaType)); ok {
			return info
		}
	}
	info, _ := runtime.SerializerInfoForMediaType(types, runtime.ContentTypeJSON)
	return info
}

// TooManyRequests answers 429. With a positive retryAfter the answer carries
// a Retry-After header in whole seconds, rounded up; otherwise none, and
// client-go does not retry by itself.
func TooManyRequests(retryAfter time.Duration) Fault {
	status := apierrors.NewTooManyRequestsError("injected by the observer").ErrStatus
	if retryAfter <= 0 {
		return Answer("429", nil, status)
	}
	seconds := int(math.Ceil(retryAfter.Seconds()))
	status.Details = &metav1.StatusDetails{RetryAfterSeconds: int32(seconds)}
	header := http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	return Answer(fmt.Sprintf("429, retry after %ds", seconds), header, status)
}

// ServerError answers 500 without a Retry-After header.
func ServerError() Fault {
	return Answer("500", nil, apierrors.NewInternalError(errors.New("injected by the observer")).ErrStatus)
}

// Unavailable answers 503 without a Retry-After header.
func Unavailable() Fault {
	return Answer("503", nil, apierrors.NewServiceUnavailable("injected by the observer").ErrStatus)
}

// Forbidden answers 403 with a message that names verb, resource and
// namespace, as the API server's authorization does.
func Forbidden() Fault {
	return answer("403", nil, func(r Request) metav1.Status {
		reason := fmt.Errorf("cannot %s resource %q in API group %q", r.Verb, r.Resource, r.APIGroup)
		if r.Namespace != "" {
			reason = fmt.Errorf("%w in the namespace %q", reason, r.Namespace)
		}
		return apierrors.NewForbidden(groupResource(r), r.Name, reason).ErrStatus
	})
}

// NotFound answers 404 for the object that was asked for.
func NotFound() Fault {
	return answer("404", nil, func(r Request) metav1.Status {
		return apierrors.NewNotFound(groupResource(r), r.Name).ErrStatus
	})
}

// NamespaceNotFound answers 404 for the namespace, as the API server does to
// a create in a namespace that was deleted.
func NamespaceNotFound() Fault {
	return answer("404 namespace", nil, func(r Request) metav1.Status {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, r.Namespace).ErrStatus
	})
}

// Expired answers 410 with reason Expired, as the API server does when asked
// for a resourceVersion that it no longer has.
func Expired() Fault {
	return Answer("410", nil, expired())
}

func expired() metav1.Status {
	return apierrors.NewResourceExpired("too old resource version: injected by the observer").ErrStatus
}

func groupResource(r Request) schema.GroupResource {
	return schema.GroupResource{Group: r.APIGroup, Resource: r.Resource}
}
