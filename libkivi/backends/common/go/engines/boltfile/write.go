package boltfile

import (
	"bytes"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"kivi/engines/bridge"
)

// A pass is one write transaction.
type pass struct {
	clock
	store    *Store
	tx       *bolt.Tx
	mark     *bolt.Bucket
	data     *bolt.Bucket
	cursor   *bolt.Cursor // over the data, sought anew each time
	expiries *bolt.Bucket
	changed  bool
}

func newPass(s *Store, tx *bolt.Tx) *pass {
	p := &pass{store: s, tx: tx, data: tx.Bucket(s.name), mark: tx.Bucket([]byte(Mark))}
	if p.data != nil {
		p.cursor = p.data.Cursor()
	}
	if p.mark != nil {
		p.expiries = p.mark.Bucket(s.expiries)
	}
	return p
}

// find returns the live value of a key, nil where there is none, and when it expires.
func (p *pass) find(key []byte) (value []byte, when int64, err error) {
	value, there := at(p.cursor, key)
	if there && value == nil {
		return nil, 0, berrors.ErrIncompatibleValue
	}
	if value == nil || p.expiries == nil {
		return value, 0, nil
	}
	when = p.judge(p.expiries.Get(key), value)
	if when == gone {
		return nil, 0, nil
	}
	return value, when, nil
}

// makeMark makes the place where expiries lie, at the first write to a file of ours, else at the first expiry.
func (p *pass) makeMark() (err error) {
	if p.expiries != nil {
		return nil
	}
	if p.mark, err = p.tx.CreateBucketIfNotExists([]byte(Mark)); err != nil {
		return err
	}
	if p.store.foreign {
		if err = p.mark.Put(p.store.note, []byte("1")); err != nil {
			return err
		}
	}
	p.expiries, err = p.mark.CreateBucketIfNotExists(p.store.expiries)
	return err
}

// put keeps no slice of the caller's: bbolt looks at them until the commit, which ends before the verb does.
func (p *pass) put(key, value []byte, when int64) (err error) {
	if p.data == nil {
		if p.data, err = p.tx.CreateBucketIfNotExists(p.store.name); err != nil {
			return err
		}
		p.cursor = p.data.Cursor()
	}
	if err = p.data.Put(key, value); err != nil {
		return err
	}
	p.changed = true
	return p.expire(key, value, when)
}

func (p *pass) expire(key, value []byte, when int64) error {
	if when == 0 && p.expiries == nil {
		return nil
	}
	p.changed = true
	if when == 0 {
		return p.expiries.Delete(key)
	}
	if err := p.makeMark(); err != nil {
		return err
	}
	return p.expiries.Put(key, record(value, when))
}

func (p *pass) remove(key []byte) error {
	value, there := at(p.cursor, key)
	if !there {
		return nil
	}
	if value == nil {
		return berrors.ErrIncompatibleValue
	}
	p.changed = true
	if err := p.data.Delete(key); err != nil || p.expiries == nil {
		return err
	}
	return p.expiries.Delete(key)
}

func (p *pass) apply(v *bridge.WriteVector, item *bridge.WriteItem, value []byte, when int64) error {
	key := item.Key.Bytes()
	after := item.ExpiryAfter(value != nil, when)
	item.Status = bridge.OK
	switch item.Kind {
	case bridge.Set:
		return p.put(key, item.Value.Bytes(), after)
	case bridge.Delete:
		return p.remove(key)
	case bridge.Touch:
		if item.TTL != bridge.TTLKeep {
			return p.expire(key, value, after)
		}
	case bridge.Increment:
		if sum := item.Sum(v, value); sum != nil {
			return p.put(key, sum, after)
		}
	}
	return nil
}

// alone gives an item its own failure; others are the transaction's.
func (p *pass) alone(err error) (status int32, text string) {
	switch err {
	case berrors.ErrIncompatibleValue:
		return bridge.WrongType, p.store.file.path + notAValue
	case berrors.ErrKeyTooLarge, berrors.ErrValueTooLarge:
		return bridge.TooLarge, p.store.file.path + ": the key or the value is too long"
	}
	return bridge.OK, ""
}

