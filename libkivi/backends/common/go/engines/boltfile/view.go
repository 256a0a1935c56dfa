package boltfile

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// A view is a read transaction and where it stands. Idle ones are kept until the next write: to begin one costs as much as
// a get. Between writes they keep no page from being used again.
const keptViews = 16

type view struct {
	epoch    uint64 // of the file when it began
	store    *Store
	tx       *bolt.Tx
	data     *bolt.Cursor // nil: there is no bucket yet
	expiries *bolt.Cursor // nil: no key has one
}

func (f *File) beginView(s *Store) (*view, error) {
	epoch := f.epoch.Load()
	tx, err := f.db.Begin(false)
	if err != nil {
		return nil, fail(f.path, "cannot read", err)
	}
	v := &view{epoch: epoch, store: s, tx: tx}
	if data := tx.Bucket(s.name); data != nil {
		v.data = data.Cursor()
	}
	if mark := tx.Bucket([]byte(Mark)); mark != nil {
		if expiries := mark.Bucket(s.expiries); expiries != nil {
			cursor := expiries.Cursor()
			if first, _ := cursor.First(); first != nil {
				v.expiries = cursor
			}
		}
	}
	return v, nil
}

func (f *File) takeView(s *Store) (*view, error) {
	for i := range f.views {
		at := &f.views[i]
		if v := at.Load(); v != nil && v.store == s && at.CompareAndSwap(v, nil) {
			return v, nil
		}
	}
	return f.beginView(s)
}

// giveView keeps a view unless a write has begun since: that drops those that it finds, and whoever comes later his own.
func (f *File) giveView(v *view) {
	for i := range f.views {
		at := &f.views[i]
		if f.epoch.Load() != v.epoch || v.epoch%2 != 0 {
			break
		}
		if at.Load() != nil || !at.CompareAndSwap(nil, v) {
			continue
		}
		if f.epoch.Load() != v.epoch && at.CompareAndSwap(v, nil) {
			break
		}
		return
	}
	v.tx.Rollback()
}

func (f *File) dropViews() {
	for i := range f.views {
		if v := f.views[i].Swap(nil); v != nil {
			v.tx.Rollback()
		}
	}
}

func (f *File) dropViewsOf(s *Store) {
	for i := range f.views {
		if v := f.views[i].Load(); v != nil && v.store == s && f.views[i].CompareAndSwap(v, nil) {
			v.tx.Rollback()
		}
	}
}

// at says what lies under a key; a bucket is found without a value.
func at(cursor *bolt.Cursor, key []byte) (value []byte, found bool) {
	if cursor == nil {
		return nil, false
	}
	k, value := cursor.Seek(key)
	if k == nil || !bytes.Equal(k, key) {
		return nil, false
	}
	return value, true
}
