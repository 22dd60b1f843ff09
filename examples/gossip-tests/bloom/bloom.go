// Package bloom remembers what was told already, in little space and with few mistakes.
package bloom

import "hash/fnv"

// Filter is a set that may hold more than was put in, never less. The zero value is empty.
type Filter struct {
	bits [1 << 10]uint64
}

// Add puts text in.
func (f *Filter) Add(text string) {
	for _, at := range places(text) {
		f.bits[at/64%1024] |= 1 << (at % 64)
	}
}

// Has tells whether text may have been put in.
func (f *Filter) Has(text string) bool {
	for _, at := range places(text) {
		if f.bits[at/64%1024]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

func places(text string) [4]uint32 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(text))
	sum := hash.Sum64()
	first, second := uint32(sum), uint32(sum>>32)
	return [4]uint32{first, first + second, first + 2*second, first + 3*second}
}
