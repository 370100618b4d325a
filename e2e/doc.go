// Package e2e checks what the lessons say, against a real API server.
//
// Each lesson runs as the learner runs it, as a process of its own; between it and the server
// stands an observer that records every request. A test compares three things: what the lesson
// printed, what the observer saw, and what a client of the test's own finds on the server.
//
// The tests of a lesson are in the file of its name. What guards a claim of docs/claims.md is a
// feature with the claim as its label: grep '"N18"' e2e/*_test.go finds that of N18.
package e2e
