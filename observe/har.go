package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"client-go-lessons/internal/observer"
)

// har writes a HAR file (HTTP Archive 1.2), entry by entry as requests end. It holds no bodies, and
// of the request's headers none that is secret.
type har struct {
	file     *os.File
	out      *bufio.Writer
	answered map[int]time.Time // when the head of an answer came, by request
	any      bool              // an entry is written
	err      error             // the first
}

func newHAR(path string) (*har, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("-har: %w", err)
	}
	h := &har{file: file, out: bufio.NewWriter(file), answered: map[int]time.Time{}}
	h.print(`{"log":{"version":"1.2","creator":{"name":"client-go-lessons observe","version":"1"},"entries":[` + "\n")
	return h, nil
}

func (h *har) print(text string) {
	if h.err == nil {
		_, h.err = h.out.WriteString(text)
	}
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (h *har) tell(c observer.Change) {
	switch c.What {
	case observer.Answered:
		h.answered[c.Request.ID] = c.Time
	case observer.Ended:
		raw, err := json.Marshal(h.entry(c.Request))
		if err != nil && h.err == nil {
			h.err = err
		}
		if h.any {
			h.print(",\n")
		}
		h.any = true
		h.print(string(raw))
		delete(h.answered, c.Request.ID)
	}
}

// entry is a request as HAR has it.
func (h *har) entry(r observer.Request) map[string]any {
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	wait, receive := r.Duration, time.Duration(0)
	if at, ok := h.answered[r.ID]; ok {
		wait = min(max(0, at.Sub(r.Start)), r.Duration)
		receive = r.Duration - wait
	}
	query := pairs(r.Query)
	address := "https://kubernetes" + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	sent := []pair{{"Accept", r.Accept}, {"User-Agent", r.UserAgent}}
	mediaType := r.Header.Get("Content-Type")
	entry := map[string]any{
		"startedDateTime": r.Start.Format(time.RFC3339Nano),
		"time":            milliseconds(r.Duration),
		"connection":      strconv.Itoa(r.Conn),
		"cache":           map[string]any{},
		"timings":         map[string]float64{"send": 0, "wait": milliseconds(wait), "receive": milliseconds(receive)},
		"request": map[string]any{
			"method": r.Method, "url": address, "httpVersion": r.Proto, "cookies": []pair{}, "headers": sent,
			"queryString": query, "headersSize": -1, "bodySize": r.SentBytes,
		},
		"response": map[string]any{
			"status": r.Status, "statusText": http.StatusText(r.Status), "httpVersion": r.Proto, "cookies": []pair{},
			"headers": pairs(r.Header), "redirectURL": "", "headersSize": -1, "bodySize": r.Bytes,
			"content": map[string]any{"size": r.Bytes, "mimeType": mediaType},
		},
	}
	if comment := r.Injected; comment != "" {
		entry["comment"] = "injected: " + comment
	}
	return entry
}

func pairs(values map[string][]string) []pair {
	all := []pair{}
	for name, some := range values {
		for _, value := range some {
			all = append(all, pair{name, value})
		}
	}
	slices.SortFunc(all, func(a, b pair) int { return strings.Compare(a.Name+"="+a.Value, b.Name+"="+b.Value) })
	return all
}

func (h *har) close(end) error {
	h.print("\n]}}\n")
	if h.err == nil {
		h.err = h.out.Flush()
	}
	if err := h.file.Close(); h.err == nil {
		h.err = err
	}
	if h.err != nil {
		return fmt.Errorf("-har: %w", h.err)
	}
	return nil
}
