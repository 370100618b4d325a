package main

import (
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"client-go-lessons/bench/internal/result"
	"client-go-lessons/internal/cluster"
)

// machine describes where we run, as well as the system tells.
func machine(c *cluster.Cluster) result.Machine {
	m := result.Machine{
		CPU: "unknown CPU", Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Kubernetes: c.Version, Provider: provider(c.Context),
	}
	if name := find("/proc/cpuinfo", `(?m)^model name\s*: (.*)$`); name != "" {
		m.CPU = name
	}
	if kb, err := strconv.ParseInt(find("/proc/meminfo", `(?m)^MemTotal:\s*(\d+) kB$`), 10, 64); err == nil {
		m.MemoryMB = kb / 1000
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		release := strings.SplitN(strings.TrimSpace(string(kernel)), ".", 3)
		m.OS += ", Linux " + strings.Join(release[:min(2, len(release))], ".")
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "k8s.io/client-go" {
				m.ClientGo = dep.Version
			}
		}
	}
	return m
}

func find(path, pattern string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if m := regexp.MustCompile(pattern).FindSubmatch(raw); m != nil {
		return string(m[1])
	}
	return ""
}

// provider tells by the context's name, as bin/cluster and kind give it.
func provider(context string) string {
	for _, p := range []string{"local", "kind"} {
		if strings.HasPrefix(context, p+"-") {
			return p
		}
	}
	return "other"
}
