package observer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Meta is what an object's metadata says of it. Of the object itself nothing is kept.
type Meta struct {
	Namespace, Name, GenerateName, ResourceVersion string
	// Owner is the UID of the object's first owner.
	Owner string
	// Labels are written as "app=shop,tier=web", in the order of their keys.
	Labels string
}

// maxObject is the length in bytes from which a body is not looked into. etcd refuses objects of
// more than 1.5 MiB.
const maxObject = 2 << 20

var protobufPrefix = []byte("k8s\x00")

// readMeta finds the metadata of the one object in a body, in JSON or protobuf. It returns nil when
// the body holds no such object: a Status is none.
func readMeta(contentType string, body []byte) *Meta {
	mediaType, _, _ := mime.ParseMediaType(contentType)
	var object metav1.PartialObjectMetadata
	switch {
	case len(body) == 0 || len(body) > maxObject:
		return nil
	case mediaType == runtime.ContentTypeProtobuf:
		raw, ok := bytes.CutPrefix(body, protobufPrefix)
		var envelope runtime.Unknown
		if !ok || envelope.Unmarshal(raw) != nil || envelope.Kind == "Status" {
			return nil
		}
		// Metadata is field 1 of each kind, as it is of this type, which skips all other fields.
		if object.Unmarshal(envelope.Raw) != nil {
			return nil
		}
	case strings.HasSuffix(mediaType, "json"):
		// Not all of ObjectMeta: managedFields may be longer than the rest.
		type metadata struct {
			Namespace, Name, GenerateName, ResourceVersion string
			Labels                                         map[string]string
			OwnerReferences                                []struct{ UID types.UID }
		}
		var read struct {
			Kind     string
			Metadata metadata
			Rows     []struct{ Object struct{ Metadata metadata } }
		}
		if json.Unmarshal(body, &read) != nil || read.Kind == "Status" {
			return nil
		}
		m := read.Metadata
		if read.Kind == "Table" && len(read.Rows) == 1 { // kubectl's form of an object
			m = read.Rows[0].Object.Metadata
		}
		object.Namespace, object.Name, object.GenerateName = m.Namespace, m.Name, m.GenerateName
		object.ResourceVersion, object.Labels = m.ResourceVersion, m.Labels
		if len(m.OwnerReferences) > 0 {
			object.OwnerReferences = []metav1.OwnerReference{{UID: m.OwnerReferences[0].UID}}
		}
	default:
		return nil
	}
	meta := &Meta{
		Namespace: object.Namespace, Name: object.Name, GenerateName: object.GenerateName,
		ResourceVersion: object.ResourceVersion, Labels: written(object.Labels),
	}
	if len(object.OwnerReferences) > 0 {
		meta.Owner = string(object.OwnerReferences[0].UID)
	}
	return meta
}

func written(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, fmt.Sprintf("%s=%s", key, labels[key]))
	}
	return strings.Join(all, ",")
}

// readEvent says which object the event in a frame is about. For an event of type ERROR it returns
// the code of the status instead, such as 410.
func readEvent(mediaType string, f frame) (meta *Meta, code int) {
	var event metav1.WatchEvent
	switch mediaType {
	case runtime.ContentTypeJSON:
		if json.Unmarshal(f.raw, &event) != nil {
			return nil, 0
		}
	case runtime.ContentTypeProtobuf:
		const head = 4 // the length in front
		if len(f.raw) < head || event.Unmarshal(f.raw[head:]) != nil {
			return nil, 0
		}
	default:
		return nil, 0
	}
	var status metav1.Status
	if _, _, err := codecs.UniversalDeserializer().Decode(event.Object.Raw, nil, &status); event.Type == "ERROR" && err == nil {
		return nil, int(status.Code)
	}
	return readMeta(mediaType, event.Object.Raw), 0
}
