package boltfile

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"kivi/engines/bridge"
)

// An expiry is a record under the key: the last ms in which it is there, and the hash of the value it was set for.
const recordSize = 16

func record(value []byte, when int64) []byte {
	made := make([]byte, recordSize)
	binary.BigEndian.PutUint64(made, uint64(when))
	binary.BigEndian.PutUint64(made[8:], xxhash.Sum64(value))
	return made
}

// belongs says that a record is of this very value: what another program wrote over it never disappears.
func belongs(record, value []byte) bool {
	return len(record) == recordSize && binary.BigEndian.Uint64(record[8:]) == xxhash.Sum64(value)
}

func whenOf(record []byte) int64 { return int64(binary.BigEndian.Uint64(record)) }

// A clock judges expiries.
type clock struct{ bridge.Clock }

const gone = -1

// judge returns when a value expires: 0 never, gone.
func (c *clock) judge(record, value []byte) int64 {
	if len(record) != recordSize {
		return 0
	}
	over := whenOf(record) < c.Now()
	if !belongs(record, value) {
		return 0
	}
	if over {
		return gone
	}
	return whenOf(record)
}

func (c *clock) left(when int64) int64 {
	if when == 0 {
		return bridge.TTLNone
	}
	return bridge.TTLLeft(when, c.Now())
}
