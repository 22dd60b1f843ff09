// Package unit converts between units. The units are in table.go, which tablegen writes.
package unit

import "fmt"

type entry struct {
	dimension string
	factor    float64
}

// Convert returns how many of the unit to are value of the unit from.
func Convert(value float64, from, to string) (float64, error) {
	source, isKnown := table[from]
	if !isKnown {
		return 0, fmt.Errorf("unit: there is no unit %q", from)
	}
	target, isKnown := table[to]
	if !isKnown {
		return 0, fmt.Errorf("unit: there is no unit %q", to)
	}
	if source.dimension != target.dimension {
		return 0, fmt.Errorf("unit: %s is a %s, %s is a %s", from, source.dimension, to, target.dimension)
	}
	return value * source.factor / target.factor, nil
}
