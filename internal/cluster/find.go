package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// fromEnv is the Source of a kubeconfig that the environment names.
const fromEnv = "$KUBECONFIG"

// Find finds the cluster without sending a request. It reads the kubeconfig file that is named, else
// $KUBECONFIG, .cluster/kubeconfig in this folder or one above it, ~/.kube/config. It takes the
// context that is named, else the current one. Programs of this workspace write to the cluster, so
// Find refuses one that is not on this machine, unless its context is named. Errors are [Advice].
func Find(kubeconfig, contextName string) (*Cluster, error) {
	paths, source, err := findKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	rules := &clientcmd.ClientConfigLoadingRules{Precedence: paths}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		rules, &clientcmd.ConfigOverrides{CurrentContext: contextName})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, &Advice{fmt.Sprintf("cannot read the kubeconfig %s: %v", source, err),
			"Mend the file, or name another with -kubeconfig."}
	}
	name, err := pickContext(raw, contextName, source)
	if err != nil {
		return nil, err
	}
	cfg, err := loader.ClientConfig()
	if err != nil {
		return nil, &Advice{fmt.Sprintf("context %q of %s does not work: %v", name, source, err),
			"Mend the file, or name another context with -context."}
	}
	cfg.UserAgent = rest.DefaultKubernetesUserAgent()
	c := &Cluster{Config: cfg, Context: name, Namespace: raw.Contexts[name].Namespace, Source: source}
	if contextName == "" && (cfg.Proxy != nil || !onThisMachine(cfg.Host)) {
		return nil, c.refusal(madeBy(raw, name))
	}
	// A kubeconfig that contradicts itself shows only when a transport is made from it.
	if _, err := rest.HTTPClientFor(cfg); err != nil {
		return nil, &Advice{fmt.Sprintf("context %q of %s does not work: %v", name, source, err),
			adviceForClient(err)}
	}
	return c, nil
}

// adviceForClient says what to do about a config that no client can be made from.
func adviceForClient(err error) string {
	if strings.Contains(err.Error(), "no Auth Provider found") {
		return "client-go has no such way to log in any more (since 1.26). Get a new kubeconfig " +
			"from your provider's tool, or take a cluster of your own: make up"
	}
	return "Mend the file, or name another context with -context."
}

// findKubeconfig says which files to read, in the order that Find promises.
func findKubeconfig(named string) (paths []string, source string, err error) {
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return nil, "", &Advice{
				fmt.Sprintf("cannot read -kubeconfig %s: %v", named, errors.Unwrap(err)),
				"Name a file that is there, or leave the flag out."}
		}
		return []string{named}, short(named), nil
	}
	if env := os.Getenv(clientcmd.RecommendedConfigPathEnvVar); env != "" {
		paths = slices.DeleteFunc(filepath.SplitList(env), func(p string) bool {
			_, err := os.Stat(p)
			return err != nil
		})
		if len(paths) == 0 {
			return nil, "", &Advice{fmt.Sprintf("$KUBECONFIG names no file that is there: %s", env),
				"Correct it, or unset it to use the cluster of this workspace (make up)."}
		}
		return paths, fromEnv, nil
	}
	if path := workspaceKubeconfig(); path != "" {
		return []string{path}, ".cluster/kubeconfig", nil
	}
	if _, err := os.Stat(clientcmd.RecommendedHomeFile); err == nil {
		return []string{clientcmd.RecommendedHomeFile}, "~/.kube/config", nil
	}
	return nil, "", &Advice{
		"no cluster: there is no -kubeconfig, no $KUBECONFIG, no .cluster/kubeconfig and no ~/.kube/config",
		"Start one with: make up",
	}
}

// workspaceKubeconfig is the kubeconfig that `make up` wrote, looked for in this folder and those
// above it, so that a program finds it from wherever in the workspace it is run.
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
		return "", &Advice{fmt.Sprintf("%s names no current context", source),
			known + " Name one with -context, or start a cluster with: make up"}
	case raw.Contexts[name] == nil:
		return "", &Advice{fmt.Sprintf("%s has no context %q", source, name), known}
	}
	return name, nil
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
