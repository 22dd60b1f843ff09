// Package config reads settings, one `name = value` a line.
package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Read returns the settings; `#` begins a comment.
func Read(from io.Reader) (map[string]string, error) {
	settings := make(map[string]string)
	lines := bufio.NewScanner(from)
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, isSetting := strings.Cut(line, "=")
		if !isSetting {
			return nil, fmt.Errorf("config: line %d has no `=`", number)
		}
		settings[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return settings, lines.Err()
}
