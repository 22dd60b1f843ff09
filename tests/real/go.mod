module example.com/real

go 1.24.0

tool (
	golang.org/x/text/cmd/gotext
	golang.org/x/tools/cmd/bundle
	golang.org/x/tools/cmd/callgraph
	golang.org/x/tools/cmd/deadcode
	golang.org/x/tools/cmd/digraph
	golang.org/x/tools/cmd/eg
	golang.org/x/tools/cmd/fiximports
	golang.org/x/tools/cmd/goimports
	golang.org/x/tools/cmd/gomvpkg
	golang.org/x/tools/cmd/gonew
	golang.org/x/tools/cmd/goyacc
	golang.org/x/tools/cmd/html2article
	golang.org/x/tools/cmd/present2md
	golang.org/x/tools/cmd/ssadump
	golang.org/x/tools/cmd/stress
	golang.org/x/tools/cmd/stringer
	google.golang.org/grpc/interop/client
	google.golang.org/grpc/interop/server
	google.golang.org/protobuf/cmd/protoc-gen-go
)

require (
	github.com/google/go-cmp v0.7.0
	github.com/google/uuid v1.6.0
	github.com/mattn/go-sqlite3 v1.14.32
	github.com/yanyiwu/gojieba v1.4.6
	golang.org/x/text v0.33.0
	golang.org/x/tools v0.40.0
	google.golang.org/grpc v1.78.0
	google.golang.org/protobuf v1.36.11
)

require (
	cel.dev/expr v0.24.0 // indirect
	cloud.google.com/go/compute/metadata v0.9.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cncf/xds/go v0.0.0-20251022180443-0feb69152e9f // indirect
	github.com/envoyproxy/go-control-plane/envoy v1.35.0 // indirect
	github.com/envoyproxy/protoc-gen-validate v1.2.1 // indirect
	github.com/go-jose/go-jose/v4 v4.1.3 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10 // indirect
	github.com/spiffe/go-spiffe/v2 v2.6.0 // indirect
	github.com/yuin/goldmark v1.4.13 // indirect
	golang.org/x/mod v0.31.0 // indirect
	golang.org/x/net v0.48.0 // indirect
	golang.org/x/oauth2 v0.32.0 // indirect
	golang.org/x/sync v0.19.0 // indirect
	golang.org/x/sys v0.39.0 // indirect
	golang.org/x/telemetry v0.0.0-20251203150158-8fff8a5912fc // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20251029180050-ab9386a59fda // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20251029180050-ab9386a59fda // indirect
)
