package term

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"just ten c":                "just ten c",
		"just eleven":               "just\neleven",
		"one two three\nfour":       "one two\nthree\nfour",
		"a https://far.too/long b":  "a\nhttps://far.too/long\nb",
		"ü ü ü ü ü é":               "ü ü ü ü ü\né",
		"two  blanks":               "two \nblanks",
		"ends with a newline, no\n": "ends with\na newline,\nno\n",
	} {
		if got := Fold(text, 10); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestAClosedOutputEndsTheRun(t *testing.T) {
	told := false
	p := &Printer{w: closedWriter{}, Failed: func() { told = true }}
	p.Lines("", "anything")
	if !told {
		t.Error("nobody was told")
	}
}

type closedWriter struct{}

func (closedWriter) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 160 * time.Nanosecond: "0.16 µs", 1500 * time.Nanosecond: "1.5 µs",
		42 * time.Microsecond: "42 µs", 3100 * time.Microsecond: "3.1 ms", 41 * time.Millisecond: "41 ms",
		999 * time.Millisecond: "1.0 s", 2 * time.Second: "2.0 s", 61 * time.Second: "61 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func ExampleDuration() {
	fmt.Println(Duration(1999*time.Millisecond), Duration(3070*time.Microsecond))
	// Output: 2.0 s 3.1 ms
}

func ExampleTable() {
	fmt.Println(strings.Join(Table(
		[]any{"read", "requests", "answered from"},
		[]any{"Get", 1, "etcd"},
		[]any{"List", 12, "watch cache"},
	), "\n"))
	// Output:
	// read   requests   answered from
	// Get           1   etcd
	// List         12   watch cache
}
