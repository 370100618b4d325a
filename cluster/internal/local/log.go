package local

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"client-go-lessons/cluster/internal/folder"
)

func logFile(f *folder.Folder) string { return filepath.Join(f.Logs(), "controlplane.log") }

// openLog makes a new log and keeps the one before it, which may tell why there
// has to be a new start.
func openLog(f *folder.Folder) (*os.File, error) {
	if err := os.MkdirAll(f.Logs(), 0o700); err != nil {
		return nil, err
	}
	name := logFile(f)
	if err := os.Rename(name, name+".1"); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// LogTail returns the last lines of the log that mean something to a person:
// what the control plane itself said if it said something, no stack traces,
// nothing longer than a line on a screen.
func LogTail(f *folder.Folder, n int) string {
	file, err := os.Open(logFile(f))
	if err != nil {
		return ""
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > 64<<10 {
		if _, err := file.Seek(-64<<10, io.SeekEnd); err != nil {
			return ""
		}
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return ""
	}
	return tail(string(data), n)
}

func tail(log string, n int) string {
	var lines, own []string
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "goroutine ") {
			// Stack traces run to the end of the log.
			break
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		if r := []rune(line); len(r) > 200 {
			line = string(r[:200]) + "…"
		}
		lines = append(lines, "  "+line)
		if strings.HasPrefix(line, "controlplane: ") {
			own = append(own, "  "+line)
		}
	}
	if len(own) > 0 {
		lines = own
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
