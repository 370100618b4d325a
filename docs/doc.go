// Package docs is the pages: one for each lesson, and the ledger of claims. Its tests hold the code and
// the output that a page quotes to their sources, links to their targets, and all to the house's
// rules.
package docs
