package boltfile

import (
	"bytes"

	bolt "go.etcd.io/bbolt"
)

// A view is a read transaction and where it stands.
type view struct {
	store    *Store
	tx       *bolt.Tx
	data     *bolt.Cursor // nil: there is no bucket yet
	expiries *bolt.Cursor // nil: no key has one
}

func (s *Store) beginView() (v view, err error) {
	tx, err := s.file.db.Begin(false)
	if err != nil {
		return v, fail(s.file.path, "cannot read", err)
	}
	v.store, v.tx = s, tx
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

func (s *Store) isOwn(v *view) bool { return v.store == s }

func end(v *view) { v.tx.Rollback() }

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
