// Command cluster gives a workspace a Kubernetes cluster, and takes it away
// again without a trace.
//
// It knows two providers. kind runs a full cluster in a container. local runs
// the real etcd, API server and the controllers that ConfigMaps need as one
// process on this machine, compiled from their Go modules: it needs neither
// Docker nor root nor an image registry. Everything about the cluster is kept
// in one state folder, and ~/.kube/config is never touched.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"client-go-lessons/cluster/internal/folder"
	"client-go-lessons/cluster/internal/hint"
	"client-go-lessons/cluster/internal/kind"
	"client-go-lessons/cluster/internal/say"
)

const usage = `cluster gives this workspace a Kubernetes cluster.

Usage: cluster VERB [flags]

  up          bring a cluster up; if one is up, say so
  down        remove it, all but its logs; if there is none, say so
  status      tell what there is and whether it runs; for programs: -o json
  kubeconfig  print the path of its kubeconfig
  fetch       get what up needs from elsewhere, to have it without a network:
              the compiled control plane, and the node image for kind
  fetched     tell what of that is here
  provider    print what up would take, kind or local (-o json: and the engine)

Flags:
  --dir PATH       the state folder (default .cluster)
  --provider NAME  kind, local, or auto: kind if a container engine answers and
                   has the node image or can pull it, else local (default auto)
  --name NAME      the cluster's name; its context is kind-NAME or local-NAME
                   (default client-go-lessons-HASH, of the state folder's path)
  --image IMAGE    kind: the node image (default $KIND_NODE_IMAGE, else the one
                   that this version of kind pins by digest)
  -o json          status, provider: write JSON
  --port PORT      local: the API server's port (default 0: the one used last if
                   it is free, else any)
  --source PATH    local: the folder of this module, to compile from (default
                   $CLUSTER_SOURCE, else found from the working folder or the
                   executable upwards)

Exit status: 0 done (status: it runs), 1 failed (status: it does not run;
fetched: there is nothing to start), 2 wrong usage, 130 interrupted.

The first up of the local provider compiles Kubernetes, which takes minutes; the
binary is bin/controlplane in the workspace, and what it is made of is in Go's
build cache. Its log is logs/controlplane.log in the state folder.
`

const auto = "auto"

// options are the flags, and where to write.
type options struct {
	dir, provider, name, image, source string

	// imageGiven tells a wish from a default.
	imageGiven bool

	port   int
	json   bool // write JSON
	folder *folder.Folder
	out    io.Writer
	say    *say.Printer
}

// errNotRunning is status' way of saying no: there is nothing to add to it.
var errNotRunning = errors.New("not running")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	verbs := map[string]func(context.Context, *options) error{
		"up": up, "down": down, "status": status, "kubeconfig": kubeconfig,
		"provider": provider, "fetch": fetch, "fetched": fetched,
	}
	if len(args) > 0 && (args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Print(usage)
		return 0
	}
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	verb, ok := verbs[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "cluster: there is no verb %q\n  see: cluster -h\n", args[0])
		return 2
	}
	o, err := parse(args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "cluster %s: %v\n  see: cluster -h\n", args[0], err)
		return 2
	}
	err = verb(ctx, o)
	o.say.Done()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNotRunning), errors.Is(err, errNothingFetched):
		return 1
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintf(os.Stderr, "cluster %s: interrupted\n", args[0])
		return 130
	}
	o.say.Line("cluster %s: %v", args[0], err)
	if next := hint.Next(err); next != "" {
		o.say.Line("  next: %s", next)
	}
	return 1
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,47}[a-z0-9])?$`)

func parse(args []string) (*options, error) {
	o := &options{out: os.Stdout, say: say.To(os.Stderr)}
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.dir, "dir", ".cluster", "")
	flags.StringVar(&o.provider, "provider", auto, "")
	flags.StringVar(&o.name, "name", "", "")
	flags.StringVar(&o.image, "image", kind.DefaultImage(), "")
	flags.StringVar(&o.source, "source", "", "")
	flags.IntVar(&o.port, "port", 0, "")
	form := flags.String("o", "", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	flags.Visit(func(f *flag.Flag) { o.imageGiven = o.imageGiven || f.Name == "image" })
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.provider != auto && o.provider != folder.Kind && o.provider != folder.Local:
		return nil, fmt.Errorf("--provider %q: want %s", o.provider, strings.Join([]string{auto, folder.Kind, folder.Local}, ", "))
	case o.port < 0 || o.port > 65535:
		return nil, fmt.Errorf("--port %d: want 0 to 65535", o.port)
	case o.port != 0 && o.provider == folder.Kind:
		return nil, errors.New("--port is for the local provider; kind chooses its own")
	case o.name != "" && !validName.MatchString(o.name):
		return nil, fmt.Errorf("--name %q: want at most 49 of a-z, 0-9, '-' and '.', a letter or digit at both ends", o.name)
	case *form != "" && *form != "json":
		return nil, fmt.Errorf("-o %q: want json", *form)
	case o.dir == "":
		return nil, errors.New("--dir is empty")
	}
	o.json = *form == "json"
	var err error
	o.folder, err = folder.At(o.dir)
	return o, err
}
