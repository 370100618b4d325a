// Judge runs a learner's exercise and says whether it is solved. See exercises/README.md.
package main

import "client-go-lessons/internal/judge"

func main() { judge.Main() }
