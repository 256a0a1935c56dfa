package badgerdir

import (
	"bytes"

	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
)

// longest is how many keys are passed over before the caller is asked whether to go on.
const longest = 16384

func (s *Store) walk(scan *bridge.Scan, values bool, each func(c *clock, item *badger.Item, when int64, over bool) (more bool, err error)) error {
	taken := s.takeTxn()
	defer s.dir.reads.Give(taken, discard)
	o := badger.DefaultIteratorOptions
	prefix, behind := scan.Prefix.Bytes(), scan.Behind.Bytes()
	o.Prefix, o.PrefetchValues = bytes.Clone(prefix), values
	if values && scan.Limit < uint64(o.PrefetchSize) {
		o.PrefetchSize = int(scan.Limit)
	}
	it := taken.T.NewIterator(o)
	defer it.Close()
	from := prefix
	if bytes.Compare(behind, from) > 0 {
		from = behind
	}
	var c clock
	for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		if len(behind) > 0 && bytes.Equal(item.Key(), behind) {
			continue
		}
		when := whenOf(item)
		more, err := each(&c, item, when, c.isOver(when))
		if err != nil {
			return fail(s.dir.path, "cannot scan", err)
		}
		if !more {
			break
		}
	}
	return nil
}

func (s *Store) Scan(scan *bridge.Scan) error {
	page, passed := bridge.NewPage(scan), 0
	values := scan.Flags&bridge.ScanKeys == 0
	err := s.walk(scan, values, func(c *clock, item *badger.Item, when int64, over bool) (bool, error) {
		if passed++; over {
			return passed < longest || !page.EndAt(item.Key()), nil
		}
		if page.IsFull() {
			scan.More = 1
			return false, nil
		}
		value, err := empty, error(nil)
		if values {
			if value, err = valueOf(item); err != nil {
				return false, err
			}
		}
		ttl := int64(bridge.TTLNone)
		if scan.Flags&bridge.ScanWantExpiry != 0 {
			ttl = c.left(when)
		}
		return page.Add(item.Key(), value, ttl), nil
	})
	page.Done()
	return err
}

func (s *Store) Count(scan *bridge.Scan) error {
	passed := 0
	return s.walk(scan, false, func(_ *clock, item *badger.Item, _ int64, over bool) (bool, error) {
		if !over {
			scan.Names++
		}
		if passed++; passed < longest {
			return true, nil
		}
		scan.SetLast(item.Key())
		scan.More = 1
		return false, nil
	})
}
