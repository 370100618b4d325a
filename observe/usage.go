package main

const usage = `Observe runs a program that uses Kubernetes and tells what it did on the wire.

  go run ./observe [flags] -- COMMAND [ARGUMENTS]
  go run ./observe [flags] -serve

  go run ./observe -- ./my-controller
  go run ./observe -live -- kubectl get pods -w
  go run ./observe -json seen.jsonl -- npm start

The command gets a kubeconfig in KUBECONFIG. Its input and output are its own,
signals reach it, and its exit code is that of observe. What observe has to say
goes to the standard error. SIGUSR1 prints the report so far.

Which cluster
  -kubeconfig FILE  else $KUBECONFIG, .cluster/kubeconfig, ~/.kube/config
  -context NAME     needed for a cluster that is not on this machine

What you see
  -live             a line for each request and each event, as they happen
  -json FILE        the same as JSON lines, and the advice; see docs/observe.md
  -har FILE         a HAR file, for the developer tools of a browser
  -serve            run no command: print a kubeconfig to use, until Ctrl-C

What goes wrong, injected on the way to the server
  -fault 'WHICH: WHAT, WHEN'         may be given several times

  -fault 'watch/configmaps: cut after 3 events'
  -fault 'list/*: 429, retry after 2s, twice'
  -fault 'get/configmaps/app in prod: 404, once'
  -fault '*/*: delay 300ms, at 10s'

  WHICH is VERB/RESOURCE, VERB/RESOURCE/NAME, either with "in NAMESPACE".
    * stands for any. Verbs are list, get, watch, create, update, patch,
    delete and deletecollection.
  WHAT answers in the server's place, which does not see the request:
    403   404   404 namespace   410   500   503
    429   429, retry after 2s
  or makes the client wait:
    delay 2s        forward the request so much later
    never answer    do not forward it either
    hold answer     the server carries it out, and nobody tells the client
    silent          begin the answer, and send nothing of it
  or breaks an answer off:
    reset                   the connection, at once
    reset after 100 bytes   the connection, in the middle of the answer
    abort after 100 bytes   the HTTP/2 stream alone
    truncate to 100 bytes   as if that were all
  or acts on the events of a watch:
    cut after 3 events      the stream breaks
    reset after 3 events    the connection breaks
    end after 3 events      in good order, as when a watch's time is up
    410 after 3 events      the server has forgotten the version
    garbage after 3 events  something that no client can decode
    bookmarks only          no other event comes
  WHEN is once, twice, 5 times or always (if you do not say); and "at 10s"
    begins so long after the start.
`
