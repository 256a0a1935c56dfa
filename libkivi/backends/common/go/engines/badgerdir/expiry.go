package badgerdir

import (
	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
)

// Badger counts whole seconds. An entry of ours is Badger's until the second after its end, and its user byte says which
// part of the second before it lives: 1 + ms/4. With the byte 0 it is another program's, and goes when Badger says.
const (
	step    = 4 // ms
	seconds = 1000
)

// whenOf is the last ms in which an item is there; 0: never expires.
func whenOf(item *badger.Item) int64 {
	expires := int64(item.ExpiresAt())
	if expires == 0 {
		return 0
	}
	part := int64(item.UserMeta())
	if part == 0 || part > seconds/step {
		return expires*seconds - 1
	}
	return (expires-1)*seconds + (part-1)*step
}

// setWhen rounds up: a key never goes early.
func setWhen(e *badger.Entry, when int64) {
	if when == 0 {
		return
	}
	when = (when + step - 1) / step * step
	e.ExpiresAt = uint64(when/seconds) + 1
	e.UserMeta = byte(1 + when%seconds/step)
}

// A clock judges expiries.
type clock struct{ bridge.Clock }

func (c *clock) isOver(when int64) bool { return when != 0 && when < c.Now() }

// left is never more than what was asked for: an end was rounded up by less than a step.
func (c *clock) left(when int64) int64 {
	if when == 0 {
		return bridge.TTLNone
	}
	return bridge.TTLLeft(when-(step-1), c.Now())
}
