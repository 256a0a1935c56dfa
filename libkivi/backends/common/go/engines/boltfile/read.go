package boltfile

import "kivi/engines/bridge"

const notAValue = ": the key names a bucket, not a value"

func (s *Store) Read(r *bridge.Read) error {
	taken, err := s.file.views.Take(s.isOwn, s.beginView)
	if err != nil {
		return err
	}
	defer s.file.views.Give(taken, end)
	v := &taken.T
	var c clock
	room := r.Arena()
	for i := 0; i < r.Vector.Len(); i++ {
		room = s.readOne(v, r, i, room, &c)
	}
	return nil
}

// readOne returns what is left of the arena.
func (s *Store) readOne(v *view, r *bridge.Read, i int, room []byte, c *clock) []byte {
	item, found := r.Vector.At(i), r.Found(i)
	key := item.Key.Bytes()
	value, there := at(v.data, key)
	if !there {
		found.Status = bridge.NotFound
		return room
	}
	if value == nil {
		item.Fail(bridge.WrongType, s.file.path+notAValue)
		found.Status = bridge.Pending
		return room
	}
	when := int64(0)
	if v.expiries != nil {
		if record, there := at(v.expiries, key); there {
			when = c.judge(record, value)
		}
	}
	if when == gone {
		found.Status = bridge.NotFound
		return room
	}
	if item.Want&bridge.WantExpiry != 0 {
		found.TTL = c.left(when)
	}
	found.Status = bridge.OK
	if item.Want&(bridge.WantValue|bridge.WantVersion) == 0 {
		return room
	}
	if len(value) > len(room) { // handed over where it lies
		item.TTL = found.TTL
		item.Status = bridge.Host.Deliver(r.Vector, item, value)
		found.Status = bridge.Pending
		return room
	}
	found.Offset = uint64(len(r.Arena()) - len(room))
	found.Size = uint64(copy(room, value))
	return room[len(value):]
}
