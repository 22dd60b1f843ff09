package queue

import (
	"strings"
	"testing"
)

func TestTheLeastToldGoesFirst(t *testing.T) {
	queue := New(2)
	queue.Push("a")
	queue.Push("b")
	var told []string
	for {
		text, more := queue.Pop()
		if !more {
			break
		}
		told = append(told, text)
	}
	if got := strings.Join(told, ""); got != "abab" {
		t.Errorf("got %s", got)
	}
}
