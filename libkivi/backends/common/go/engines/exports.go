// libkivi-go.so: the engines that are written in Go, as plugins in C call them.
package main

/*
#include "bridge.h"
*/
import "C"

import (
	"runtime/debug"
	"strings"
	"sync/atomic"
	"unsafe"

	"kivi/engines/badgerdir"
	"kivi/engines/boltfile"
	"kivi/engines/bridge"
	"kivi/engines/stack"
)

func main() {}

// A handle is a place in a table: C keeps no pointer of Go's.
type table[T any] [4096]atomic.Pointer[T]

// put returns 0 where there is no place.
func (t *table[T]) put(v *T) C.uint64_t {
	for i := 1; i < len(t); i++ {
		if t[i].CompareAndSwap(nil, v) {
			return C.uint64_t(i)
		}
	}
	return 0
}

// An opened file or directory. Broken: its engine has panicked, and is not called again.
type opened struct {
	bridge.File
	broken atomic.Bool
}

type attached struct {
	bridge.Store
	in *opened
}

var (
	files  table[opened]
	stores table[attached]
)

func say(f *C.kvi_go_failure, err error) C.int32_t {
	if err == nil {
		return bridge.OK
	}
	failure, ok := err.(*bridge.Failure)
	if !ok {
		failure = bridge.Fail(bridge.Internal, bridge.RetryNo, 0, "the engine failed without a reason")
	}
	f.status, f.retryable, f.native = C.int32_t(failure.Status), C.int32_t(failure.Retryable), C.int64_t(failure.Native)
	room := unsafe.Slice((*byte)(unsafe.Pointer(&f.text[0])), len(f.text))
	room[copy(room[:len(room)-1], strings.ToValidUTF8(failure.Text, "?"))] = 0
	return f.status
}

func tooMany(what string) error {
	return bridge.Fail(bridge.Busy, bridge.RetryLater, 0, "this process has too many %s open", what)
}

func open(kind C.int32_t, s *bridge.Settings) (bridge.File, error) {
	switch kind {
	case C.KVI_GO_BOLT:
		return boltfile.Open(s)
	case C.KVI_GO_BADGER:
		return badgerdir.Open(s)
	}
	return nil, bridge.Fail(bridge.Unsupported, bridge.RetryNo, 0, "the Go library has no such engine")
}

// kvi_go_awake returns once the runtime has started.
//
//export kvi_go_awake
func kvi_go_awake() {}

// storeOf is the first that a verb does. A page of a map that cannot be read, of a file that was cut, say, is a panic
// from then on: that is a setting of each thread.
func storeOf(id C.uint64_t) (*attached, error) {
	debug.SetPanicOnFault(true)
	stack.Grow()
	s := stores[id].Load()
	if s.in.broken.Load() {
		return s, damaged(s.in.Path())
	}
	return s, nil
}

//export kvi_go_open
func kvi_go_open(kind C.int32_t, s *C.kvi_go_settings, out *C.kvi_go_opened, f *C.kvi_go_failure) (status C.int32_t) {
	debug.SetPanicOnFault(true)
	settings := settingsOf(s)
	defer caught(nil, settings.Path, f, &status)
	file, err := open(kind, settings)
	if err != nil {
		return say(f, err)
	}
	id := files.put(&opened{File: file})
	if id == 0 {
		file.Close()
		return say(f, tooMany("files"))
	}
	about := file.Opened()
	out.engine, out.fd = id, C.int32_t(about.FD)
	out.max_items, out.max_bytes = C.uint64_t(about.MaxItems), C.uint64_t(about.MaxBytes)
	return bridge.OK
}

//export kvi_go_close
func kvi_go_close(id C.uint64_t) {
	var f C.kvi_go_failure
	var status C.int32_t
	debug.SetPanicOnFault(true)
	file := files[id].Swap(nil)
	defer caught(file, "", &f, &status)
	if !file.broken.Load() {
		file.Close()
	}
}

//export kvi_go_attach
func kvi_go_attach(id C.uint64_t, name *C.char, store *C.uint64_t, foreign *C.int32_t, f *C.kvi_go_failure) (status C.int32_t) {
	debug.SetPanicOnFault(true)
	file := files[id].Load()
	defer caught(file, "", f, &status)
	if file.broken.Load() {
		return say(f, damaged(file.Path()))
	}
	s, strange, err := file.Attach(C.GoString(name))
	if err != nil {
		return say(f, err)
	}
	if strange {
		*foreign = 1
	}
	if *store = stores.put(&attached{s, file}); *store == 0 {
		return say(f, tooMany("stores"))
	}
	return bridge.OK
}

//export kvi_go_detach
func kvi_go_detach(id C.uint64_t) {
	var f C.kvi_go_failure
	var status C.int32_t
	debug.SetPanicOnFault(true)
	s := stores[id].Swap(nil)
	defer caught(s.in, "", &f, &status)
	if !s.in.broken.Load() {
		s.Detach()
	}
}

//export kvi_go_read_vector
func kvi_go_read_vector(id C.uint64_t, r *C.kvi_go_read, f *C.kvi_go_failure) (status C.int32_t) {
	s, err := storeOf(id)
	defer caught(s.in, "", f, &status)
	if err != nil {
		return say(f, err)
	}
	return say(f, s.Read((*bridge.Read)(unsafe.Pointer(r))))
}

//export kvi_go_take
func kvi_go_take(id C.uint64_t, v *C.kivi_read_vector, c *C.kvi_go_change, f *C.kvi_go_failure) (status C.int32_t) {
	s, err := storeOf(id)
	vector := (*bridge.ReadVector)(unsafe.Pointer(v))
	defer caughtWriting(s.in, f, &status, vector.Undo)
	if err != nil {
		return say(f, err)
	}
	return say(f, s.Take(vector, (*bridge.Change)(unsafe.Pointer(c))))
}

//export kvi_go_write
func kvi_go_write(id C.uint64_t, v *C.kivi_write_vector, c *C.kvi_go_change, f *C.kvi_go_failure) (status C.int32_t) {
	s, err := storeOf(id)
	vector := (*bridge.WriteVector)(unsafe.Pointer(v))
	defer caughtWriting(s.in, f, &status, vector.Undo)
	if err != nil {
		return say(f, err)
	}
	return say(f, s.Write(vector, (*bridge.Change)(unsafe.Pointer(c))))
}

//export kvi_go_scan_page
func kvi_go_scan_page(id C.uint64_t, scan *C.kvi_go_scan, f *C.kvi_go_failure) (status C.int32_t) {
	s, err := storeOf(id)
	defer caught(s.in, "", f, &status)
	if err != nil {
		return say(f, err)
	}
	return say(f, s.Scan((*bridge.Scan)(unsafe.Pointer(scan))))
}

//export kvi_go_count
func kvi_go_count(id C.uint64_t, scan *C.kvi_go_scan, f *C.kvi_go_failure) (status C.int32_t) {
	s, err := storeOf(id)
	defer caught(s.in, "", f, &status)
	if err != nil {
		return say(f, err)
	}
	return say(f, s.Count((*bridge.Scan)(unsafe.Pointer(scan))))
}
