package main

/*
#include "bridge.h"

extern int64_t kvi_go_clock_ms(void);
extern int64_t kvi_go_expires(int64_t ttl_ms);
extern void *kvi_go_item_error(int32_t status, void *text);
extern int32_t kvi_go_increment(void *vector, void *item, void *old, uint64_t size, bool there, kivi_slice *bytes);
extern int32_t kvi_go_deliver(void *vector, void *item, void *data, uint64_t size);
extern int32_t kvi_go_flush(void *scan);
extern int32_t kvi_go_pair(void *scan, void *key, uint64_t key_size, void *value, uint64_t size, int64_t ttl_ms);
*/
import "C"

import (
	"bytes"
	"runtime"
	"unsafe"

	"kivi/engines/bridge"
)

func dataOf(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// touch meets a page that cannot be read here, where that is a panic and so an answer; in C it would be a signal.
func touch(b []byte) {
	sum := byte(0)
	for i := 0; i < len(b); i += 4096 {
		sum += b[i]
	}
	if len(b) > 0 {
		sum += b[len(b)-1]
	}
	runtime.KeepAlive(sum) // so that the reading is not left out
}

func init() {
	h := &bridge.Host
	h.Clock = func() int64 { return int64(C.kvi_go_clock_ms()) }
	h.Expires = func(ttl int64) int64 { return int64(C.kvi_go_expires(C.int64_t(ttl))) }
	h.ItemError = func(status int32, text string) unsafe.Pointer {
		ended := append([]byte(text), 0)
		return C.kvi_go_item_error(C.int32_t(status), dataOf(ended))
	}
	h.Increment = func(v *bridge.WriteVector, item *bridge.WriteItem, old []byte) ([]byte, int32) {
		var sum C.kivi_slice
		status := C.kvi_go_increment(unsafe.Pointer(v), unsafe.Pointer(item), dataOf(old), C.uint64_t(len(old)), old != nil, &sum)
		return (*bridge.Slice)(unsafe.Pointer(&sum)).Bytes(), int32(status)
	}
	h.Deliver = func(v *bridge.ReadVector, item *bridge.ReadItem, value []byte) int32 {
		touch(value)
		return int32(C.kvi_go_deliver(unsafe.Pointer(v), unsafe.Pointer(item), dataOf(value), C.uint64_t(len(value))))
	}
	h.Flush = func(s *bridge.Scan) int32 { return int32(C.kvi_go_flush(unsafe.Pointer(s))) }
	h.Pair = func(s *bridge.Scan, key, value []byte, ttl int64) int32 {
		touch(value)
		return int32(C.kvi_go_pair(unsafe.Pointer(s), dataOf(key), C.uint64_t(len(key)), dataOf(value), C.uint64_t(len(value)),
			C.int64_t(ttl)))
	}
}

func text(s *C.char) string {
	if s == nil {
		return ""
	}
	return C.GoString(s)
}

func settingsOf(s *C.kvi_go_settings) *bridge.Settings {
	secret := *(*bridge.Slice)(unsafe.Pointer(&s.secret))
	return &bridge.Settings{
		Path: text(s.path), Mode: uint32(s.mode),
		Sync: s.sync != 0, ReadOnly: s.read_only != 0, Create: s.create != 0, Collect: s.collect != 0, Check: s.check != 0,
		MapSize: int64(s.map_size), PageSize: int64(s.page_size),
		Compression: text(s.compression), Secret: bytes.Clone(secret.Bytes()),
		MemtableSize: int64(s.memtable_size), TableSize: int64(s.table_size),
		ValueThreshold: int64(s.value_threshold), ValueLogSize: int64(s.value_log_size),
		BlockCache: int64(s.block_cache), IndexCache: int64(s.index_cache),
	}
}
