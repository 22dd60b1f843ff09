package account

import "testing"

func TestThereIsAlwaysAName(t *testing.T) {
	if Name() == "" {
		t.Error("nobody")
	}
}
