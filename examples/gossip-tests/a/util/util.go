// Package util shortens names. It has a namesake, ../../b/util.
package util

// Short returns the first letters of name, at most limit.
func Short(name string, limit int) string {
	letters := []rune(name)
	if len(letters) > limit {
		return string(letters[:limit])
	}
	return name
}
