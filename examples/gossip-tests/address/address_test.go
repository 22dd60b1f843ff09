package address

import "testing"

func TestANumberIsTakenAsItIs(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:7946": "127.0.0.1:7946",
		"[::1]:80":       "[::1]:80",
	} {
		if got, err := Resolve(text); err != nil || got.String() != want {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, text := range []string{"", "127.0.0.1", "127.0.0.1:seventy", "127.0.0.1:70000"} {
		if got, err := Resolve(text); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
}
