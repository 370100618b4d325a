package cluster

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

var (
	lookupIP = net.LookupIP // tests ask no name server
	// proxyFor is what client-go asks for a proxy, where the kubeconfig names none.
	proxyFor = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
)

// onThisMachine tells whether the server's every address is one of this machine: a loopback address,
// or the unspecified one, 0.0.0.0, that k3d writes. A request that goes through a proxy ends
// wherever the name leads to on the proxy's machine, so then the answer is no.
func onThisMachine(server string) bool {
	if !strings.Contains(server, "://") {
		server = "https://" + server // a rest.Config may hold host:port alone
	}
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return false
	}
	proxy, err := proxyFor(&http.Request{URL: u})
	if err != nil || proxy != nil {
		return false
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		return own(ip)
	}
	addrs, err := lookupIP(u.Hostname())
	return err == nil && len(addrs) > 0 &&
		!slices.ContainsFunc(addrs, func(ip net.IP) bool { return !own(ip) })
}

func own(ip net.IP) bool { return ip.IsLoopback() || ip.IsUnspecified() }

// madeBy names the tool that made a context for a cluster in containers or virtual machines, most
// often of this machine, or "".
func madeBy(raw clientcmdapi.Config, contextName string) string {
	context := raw.Contexts[contextName]
	if context == nil {
		return ""
	}
	for _, tool := range []string{"minikube", "k3d", "kind", "colima", "rancher-desktop"} {
		for _, name := range []string{contextName, context.Cluster} {
			if name == tool || strings.HasPrefix(name, tool+"-") {
				return tool
			}
		}
	}
	if cluster := raw.Clusters[context.Cluster]; cluster != nil {
		// minikube notes its name in the file, whatever the context is called.
		if _, ok := cluster.Extensions["cluster_info"]; ok {
			return "minikube"
		}
	}
	return ""
}

// refusal says why a cluster is not used, and how to use it all the same.
func (c *Cluster) refusal(tool string) error {
	what := fmt.Sprintf("%s (context %q of %s) is not on this machine, and lessons write to the cluster",
		c.Address(), c.Context, c.Source)
	if tool != "" {
		what = fmt.Sprintf("%s (context %q of %s) is a cluster of %s, but its address does not tell "+
			"whether it is on this machine, and lessons write to the cluster",
			c.Address(), c.Context, c.Source, tool)
	}
	return &Advice{what, fmt.Sprintf(
		"If that is what you want, say so: -context %s. For a cluster of this workspace: make up", c.Context)}
}
