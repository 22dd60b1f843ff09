// Package queue holds news that waits to be passed on, the least often told first.
package queue

import (
	"container/heap"
	"sync"
)

// Queue hands each item out a limited number of times. Goroutines may share it.
type Queue struct {
	mu    sync.Mutex
	limit int
	items items
}

// New returns a queue that hands out each item limit times.
func New(limit int) *Queue {
	return &Queue{limit: limit}
}

// Push adds an item that was never told.
func (q *Queue) Push(text string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.items, item{text: text})
}

// Pop hands out the item that was told least often; false if there is none left.
func (q *Queue) Pop() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return "", false
	}
	next := heap.Pop(&q.items).(item)
	if next.told+1 < q.limit {
		heap.Push(&q.items, item{next.text, next.told + 1})
	}
	return next.text, true
}

type item struct {
	text string
	told int
}

type items []item

func (it items) Len() int { return len(it) }
func (it items) Less(a, b int) bool {
	if it[a].told != it[b].told {
		return it[a].told < it[b].told
	}
	return it[a].text < it[b].text
}
func (it items) Swap(a, b int) { it[a], it[b] = it[b], it[a] }
func (it *items) Push(x any)   { *it = append(*it, x.(item)) }
func (it *items) Pop() any {
	last := (*it)[len(*it)-1]
	*it = (*it)[:len(*it)-1]
	return last
}
