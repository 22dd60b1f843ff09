//go:build tools

// Package real names the Go packages whose test binaries are built, so that `go mod tidy` keeps
// what their tests need. The programs stand in go.mod, as `tool`.
package real

import (
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/google/go-cmp/cmp/cmpopts"
	_ "github.com/google/uuid"
	_ "github.com/mattn/go-sqlite3"
	_ "golang.org/x/text/cases"
	_ "golang.org/x/text/collate"
	_ "golang.org/x/text/encoding/charmap"
	_ "golang.org/x/text/encoding/unicode"
	_ "golang.org/x/text/language"
	_ "golang.org/x/text/message"
	_ "golang.org/x/text/search"
	_ "golang.org/x/text/transform"
	_ "golang.org/x/text/unicode/norm"
	_ "golang.org/x/text/width"
	_ "golang.org/x/tools/container/intsets"
	_ "golang.org/x/tools/cover"
	_ "golang.org/x/tools/go/ast/astutil"
	_ "golang.org/x/tools/go/ast/inspector"
	_ "golang.org/x/tools/go/callgraph/cha"
	_ "golang.org/x/tools/go/callgraph/static"
	_ "golang.org/x/tools/go/cfg"
	_ "golang.org/x/tools/go/ssa/ssautil"
	_ "golang.org/x/tools/go/types/objectpath"
	_ "golang.org/x/tools/go/types/typeutil"
	_ "golang.org/x/tools/txtar"
	_ "google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/metadata"
	_ "google.golang.org/grpc/status"
	_ "google.golang.org/protobuf/encoding/protowire"
	_ "google.golang.org/protobuf/reflect/protoreflect"
)
