package greeting

import (
	"strings"
	"testing"
)

func TestTheSameNameIsGreetedTheSame(t *testing.T) {
	first, second := For("Ada"), For("Ada")
	if first != second || !strings.HasSuffix(first, ", Ada") {
		t.Errorf("%q, %q", first, second)
	}
}
