// Package message holds the words that members exchange. It is data alone, and has no tests.
package message

// State is what one member believes of another.
type State int

// The states of a member, in the order in which news of them wins.
const (
	Alive State = iota
	Suspect
	Dead
)

// News is one belief, with the age of the belief.
type News struct {
	Member string
	State  State
	Clock  uint64
}
