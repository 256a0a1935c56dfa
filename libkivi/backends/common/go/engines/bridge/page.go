package bridge

import (
	"encoding/binary"
	"unsafe"
)

const pairHead = 16

// Page collects the pairs of one page and hands them over an arena at a time.
type Page struct {
	scan  *Scan
	room  []byte
	used  int
	given uint64
	full  bool // the sink said so: only whether anything follows is still to be found out
}

func NewPage(s *Scan) Page {
	return Page{scan: s, room: unsafe.Slice((*byte)(s.arena), s.room)}
}

// IsFull says that the page takes no more pairs: whoever has one more says so in Scan.More.
func (p *Page) IsFull() bool { return p.full || p.given == p.scan.Limit }

// EndAt ends the page behind a key that is no pair of it; true.
func (p *Page) EndAt(key []byte) bool {
	if p.hand() {
		p.scan.SetLast(key)
		p.scan.More = 1
	}
	return true
}

// Add takes one pair; false: the scan ends here.
func (p *Page) Add(key, value []byte, ttl int64) bool {
	p.scan.expectKey(key)
	need := pairHead + len(key) + len(value)
	if need > len(p.room)-p.used && !p.hand() {
		return false
	}
	if p.full { // with the pairs before this one
		p.scan.More = 1
		return false
	}
	p.given++
	if need > len(p.room) {
		return p.say(Host.Pair(p.scan, key, value, ttl))
	}
	at := p.room[p.used : p.used+need]
	binary.NativeEndian.PutUint32(at, uint32(len(key)))
	binary.NativeEndian.PutUint32(at[4:], uint32(len(value)))
	binary.NativeEndian.PutUint64(at[8:], uint64(ttl))
	copy(at[pairHead:], key)
	copy(at[pairHead+len(key):], value)
	p.used += need
	return true
}

func (p *Page) hand() bool {
	if p.used == 0 {
		return true
	}
	p.scan.used = uint64(p.used)
	p.used = 0
	return p.say(Host.Flush(p.scan))
}

func (p *Page) say(status int32) bool {
	p.full = p.full || status == End
	return status == OK || status == End && p.scan.More == 0
}

// Done leaves the rest to C.
func (p *Page) Done() { p.scan.used = uint64(p.used) }
