module kivi/engines

go 1.23.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	go.etcd.io/bbolt v1.4.3
)

require golang.org/x/sys v0.35.0 // indirect
