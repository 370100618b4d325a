package wire

import (
	"net/http"
	"strings"
)

// Verb names what a request asks the API server for, in the words of RBAC: list, get, watch,
// create, update, patch, delete or deletecollection. A request for anything but a resource, such
// as /metrics or /version, is "other".
func Verb(req *http.Request) string {
	// api/v1/... or apis/GROUP/VERSION/..., then [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE]]
	path := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch {
	case len(path) > 2 && path[0] == "api":
		path = path[2:]
	case len(path) > 3 && path[0] == "apis":
		path = path[3:]
	default:
		return "other"
	}
	// What follows a namespace's name is a resource inside it, except for the two subresources that
	// a namespace has itself (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go).
	if path[0] == "namespaces" && len(path) > 2 && path[2] != "status" && path[2] != "finalize" {
		path = path[2:]
	}
	named := len(path) > 1

	switch req.Method {
	case http.MethodGet, http.MethodHead:
		if named {
			return "get"
		}
		// Most requests have no such parameter, and parsing what they have costs.
		if strings.Contains(req.URL.RawQuery, "watch=") {
			if w := req.URL.Query().Get("watch"); w == "true" || w == "1" {
				return "watch"
			}
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if named {
			return "delete"
		}
		return "deletecollection"
	}
	return "other"
}
