package observer

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// parseRequest says in Kubernetes' words what an HTTP request asks for.
func parseRequest(r *http.Request) Request {
	request := Request{
		Start:     time.Now(),
		Open:      true,
		Method:    r.Method,
		Path:      r.URL.Path,
		Query:     r.URL.Query(),
		Proto:     r.Proto,
		UserAgent: r.UserAgent(),
		Accept:    r.Header.Get("Accept"),
	}
	parsePath(&request)
	if request.Resource != "" {
		request.Verb = verb(r.Method, request.Name, request.Query)
	}
	return request
}

// parsePath reads /api/VERSION/... and /apis/GROUP/VERSION/... Other paths,
// and those that ask which resources there are, name no resource.
func parsePath(r *Request) {
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		r.APIGroup = parts[1]
		parts = parts[3:]
	default:
		return
	}

	if parts[0] == "namespaces" && len(parts) > 1 {
		r.Namespace = parts[1]
		// What follows a namespace's name is a resource inside it, except
		// for the two subresources that a namespace has itself.
		if len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
			parts = parts[2:]
		}
	}

	r.Resource = parts[0]
	if len(parts) > 1 {
		r.Name = parts[1]
	}
	if len(parts) > 2 {
		r.Subresource = strings.Join(parts[2:], "/")
	}
}

func verb(method, name string, query url.Values) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		if name != "" {
			return "get"
		}
		if watch, err := strconv.ParseBool(query.Get("watch")); err == nil && watch {
			return "watch"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if name == "" {
			return "deletecollection"
		}
		return "delete"
	default:
		return ""
	}
}
