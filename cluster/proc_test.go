package main

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// residentMB returns a process's resident memory, where the system tells.
func residentMB(t *testing.T, pid int) int {
	t.Helper()
	needsProc(t)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" {
			kb, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1024
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// listening returns the addresses at which a process accepts connections.
func listening(t *testing.T, pid int) []net.TCPAddr {
	t.Helper()
	needsProc(t)
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("no open files of process %d: %v", pid, err)
	}
	var own []string
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil {
			own = append(own, link)
		}
	}
	var found []net.TCPAddr
	for _, table := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			const listen = "0A"
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listen || !slices.Contains(own, "socket:["+f[9]+"]") {
				continue
			}
			found = append(found, address(t, f[1]))
		}
	}
	if len(found) == 0 {
		t.Fatalf("process %d does not listen", pid)
	}
	return found
}

// address reads an address as the kernel prints it: words of four bytes, the
// lowest byte first.
func address(t *testing.T, s string) net.TCPAddr {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	ip, err := hex.DecodeString(host)
	if err != nil {
		t.Fatal(err)
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	return net.TCPAddr{IP: ip, Port: int(n)}
}

func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
}
