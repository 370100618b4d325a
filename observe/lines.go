package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"client-go-lessons/internal/cluster"
	"client-go-lessons/internal/observer"
)

// format is the version of the lines below. It changes when a field goes or changes its meaning; a
// new field or a new "what" does not change it.
const format = 1

// line is one line of -json. docs/observe.md describes it; fields are only added.
type line struct {
	What string    `json:"what"` // start, request, answer, event, end or stop
	Time time.Time `json:"time"`

	// In the lines of a request.
	ID          int    `json:"id,omitempty"`
	Verb        string `json:"verb,omitempty"`
	Group       string `json:"group,omitempty"`
	Resource    string `json:"resource,omitempty"`
	Subresource string `json:"subresource,omitempty"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name,omitempty"`
	Injected    string `json:"injected,omitempty"`
	// In request and end.
	Method    string              `json:"method,omitempty"`
	Path      string              `json:"path,omitempty"`
	Query     map[string][]string `json:"query,omitempty"`
	UserAgent string              `json:"userAgent,omitempty"`
	Conn      int                 `json:"conn,omitempty"`
	Proto     string              `json:"proto,omitempty"`
	SentBytes int64               `json:"sentBytes,omitempty"`
	// In answer and end.
	Status int `json:"status,omitempty"`
	// In end.
	Bytes        int64                   `json:"bytes,omitempty"`
	Milliseconds float64                 `json:"ms,omitempty"`
	EndedBy      observer.EndedBy        `json:"endedBy,omitempty"`
	Failure      string                  `json:"failure,omitempty"`
	Events       map[watch.EventType]int `json:"events,omitempty"`
	SentVersion  string                  `json:"sentVersion,omitempty"`
	GotVersion   string                  `json:"gotVersion,omitempty"`
	// In event.
	Event   watch.EventType `json:"event,omitempty"`
	Object  string          `json:"object,omitempty"` // name, or namespace/name
	Version string          `json:"version,omitempty"`
	Code    int             `json:"code,omitempty"`
	// In start.
	Format  int    `json:"format,omitempty"`
	Server  string `json:"server,omitempty"`
	Context string `json:"context,omitempty"`
	// In stop.
	Requests    int            `json:"requests,omitempty"`
	Connections int            `json:"connections,omitempty"`
	ExitCode    *int           `json:"exitCode,omitempty"`
	Advice      []adviceOfLine `json:"advice,omitempty"`
}

type adviceOfLine struct {
	Rule     string   `json:"rule"`
	Evidence []string `json:"evidence"`
	More     int      `json:"more,omitempty"`
	Do       string   `json:"do"`
	Page     string   `json:"page"`
	Injected bool     `json:"injected,omitempty"`
}

// lines writes JSON lines.
type lines struct {
	file *os.File
	out  *bufio.Writer
	json *json.Encoder
	err  error // the first
}

func newLines(path string, target *cluster.Cluster) (*lines, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("-json: %w", err)
	}
	l := &lines{file: file, out: bufio.NewWriter(file)}
	l.json = json.NewEncoder(l.out)
	l.json.SetEscapeHTML(false)
	l.write(line{What: "start", Time: time.Now(), Format: format, Server: target.Address(), Context: target.Context})
	return l, nil
}

// write writes one line, and flushes it: somebody may follow the file.
func (l *lines) write(v line) {
	if l.err == nil {
		l.err = l.json.Encode(v)
	}
	if l.err == nil {
		l.err = l.out.Flush()
	}
}

func (l *lines) tell(c observer.Change) { l.write(lineOf(c)) }

func lineOf(c observer.Change) line {
	r := c.Request
	v := line{What: string(c.What), Time: c.Time, ID: r.ID, Verb: r.Verb, Group: r.APIGroup, Resource: r.Resource,
		Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name, Injected: r.Injected}
	switch c.What {
	case observer.Event:
		v.Event, v.Code = c.EventType, c.Code
		if c.Object != nil {
			v.Object, v.Version = objectOf(c.Object), c.Object.ResourceVersion
		}
		return v
	case observer.Answered:
		v.Status = r.Status
		return v
	case observer.Ended:
		v.Status, v.Bytes, v.EndedBy, v.Failure, v.Events = r.Status, r.Bytes, r.EndedBy, r.Failure, r.Events
		v.Milliseconds = float64(r.Duration.Microseconds()) / 1000
		if r.Sent != nil {
			v.SentVersion = r.Sent.ResourceVersion
		}
		if r.Got != nil {
			v.GotVersion = r.Got.ResourceVersion
		}
	}
	v.Method, v.Path, v.Query, v.UserAgent = r.Method, r.Path, r.Query, r.UserAgent
	v.Conn, v.Proto, v.SentBytes = r.Conn, r.Proto, r.SentBytes
	return v
}

func objectOf(m *observer.Meta) string {
	if m.Namespace == "" {
		return m.Name
	}
	return m.Namespace + "/" + m.Name
}

func (l *lines) close(e end) error {
	v := line{What: "stop", Time: e.time, Requests: e.report.requests, Connections: e.report.connections}
	if e.exitCode >= 0 {
		v.ExitCode = &e.exitCode
	}
	for _, a := range e.report.advice {
		v.Advice = append(v.Advice, adviceOfLine(a))
	}
	l.write(v)
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	if l.err != nil {
		return fmt.Errorf("-json: %w", l.err)
	}
	return nil
}
