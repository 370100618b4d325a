package lesson

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// connection is a cluster that a lesson may use.
type connection struct {
	config  *rest.Config
	context string // name of the kubeconfig context
	source  string // where the kubeconfig came from, for people
}

// connect finds the cluster, and refuses one that is not on this machine unless it was named.
func connect(o options) (*connection, error) {
	paths, source, err := findKubeconfig(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: paths}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		rules, &clientcmd.ConfigOverrides{CurrentContext: o.context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, &advice{fmt.Sprintf("cannot read the kubeconfig %s: %v", source, err),
			"Mend the file, or name another with -kubeconfig."}
	}
	name, err := pickContext(raw, o.context, source)
	if err != nil {
		return nil, err
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, &advice{fmt.Sprintf("context %q of %s does not work: %v", name, source, err),
			"Mend the file, or name another context with -context."}
	}
	cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	conn := &connection{config: cfg, context: name, source: source}
	// What is on this machine for a proxy is on that of the proxy.
	if o.context == "" && (cfg.Proxy != nil || !onThisMachine(cfg.Host)) {
		return nil, &advice{
			fmt.Sprintf("%s (context %q of %s) is not on this machine, and lessons write to the cluster",
				conn.address(), name, source),
			fmt.Sprintf("If that is what you want, say so: -context %s. For a cluster of your own: make up.", name),
		}
	}
	return conn, nil
}

// address is the server's, without the password that it may hold.
func (c *connection) address() string {
	u, err := url.Parse(c.config.Host)
	if err != nil {
		return c.config.Host
	}
	return u.Redacted()
}

// findKubeconfig says which files to read, in the order that is promised in -h.
func findKubeconfig(flag string) (paths []string, source string, err error) {
	if flag != "" {
		if _, err := os.Stat(flag); err != nil {
			return nil, "", &advice{fmt.Sprintf("cannot read -kubeconfig %s: %v", flag, errors.Unwrap(err)),
				"Name a file that is there, or leave the flag out."}
		}
		return []string{flag}, short(flag), nil
	}
	if env := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); env != "" {
		paths = slices.DeleteFunc(filepath.SplitList(env), func(p string) bool {
			_, err := os.Stat(p)
			return err != nil
		})
		if len(paths) == 0 {
			return nil, "", &advice{fmt.Sprintf("$KUBECONFIG names no file that is there: %s", env),
				"Correct it, or unset it to use the cluster of this workspace (make up)."}
		}
		return paths, "$KUBECONFIG", nil
	}
	if path := workspaceKubeconfig(); path != "" {
		return []string{path}, ".cluster/kubeconfig", nil
	}
	if _, err := os.Stat(clientcmd.RecommendedHomeFile); err == nil {
		return []string{clientcmd.RecommendedHomeFile}, "~/.kube/config", nil
	}
	return nil, "", &advice{
		"no cluster: there is no -kubeconfig, no $KUBECONFIG, no .cluster/kubeconfig and no ~/.kube/config",
		"Start one with: make up",
	}
}

// workspaceKubeconfig is the kubeconfig that `make up` wrote, looked for in this folder and those
// above it, so that a lesson finds it from wherever in the workspace it is run.
func workspaceKubeconfig() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		path := filepath.Join(dir, ".cluster", "kubeconfig")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

func pickContext(raw clientcmdapi.Config, asked, source string) (string, error) {
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	known := "It has none."
	if len(names) > 0 {
		known = "It has: " + strings.Join(names, ", ") + "."
	}
	name := asked
	if name == "" {
		name = raw.CurrentContext
	}
	switch {
	case name == "":
		return "", &advice{fmt.Sprintf("%s names no current context", source),
			known + " Name one with -context, or start a cluster with: make up"}
	case raw.Contexts[name] == nil:
		return "", &advice{fmt.Sprintf("%s has no context %q", source, name), known}
	}
	return name, nil
}

var lookupIP = net.LookupIP // tests ask no name server

// onThisMachine tells whether the server's every address is a loopback address.
func onThisMachine(server string) bool {
	if !strings.Contains(server, "://") {
		server = "https://" + server // a rest.Config may hold host:port alone
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	addrs, err := lookupIP(host)
	return err == nil && len(addrs) > 0 &&
		!slices.ContainsFunc(addrs, func(ip net.IP) bool { return !ip.IsLoopback() })
}

// short writes a path as people would: from the working folder or the home folder, if below one.
func short(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, abs); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(abs, home+string(filepath.Separator)) {
		return "~" + abs[len(home):]
	}
	return abs
}
