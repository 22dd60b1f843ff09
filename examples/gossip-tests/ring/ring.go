// Package ring shares keys out among members by consistent hashing.
package ring

import (
	"slices"

	"example.com/gossip-tests/murmur"
)

// Owner names the member whose angle comes next after the key's; empty if there are no members.
func Owner(key string, members []string) string {
	type place struct {
		angle float64
		name  string
	}
	places := make([]place, 0, len(members))
	for _, name := range members {
		places = append(places, place{murmur.Angle(murmur.Hash(name)), name})
	}
	slices.SortFunc(places, func(a, b place) int {
		switch {
		case a.angle < b.angle:
			return -1
		case a.angle > b.angle:
			return 1
		}
		return 0
	})
	angle := murmur.Angle(murmur.Hash(key))
	for _, place := range places {
		if place.angle >= angle {
			return place.name
		}
	}
	if len(places) == 0 {
		return ""
	}
	return places[0].name
}
