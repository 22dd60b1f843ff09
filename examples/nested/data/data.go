// Package data holds texts. They are in words.go, which tools/embed writes.
package data
