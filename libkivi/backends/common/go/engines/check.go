package main

/*
#include "bridge.h"
*/
import "C"

import (
	"unsafe"

	"kivi/engines/bridge"
)

// Where a struct of C's and its picture in package bridge differ in size, this does not compile.
const (
	_ = uint(unsafe.Sizeof(bridge.Slice{})) - C.sizeof_kivi_slice
	_ = C.sizeof_kivi_slice - uint(unsafe.Sizeof(bridge.Slice{}))
	_ = uint(unsafe.Sizeof(bridge.ReadItem{})) - C.sizeof_kivi_read_item
	_ = C.sizeof_kivi_read_item - uint(unsafe.Sizeof(bridge.ReadItem{}))
	_ = uint(unsafe.Sizeof(bridge.ReadVector{})) - C.sizeof_kivi_read_vector
	_ = C.sizeof_kivi_read_vector - uint(unsafe.Sizeof(bridge.ReadVector{}))
	_ = uint(unsafe.Sizeof(bridge.WriteItem{})) - C.sizeof_kivi_write_item
	_ = C.sizeof_kivi_write_item - uint(unsafe.Sizeof(bridge.WriteItem{}))
	_ = uint(unsafe.Sizeof(bridge.WriteVector{})) - C.sizeof_kivi_write_vector
	_ = C.sizeof_kivi_write_vector - uint(unsafe.Sizeof(bridge.WriteVector{}))
	_ = uint(unsafe.Sizeof(bridge.Found{})) - C.sizeof_kvi_go_found
	_ = C.sizeof_kvi_go_found - uint(unsafe.Sizeof(bridge.Found{}))
	_ = uint(unsafe.Sizeof(bridge.Read{})) - C.sizeof_kvi_go_read
	_ = C.sizeof_kvi_go_read - uint(unsafe.Sizeof(bridge.Read{}))
	_ = uint(unsafe.Sizeof(bridge.Change{})) - C.sizeof_kvi_go_change
	_ = C.sizeof_kvi_go_change - uint(unsafe.Sizeof(bridge.Change{}))
	_ = uint(unsafe.Sizeof(bridge.Scan{})) - C.sizeof_kvi_go_scan
	_ = C.sizeof_kvi_go_scan - uint(unsafe.Sizeof(bridge.Scan{}))
)
