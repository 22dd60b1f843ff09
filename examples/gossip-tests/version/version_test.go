package version

import (
	"regexp"
	"testing"
)

func TestItIsThreeNumbers(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(Number()) {
		t.Errorf("%q", Number())
	}
}
