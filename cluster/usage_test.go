package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	for _, args := range [][]string{
		{"destroy"},
		{"up", "--provider", "minikube"},
		{"up", "--port", "70000"},
		{"up", "--port", "8443", "--provider", "kind"},
		{"up", "--name", "Not A Name"},
		{"up", "--nonsense"},
		{"status", "-o", "yaml"},
		{"up", "surplus"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			cluster(t, dir, nil, args...).want(t, 2, "see: cluster -h")
		})
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	r := cluster(t, t.TempDir(), nil, "up", "-h")
	r.want(t, 0, "up ", "down ", "status ", "kubeconfig ", "fetch ", "fetched ", "--dir", "--provider", "--name", "--image", "--port", "--source", "Exit status")
	for line := range strings.Lines(r.out) {
		if n := len(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns, 80 at most: %s", n, line)
		}
	}
	if r.errout != "" {
		t.Errorf("help asked for goes to standard output, got %v", r)
	}
}

func TestNothingThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	env := []string{"PATH=" + fakes(t, nil)}
	cluster(t, dir, env, "status").want(t, 1, "none in "+dir, "make up")
	if s := statusOf(t, dir); s.Running || s.Provider != "" || s.Problem == "" {
		t.Errorf("status -o json: %+v", s)
	}
	cluster(t, dir, env, "kubeconfig").want(t, 1, "no kubeconfig", "next: make up")
	cluster(t, dir, env, "down").want(t, 0, "no cluster here")
	cluster(t, dir, env, "down").want(t, 0, "no cluster here")
}
