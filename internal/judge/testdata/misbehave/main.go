// A program that ends, or does not, as it is told to.
package main

import (
	"fmt"
	"os"
)

func main() {
	switch os.Getenv("MISBEHAVE") {
	case "panics":
		var m map[string]int
		m["one"] = 1
	case "fails":
		fmt.Fprintln(os.Stderr, "Error: no such door")
		os.Exit(1)
	case "fails in silence":
		os.Exit(3)
	case "hangs":
		fmt.Println("hello")
		_, _ = os.Stdin.Read(make([]byte, 1))
	case "hangs in silence":
		_, _ = os.Stdin.Read(make([]byte, 1))
	case "floods":
		for {
			fmt.Println("again")
		}
	case "ends":
		fmt.Println("hello")
	}
}
