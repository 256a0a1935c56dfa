package badgerdir

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
)

// A pass is one write transaction.
type pass struct {
	clock
	txn     *badger.Txn
	changed bool
}

// put keeps the slices, which are the caller's, until the commit: that ends before the verb does.
func (p *pass) put(key, value []byte, when int64) error {
	e := badger.NewEntry(key, value)
	setWhen(e, when)
	p.changed = true
	return p.txn.SetEntry(e)
}

func (p *pass) remove(key []byte) error {
	p.changed = true
	return p.txn.Delete(key)
}

// find returns the live value of a key, nil where there is none, and when it expires.
func (p *pass) find(key []byte) (value []byte, when int64, err error) {
	item, when, err := p.clock.find(p.txn, key)
	if err != nil || item == nil {
		return nil, 0, err
	}
	value, err = valueOf(item)
	return value, when, err
}

func (p *pass) apply(v *bridge.WriteVector, item *bridge.WriteItem, value []byte, when int64) error {
	key := item.Key.Bytes()
	after := item.ExpiryAfter(value != nil, when)
	item.Status = bridge.OK
	switch item.Kind {
	case bridge.Set:
		return p.put(key, item.Value.Bytes(), after)
	case bridge.Delete:
		if item.IsBlind() || value != nil {
			return p.remove(key)
		}
	case bridge.Touch:
		if item.TTL != bridge.TTLKeep {
			return p.put(key, value, after)
		}
	case bridge.Increment:
		if sum := item.Sum(v, value); sum != nil {
			return p.put(key, sum, after)
		}
	}
	return nil
}

func (p *pass) do(v *bridge.WriteVector, item *bridge.WriteItem, judgeOnly bool) error {
	var value []byte
	var when int64
	if !item.IsBlind() {
		var err error
		if value, when, err = p.find(item.Key.Bytes()); err != nil {
			return err
		}
		item.Judge(value)
	}
	if item.Status != bridge.Pending || judgeOnly {
		return nil
	}
	return p.apply(v, item, value, when)
}

func (p *pass) take(v *bridge.ReadVector, item *bridge.ReadItem) error {
	key := item.Key.Bytes()
	value, when, err := p.find(key)
	if err != nil {
		return err
	}
	if value == nil {
		item.Status = bridge.NotFound
		return nil
	}
	ttl := item.TTL
	if item.Want&(bridge.WantValue|bridge.WantVersion) != 0 {
		if status := bridge.Host.Deliver(v, item, value); status != bridge.OK {
			item.Status = status // a delivery that is refused leaves the key as it is
			return nil
		}
	}
	switch {
	case item.Then == bridge.ThenDelete:
		err = p.remove(key)
	case item.Then == bridge.ThenTouch && ttl != bridge.TTLKeep:
		err = p.put(key, value, bridge.Host.Expires(ttl))
	}
	if err != nil {
		return err
	}
	// What is left after a touch is what was asked for, else what there was before.
	if item.Want&bridge.WantExpiry != 0 && item.Then != bridge.ThenTouch {
		item.TTL = p.left(when)
	}
	item.Status = bridge.OK
	return nil
}

// change is one write transaction: what `work` does, and the commit.
func (s *Store) change(size int64, work func(p *pass) error, undo func(uncertain bool)) error {
	if err := s.dir.hasRoom(size); err != nil {
		return err
	}
	s.dir.noteBusy()
	s.dir.reads.BeginWrite(discard)
	defer s.dir.reads.EndWrite()
	p := &pass{txn: s.dir.db.NewTransaction(true)}
	defer p.txn.Discard()
	if err := work(p); err != nil {
		undo(false)
		return fail(s.dir.path, "cannot write", err)
	}
	if !p.changed {
		return nil
	}
	if err := commit(p.txn); err != nil {
		return s.committed(err, undo)
	}
	return nil
}

// How long a commit is looked for awake. Badger writes in a goroutine of its own, which is done in a few microseconds where
// nothing is synced; to be woken costs a thread of C's much more.
const awake = 30 * time.Microsecond

func commit(txn *badger.Txn) error {
	var done atomic.Bool
	result := make(chan error, 1)
	txn.CommitWith(func(err error) {
		result <- err
		done.Store(true)
	})
	if processors > 1 {
		for began := time.Now(); !done.Load() && time.Since(began) < awake; {
		}
	}
	return <-result
}

var processors = runtime.GOMAXPROCS(0)

// A commit fails before anything is written, but for what the system says of the log.
func (s *Store) committed(err error, undo func(uncertain bool)) error {
	if errno := bridge.Errno(err); errno != 0 {
		undo(true)
		return bridge.Fail(bridge.Uncertain, bridge.RetryIfIdempotent, int64(errno), "%s: a commit failed on its way to the disk: %s",
			s.dir.path, errno.Error())
	}
	undo(false)
	return fail(s.dir.path, "cannot write", err)
}

// An entry has a header, and its key with a version.
const overhead = 64

func (s *Store) Write(v *bridge.WriteVector, _ *bridge.Change) error {
	size := int64(0)
	for i := 0; i < v.Len(); i++ {
		item := v.At(i)
		size += int64(len(item.Key.Bytes())+len(item.Value.Bytes())) + overhead
	}
	return s.change(size, func(p *pass) error { return v.Run(p.do) }, v.Undo)
}

func (s *Store) Take(v *bridge.ReadVector, _ *bridge.Change) error {
	size := int64(0)
	for i := 0; i < v.Len(); i++ {
		size += int64(len(v.At(i).Key.Bytes())) + overhead
	}
	return s.change(size, func(p *pass) error { return v.Run(p.take) }, v.Undo)
}
