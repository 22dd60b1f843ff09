package status

import (
	"io"
	"net/http/httptest"
	"testing"

	"example.com/gossip-tests/member"
	"example.com/gossip-tests/message"
)

func TestTheLivingAreListed(t *testing.T) {
	var list member.List
	list.Hear(message.News{Member: "b"})
	list.Hear(message.News{Member: "a"})
	list.Hear(message.News{Member: "c", State: message.Dead})
	server := httptest.NewServer(Handler(&list))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "a\nb\n" {
		t.Errorf("got %q, %v", body, err)
	}
}
