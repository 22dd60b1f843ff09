// Package version knows its number from a file that is part of the binary.
package version

import (
	_ "embed"
	"strings"
)

//go:embed VERSION
var text string

// Number returns the version.
func Number() string {
	return strings.TrimSpace(text)
}
