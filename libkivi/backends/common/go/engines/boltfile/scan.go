package boltfile

import (
	"bytes"

	"kivi/engines/bridge"
)

// longest is how many keys a page passes over before it ends without a pair: the caller is asked whether to go on with
// the transaction ended, as he may write, and that write may wait for it.
const longest = 16384

type walk struct {
	clock
	view      *view
	prefix    []byte
	key       []byte // of the expiry that it stands on, at or behind the pair
	record    []byte
	begun     bool
	exhausted bool
}

func (w *walk) first(behind []byte) (k, v []byte) {
	from := w.prefix
	if bytes.Compare(behind, from) > 0 {
		from = behind
	}
	if len(from) == 0 {
		return w.view.data.First()
	}
	k, v = w.view.data.Seek(from)
	if len(behind) > 0 && bytes.Equal(k, behind) {
		return w.view.data.Next()
	}
	return k, v
}

// when the pair expires: 0 never, gone.
func (w *walk) when(k, v []byte) int64 {
	if w.view.expiries == nil || w.exhausted {
		return 0
	}
	if !w.begun || bytes.Compare(w.key, k) < 0 {
		w.follow(k)
	}
	if w.exhausted || !bytes.Equal(w.key, k) {
		return 0
	}
	return w.judge(w.record, v)
}

// follow moves to the pair's expiry or beyond. Where most keys have one, the next is it.
func (w *walk) follow(k []byte) {
	if w.begun {
		w.key, w.record = w.view.expiries.Next()
	}
	if !w.begun || w.key != nil && bytes.Compare(w.key, k) < 0 {
		w.key, w.record = w.view.expiries.Seek(k)
	}
	w.begun = true
	w.exhausted = w.key == nil
}

func (s *Store) walk(scan *bridge.Scan, each func(w *walk, k, v []byte, when int64) (more bool)) error {
	taken, err := s.file.views.Take(s.isOwn, s.beginView)
	if err != nil {
		return err
	}
	defer s.file.views.Give(taken, end)
	v := &taken.T
	if v.data == nil {
		return nil
	}
	w := &walk{view: v, prefix: scan.Prefix.Bytes()}
	for k, value := w.first(scan.Behind.Bytes()); k != nil && bytes.HasPrefix(k, w.prefix); k, value = v.data.Next() {
		when := int64(gone) // a bucket is no pair
		if value != nil {
			when = w.when(k, value)
		}
		if !each(w, k, value, when) {
			break
		}
	}
	return nil
}

func (s *Store) Scan(scan *bridge.Scan) error {
	page, passed := bridge.NewPage(scan), 0
	err := s.walk(scan, func(w *walk, k, v []byte, when int64) bool {
		if passed++; when == gone {
			return passed < longest || !page.EndAt(k)
		}
		if page.IsFull() {
			scan.More = 1
			return false
		}
		if scan.Flags&bridge.ScanKeys != 0 {
			v = nil
		}
		ttl := int64(bridge.TTLNone)
		if scan.Flags&bridge.ScanWantExpiry != 0 {
			ttl = w.left(when)
		}
		return page.Add(k, v, ttl)
	})
	page.Done()
	return err
}

func (s *Store) Count(scan *bridge.Scan) error {
	passed := 0
	return s.walk(scan, func(w *walk, k, v []byte, when int64) bool {
		if when != gone {
			scan.Names++
		}
		if passed++; passed < longest {
			return true
		}
		scan.SetLast(k)
		scan.More = 1
		return false
	})
}