func (p *pass) do(v *bridge.WriteVector, item *bridge.WriteItem, judgeOnly bool) error {
	var value []byte
	var when int64
	var err error
	if !item.IsBlind() {
		value, when, err = p.find(item.Key.Bytes())
		if err == nil {
			item.Judge(value)
		}
	}
	if err == nil && item.Status == bridge.Pending && !judgeOnly {
		err = p.apply(v, item, value, when)
	}
	if status, text := p.alone(err); status != bridge.OK {
		item.Fail(status, text)
		return nil
	}
	return err
}

func (p *pass) take(v *bridge.ReadVector, item *bridge.ReadItem) error {
	key := item.Key.Bytes()
	value, when, err := p.find(key)
	if status, text := p.alone(err); status != bridge.OK {
		item.Fail(status, text)
		return nil
	}
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
		err = p.expire(key, value, bridge.Host.Expires(ttl))
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

// sweep removes what is over among some expiries further on.
func (p *pass) sweep(most int) (swept uint64, err error) {
	if p.expiries == nil || p.data == nil || most == 0 {
		return 0, nil
	}
	cursor := p.expiries.Cursor()
	k, kept := cursor.Seek(p.store.swept)
	type end struct {
		key  []byte
		over bool
	}
	var ends []end
	for i := 0; i < most && k != nil; i++ {
		value := p.data.Get(k)
		if over := value != nil && belongs(kept, value); !over {
			ends = append(ends, end{bytes.Clone(k), false})
		} else if whenOf(kept) < p.Now() {
			ends = append(ends, end{bytes.Clone(k), true})
		}
		k, kept = cursor.Next()
	}
	p.store.swept = bytes.Clone(k)
	for _, e := range ends {
		if e.over {
			swept++
			err = p.data.Delete(e.key)
		}
		if err == nil {
			err = p.expiries.Delete(e.key)
		}
		if err != nil {
			return 0, err
		}
	}
	return swept, nil
}

// change is one write transaction: what `work` does, a sweep, the commit.
func (s *Store) change(c *bridge.Change, work func(p *pass) error, undo func(uncertain bool)) error {
	s.file.views.BeginWrite(end)
	defer s.file.views.EndWrite()
	tx, err := s.file.db.Begin(true)
	if err != nil {
		return fail(s.file.path, "cannot write", err)
	}
	p := newPass(s, tx)
	if err = work(p); err == nil && p.changed {
		err = p.finish(c)
	}
	if err != nil || !p.changed {
		tx.Rollback()
		if err != nil {
			undo(false)
			return fail(s.file.path, "cannot write", err)
		}
		return nil
	}
	err = tx.Commit()
	s.file.hideFromChildren()
	return s.committed(err, undo)
}

func (p *pass) finish(c *bridge.Change) (err error) {
	if !p.store.foreign {
		if err = p.makeMark(); err != nil {
			return err
		}
	}
	c.Swept, err = p.sweep(int(c.Sweep))
	return err
}

// Which of a commit's steps failed bbolt does not say: only where the disk has no room it was surely not the last.
func (s *Store) committed(err error, undo func(uncertain bool)) error {
	if err == nil {
		return nil
	}
	switch errno := bridge.Errno(err); errno {
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG:
		undo(false)
		return fail(s.file.path, "cannot write", err)
	default:
		undo(true)
		return bridge.Fail(bridge.Uncertain, bridge.RetryIfIdempotent, int64(errno), "%s: a commit failed on its way to the disk", s.file.path)
	}
}

func (s *Store) Write(v *bridge.WriteVector, c *bridge.Change) error {
	return s.change(c, func(p *pass) error { return v.Run(p.do) }, v.Undo)
}

func (s *Store) Take(v *bridge.ReadVector, c *bridge.Change) error {
	return s.change(c, func(p *pass) error { return v.Run(p.take) }, v.Undo)
}
