// Package member keeps what one member believes of all others.
package member

import (
	"sort"
	"sync"

	"example.com/gossip-tests/message"
)

// List is a set of beliefs. The zero value is empty, and goroutines may share it.
type List struct {
	mu    sync.Mutex
	known map[string]message.News
}

// Hear takes news in, and tells whether it was new: later news wins, and of the same time the worse.
func (l *List) Hear(news message.News) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil {
		l.known = make(map[string]message.News)
	}
	old, isKnown := l.known[news.Member]
	isNewer := news.Clock > old.Clock || news.Clock == old.Clock && news.State > old.State
	if isKnown && !isNewer {
		return false
	}
	l.known[news.Member] = news
	return true
}

// Alive names the members that are not believed dead, sorted.
func (l *List) Alive() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	for name, news := range l.known {
		if news.State != message.Dead {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}
