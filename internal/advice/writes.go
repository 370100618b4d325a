package advice

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"client-go-lessons/internal/observer"
)

// conflictAgain finds writes that were refused because of their version, and sent with the same
// version again.
func conflictAgain(s Seen) (found []finding) {
	writes := byPath(s.Requests, "update", "patch")
	for _, path := range writes.keys {
		row, most, version, injected := 0, 0, "", false
		var before string // the version of the last one, if it was refused
		for _, r := range writes.of[path] {
			switch {
			case !isConflict(r) || r.Sent == nil || r.Sent.ResourceVersion == "":
				row, before = 0, ""
				continue
			case r.Sent.ResourceVersion == before:
				row++
			default:
				row = 1
			}
			before = r.Sent.ResourceVersion
			if row > most {
				most, version, injected = row, before, r.Injected != ""
			}
		}
		if most >= 2 {
			found = append(found, finding{most, fmt.Sprintf("%d conflicts in a row on %s, each from resourceVersion %s.",
				most, object(writes.of[path][0]), version), injected})
		}
	}
	return found
}

// writeLeft finds an update that the server refused for a while, by a conflict or because something
// went wrong, after which the program neither read the object nor wrote it again, though it went on.
func writeLeft(s Seen) (found []finding) {
	const soon = 2 * time.Second
	writes := byPath(s.Requests, "get", "update", "patch", "delete")
	for _, path := range writes.keys {
		all := writes.of[path]
		last := all[len(all)-1]
		passes := isConflict(last) || last.Status == http.StatusTooManyRequests || last.Status >= http.StatusInternalServerError
		if last.Verb == "update" && passes && s.End.Sub(s.end(last)) >= soon {
			found = append(found, finding{1, fmt.Sprintf("An update of %s was refused with %d, and nothing was sent for it in the %s until the end.",
				object(last), last.Status, Duration(s.End.Sub(s.end(last)))), last.Injected != ""})
		}
	}
	return found
}

// blindUpdate finds updates that carry no version and were carried out.
func blindUpdate(s Seen) (found []finding) {
	writes := byPath(s.Requests, "update")
	for _, path := range writes.keys {
		n := 0
		for _, r := range writes.of[path] {
			if ok(r) && r.Subresource == "" && r.Sent != nil && r.Sent.ResourceVersion == "" {
				n++
			}
		}
		if n > 0 {
			found = append(found, finding{n, fmt.Sprintf("%s was updated without a resourceVersion, %s.",
				object(writes.of[path][0]), count(n, "time", "times")), false})
		}
	}
	return found
}

// emptyWrite finds updates and patches after which the object has the version that it had before.
func emptyWrite(s Seen) (found []finding) {
	const fewest = 2
	type write struct{ name, verb string }
	empty := map[string]int{} // by path
	version := map[string]string{}
	kinds := map[string]write{}
	var order []string
	for _, r := range s.Requests {
		if r.Got == nil || r.Got.ResourceVersion == "" || r.Name == "" || r.Subresource != "" && r.Subresource != "status" {
			continue
		}
		path := fmt.Sprint(r.APIGroup, "/", r.Resource, "/", r.Namespace, "/", r.Name)
		before := version[path]
		if r.Verb == "update" && r.Sent != nil && r.Sent.ResourceVersion != "" {
			before = r.Sent.ResourceVersion
		}
		version[path] = r.Got.ResourceVersion
		if (r.Verb == "update" || r.Verb == "patch") && before == r.Got.ResourceVersion {
			if empty[path]++; empty[path] == 1 {
				order = append(order, path)
				kinds[path] = write{object(r), r.Verb}
			}
		}
	}
	for _, path := range order {
		if n := empty[path]; n >= fewest {
			verb := map[string]string{"update": "updates", "patch": "patches"}[kinds[path].verb]
			found = append(found, finding{n, fmt.Sprintf("%d %s of %s changed nothing.", n, verb, kinds[path].name), false})
		}
	}
	return found
}

// createdTwice finds objects with generated names that look like one another: of one owner, with the
// same labels. Each was asked for when the one before was there, and the program could not know of
// it yet: its watch had not told it. Those that are created together are meant to be several.
func createdTwice(s Seen) (found []finding) {
	type alike struct{ group, resource, namespace, prefix, owner, labels string }
	creates := groupBy(s.Requests, func(r observer.Request) (alike, bool) {
		if r.Verb != "create" || r.Sent == nil || r.Got == nil || r.Sent.GenerateName == "" || r.Sent.Name != "" {
			return alike{}, false
		}
		m := r.Sent
		return alike{r.APIGroup, r.Resource, r.Namespace, m.GenerateName, m.Owner, m.Labels}, true
	})
	for _, kind := range creates.keys {
		all := creates.of[kind]
		n := 1
		for i := 1; i < len(all); i++ {
			before, next := all[i-1], all[i]
			if next.Start.Before(s.end(before)) {
				continue // together
			}
			if at, told := s.told(before, before.Got.Name); !told || at.After(next.Start) {
				n++
			}
		}
		if n < 2 {
			continue
		}
		found = append(found, finding{n, fmt.Sprintf("%d %s named %s… were created one after another, alike in owner and labels, "+
			"before a watch had told of the one before.", n, kind.resource, kind.prefix), injectedInto(s, kind.resource)})
	}
	return found
}

func injectedInto(s Seen, resource string) bool {
	return slices.ContainsFunc(s.Requests, func(r observer.Request) bool {
		return r.Resource == resource && r.Injected != ""
	})
}
