package boltfile

import (
	bolt "go.etcd.io/bbolt"

	"kivi/engines/bridge"
)

// Mark is the bucket beside the data that makes a file ours: in it lie, for each bucket of data, one of expiries, and a
// note where the data was another program's before.
const Mark = "kivi"

const (
	expiriesOf = "e:"
	foreignOf  = "f:"
)

// Store is the pairs of one bucket.
type Store struct {
	file     *File
	name     []byte
	expiries []byte
	note     []byte // its key, where the data is another program's
	foreign  bool
	swept    []byte // where the sweep goes on; only writes look at it
}

func (f *File) Attach(name string) (bridge.Store, bool, error) {
	s := &Store{file: f, name: []byte(name), expiries: []byte(expiriesOf + name), note: []byte(foreignOf + name)}
	err := f.db.View(func(tx *bolt.Tx) error {
		if mark := tx.Bucket([]byte(Mark)); mark != nil && mark.Bucket(s.expiries) != nil {
			s.foreign = mark.Get(s.note) != nil
			return nil
		}
		if data := tx.Bucket(s.name); data != nil {
			first, _ := data.Cursor().First()
			s.foreign = first != nil
		}
		return nil
	})
	if err != nil {
		return nil, false, fail(f.path, "cannot open", err)
	}
	return s, s.foreign, nil
}

func (s *Store) File() bridge.File { return s.file }

func (s *Store) Detach() { s.file.views.Drop(s.isOwn, end) }
