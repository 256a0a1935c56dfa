package badgerdir

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
	"kivi/engines/kept"
)

// Store is the pairs of a directory, which has but one.
type Store struct{ dir *Dir }

func (s *Store) File() bridge.File { return s.dir }
func (s *Store) Detach()           {}

// find returns the live item of a key, nil where there is none.
func (c *clock) find(txn *badger.Txn, key []byte) (item *badger.Item, when int64, err error) {
	item, err = txn.Get(key)
	if err != nil {
		if errors.Is(err, badger.ErrKeyNotFound) {
			err = nil
		}
		return nil, 0, err
	}
	if when = whenOf(item); c.isOver(when) {
		return nil, 0, nil
	}
	return item, when, nil
}

var empty = []byte{}

// valueOf is good as long as the transaction; never nil.
func valueOf(item *badger.Item) (value []byte, err error) {
	err = item.Value(func(v []byte) error {
		value = v
		return nil
	})
	if value == nil {
		value = empty
	}
	return
}

func anyTxn(**badger.Txn) bool { return true }

func discard(txn **badger.Txn) { (*txn).Discard() }

func (s *Store) takeTxn() *kept.Read[*badger.Txn] {
	taken, _ := s.dir.reads.Take(anyTxn, func() (*badger.Txn, error) { return s.dir.db.NewTransaction(false), nil })
	return taken
}

func (s *Store) Read(r *bridge.Read) error {
	taken := s.takeTxn()
	defer s.dir.reads.Give(taken, discard)
	txn := taken.T
	var c clock
	room := r.Arena()
	for i := 0; i < r.Vector.Len(); i++ {
		var err error
		if room, err = readOne(txn, r, i, room, &c); err != nil {
			return fail(s.dir.path, "cannot read", err)
		}
	}
	return nil
}

// readOne returns what is left of the arena.
func readOne(txn *badger.Txn, r *bridge.Read, i int, room []byte, c *clock) ([]byte, error) {
	item, found := r.Vector.At(i), r.Found(i)
	kept, when, err := c.find(txn, item.Key.Bytes())
	if err != nil {
		return room, err
	}
	found.Status = bridge.NotFound
	if kept == nil {
		return room, nil
	}
	found.Status = bridge.OK
	if item.Want&bridge.WantExpiry != 0 {
		found.TTL = c.left(when)
	}
	if item.Want&(bridge.WantValue|bridge.WantVersion) == 0 {
		return room, nil
	}
	used := 0
	err = kept.Value(func(value []byte) error {
		if len(value) > len(room) { // handed over where it lies
			item.TTL = found.TTL
			item.Status = bridge.Host.Deliver(r.Vector, item, value)
			found.Status = bridge.Pending
			return nil
		}
		found.Offset, found.Size = uint64(len(r.Arena())-len(room)), uint64(len(value))
		used = copy(room, value)
		return nil
	})
	return room[used:], err
}

func (d *Dir) noteBusy() { d.busy.Store(time.Now().UnixNano()) }
