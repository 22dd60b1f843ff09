package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, folder string) *Store {
	t.Helper()
	opened, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestAValueOutlivesTheProcess(t *testing.T) {
	folder := t.TempDir()
	key, value := []byte("k\x00ey"), bytes.Repeat([]byte("long "), 1000)

	first := open(t, folder)
	if err := first.Put(key, value); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, folder)
	defer second.Close()
	got, found, err := second.Get(key)
	if err != nil || !found || !bytes.Equal(got, value) {
		t.Errorf("got %d bytes, found %v, error %v", len(got), found, err)
	}
}

func TestAMissingKeyIsNotAnEmptyValue(t *testing.T) {
	opened := open(t, t.TempDir())
	defer opened.Close()
	if err := opened.Put([]byte("empty"), nil); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"empty": true, "missing": false} {
		if _, found, err := opened.Get([]byte(key)); err != nil || found != want {
			t.Errorf("%s: found %v, error %v", key, found, err)
		}
	}
}

func TestAFileInTheWayIsAnErrorNotACrash(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if opened, err := Open(file); err == nil {
		opened.Close()
		t.Error("it opened")
	}
}
