// Package greeting greets.
package greeting

import "example.com/nested/data"

// For returns a greeting for name: the same name is always greeted the same.
func For(name string) string {
	sum := 0
	for _, letter := range name {
		sum += int(letter)
	}
	return data.Words[sum%len(data.Words)] + ", " + name
}
