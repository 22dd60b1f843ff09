package unit

import "testing"

func TestUnitsOfOneDimensionConvert(t *testing.T) {
	if got, err := Convert(2, "km", "m"); err != nil || got != 2000 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestUnitsOfTwoDimensionsDoNot(t *testing.T) {
	if got, err := Convert(2, "km", "h"); err == nil {
		t.Errorf("got %v", got)
	}
}
