package member

import (
	"reflect"
	"sync"
	"testing"

	"example.com/gossip-tests/message"
)

func TestLaterNewsWins(t *testing.T) {
	var list List
	for _, step := range []struct {
		news message.News
		new  bool
	}{
		{message.News{Member: "a", State: message.Alive, Clock: 1}, true},
		{message.News{Member: "a", State: message.Dead, Clock: 1}, true},
		{message.News{Member: "a", State: message.Alive, Clock: 1}, false},
		{message.News{Member: "a", State: message.Alive, Clock: 2}, true},
	} {
		if got := list.Hear(step.news); got != step.new {
			t.Errorf("%+v: new is %v", step.news, got)
		}
	}
}

func TestManyMayTellAtOnce(t *testing.T) {
	var list List
	var done sync.WaitGroup
	for _, name := range []string{"c", "a", "b"} {
		done.Add(1)
		go func() {
			defer done.Done()
			list.Hear(message.News{Member: name})
		}()
	}
	done.Wait()
	if got := list.Alive(); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
}
