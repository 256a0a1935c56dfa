// Package bridge is what an engine sees of libkivi: vectors as they lie in C's memory, and what it may call.
package bridge

import "unsafe"

// Statuses of kivi/base.h.
const (
	OK          = 0
	NotFound    = 1
	Condition   = 2
	End         = 3
	Pending     = 4
	Invalid     = 16
	Unsupported = 17
	TooLarge    = 18
	WrongType   = 19
	Corrupt     = 21
	Aborted     = 23
	Uncertain   = 36
	Busy        = 37
	Denied      = 48
	NoMemory    = 51
	IO          = 52
	Internal    = 53
)

// kivi_retryable.
const (
	RetryNo           = 0
	RetryYes          = 1
	RetryIfIdempotent = 2
	RetryLater        = 3
)

// What items want, and what is done to them.
const (
	WantValue   = 1 << 0
	WantExpiry  = 1 << 1
	WantVersion = 1 << 2

	ThenDelete = 1
	ThenTouch  = 2

	Set       = 1
	Delete    = 2
	Touch     = 3
	Check     = 4
	Increment = 5

	IfAlways  = 0
	IfAbsent  = 1
	IfPresent = 2
	IfEqual   = 3
	IfVersion = 4

	WantExisted = 1 << 0
	Atomic      = 1 << 0

	SentNothing = 0
	SentWholly  = 2

	ScanKeys       = 1 << 0
	ScanWantExpiry = 1 << 1

	TTLNone = 0
	TTLKeep = -1
)

// Slice is a kivi_slice: bytes of C's, good as long as the call.
type Slice struct {
	data unsafe.Pointer
	size uintptr
}

var empty = []byte{}

// Bytes is never nil.
func (s Slice) Bytes() []byte {
	if s.size == 0 {
		return empty
	}
	return unsafe.Slice((*byte)(s.data), s.size)
}

// ReadItem is a kivi_read_item.
type ReadItem struct {
	Key    Slice
	Want   uint32
	Then   int32
	TTL    int64
	Status int32
	Sent   int32
	Error  unsafe.Pointer
	tag    unsafe.Pointer
}

// ReadVector is a kivi_read_vector.
type ReadVector struct {
	structSize, itemSize uint32
	items                unsafe.Pointer
	count                uintptr
	deliver, owner       unsafe.Pointer
}

func (v *ReadVector) Len() int { return int(v.count) }
func (v *ReadVector) At(i int) *ReadItem {
	return (*ReadItem)(unsafe.Add(v.items, i*int(v.itemSize)))
}

// WriteItem is a kivi_write_item.
type WriteItem struct {
	Key       Slice
	Kind      int32
	Condition int32
	Value     Slice
	Expected  Slice
	TTL       int64
	by        int64
	Flags     uint32
	Sent      int32
	Status    int32
	Existed   int32
	integer   int64
	Error     unsafe.Pointer
	tag       unsafe.Pointer
}

// WriteVector is a kivi_write_vector.
type WriteVector struct {
	structSize, itemSize uint32
	items                unsafe.Pointer
	count                uintptr
	Flags, reserved      uint32
	increment, owner     unsafe.Pointer
}

func (v *WriteVector) Len() int { return int(v.count) }
func (v *WriteVector) At(i int) *WriteItem {
	return (*WriteItem)(unsafe.Add(v.items, i*int(v.itemSize)))
}

// Found is a kvi_go_found.
type Found struct {
	Offset, Size     uint64
	TTL              int64
	Status, reserved int32
}

// Read is a kvi_go_read.
type Read struct {
	Vector *ReadVector
	found  unsafe.Pointer
	arena  unsafe.Pointer
	room   uint64
}

func (r *Read) Found(i int) *Found {
	return (*Found)(unsafe.Add(r.found, i*int(unsafe.Sizeof(Found{}))))
}
func (r *Read) Arena() []byte { return unsafe.Slice((*byte)(r.arena), r.room) }

// Change is a kvi_go_change.
type Change struct {
	Swept           uint64
	Sweep, reserved uint32
}

// Scan is a kvi_go_scan.
type Scan struct {
	Prefix, Behind   Slice
	Limit            uint64
	Flags            uint32
	More             int32
	arena            unsafe.Pointer
	room, used       uint64
	Names            uint64
	last             unsafe.Pointer
	lastSize         uint64
	lastRoom         uint64
	sink             unsafe.Pointer
	Status, reserved int32
}

// SetLast says behind which key the next page begins.
func (s *Scan) SetLast(key []byte) {
	s.expectKey(key)
	s.lastSize = uint64(copy(unsafe.Slice((*byte)(s.last), len(key)), key))
}

// A key that no store can have is of a damaged file.
func (s *Scan) expectKey(key []byte) {
	if uint64(len(key)) > s.lastRoom {
		panic("a key of more bytes than keys have")
	}
}

// Settings are what a store was opened with.
type Settings struct {
	Path                                   string
	Mode                                   uint32
	Sync, ReadOnly, Create, Collect, Check bool
	MapSize, PageSize                      int64
	Compression                            string
	Secret                                 []byte
	MemtableSize, TableSize                int64
	ValueThreshold, ValueLogSize           int64
	BlockCache, IndexCache                 int64
}
