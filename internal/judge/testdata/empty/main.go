// A program that does nothing.
package main

import (
	"context"

	"k8s.io/client-go/rest"

	"client-go-lessons/internal/exercise"
)

func main() { exercise.Main(run) }

func run(context.Context, *rest.Config, string) error { return nil }
