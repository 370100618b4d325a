package engine

import "testing"

func TestElsewhere(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"": false, "unix:///var/run/docker.sock": false, "npipe:////./pipe/docker_engine": false,
		"tcp://127.0.0.1:2375": false, "tcp://localhost:2375": false, "tcp://[::1]:2375": false,
		"tcp://192.0.2.7:2376": true, "ssh://me@build.example": true,
	} {
		if got := elsewhere(endpoint); got != want {
			t.Errorf("elsewhere(%q) = %v", endpoint, got)
		}
	}
}
