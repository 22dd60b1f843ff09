package config

import (
	"os"
	"testing"
)

func read(t *testing.T, name string) (map[string]string, error) {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return Read(file)
}

func TestSettingsAreRead(t *testing.T) {
	settings, err := read(t, "good.conf")
	if err != nil || settings["name"] != "alpha" || settings["port"] != "7946" {
		t.Errorf("got %v, %v", settings, err)
	}
}

func TestALineThatIsNoSettingIsNamed(t *testing.T) {
	_, err := read(t, "bad.conf")
	if err == nil || err.Error() != "config: line 2 has no `=`" {
		t.Errorf("got %v", err)
	}
}
