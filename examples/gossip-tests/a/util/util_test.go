package util

import "testing"

func TestLettersAreNotCutInHalf(t *testing.T) {
	if got := Short("größe", 4); got != "größ" {
		t.Errorf("got %q", got)
	}
}
