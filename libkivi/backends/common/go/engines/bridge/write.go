package bridge

import "bytes"

// Holds judges the condition of an item on what lies there; nil: nothing does. Versions are the stored bytes.
func (item *WriteItem) Holds(value []byte) bool {
	switch item.Condition {
	case IfAbsent:
		return value == nil
	case IfPresent:
		return value != nil
	case IfEqual, IfVersion:
		return value != nil && bytes.Equal(value, item.Expected.Bytes())
	}
	return true
}

// IsBlind says that the item can be done without knowing what lies there.
func (item *WriteItem) IsBlind() bool {
	if item.Condition != IfAlways || item.Flags&WantExisted != 0 {
		return false
	}
	return item.Kind == Delete || item.Kind == Set && item.TTL != TTLKeep
}

// Judge says what is known before anything is done: the status stays Pending where the item can be.
func (item *WriteItem) Judge(value []byte) {
	if item.Flags&WantExisted != 0 {
		item.Existed = 0
		if value != nil {
			item.Existed = 1
		}
	}
	if !item.Holds(value) {
		item.Status = Condition
	} else if item.Kind == Touch && value == nil {
		item.Status = NotFound
	}
}

// ExpiryAfter is when what the item leaves behind expires: the last ms in which it is there, 0 never.
func (item *WriteItem) ExpiryAfter(found bool, when int64) int64 {
	if found && (item.TTL == TTLKeep || item.Kind == Increment) {
		return when
	}
	if item.TTL > 0 {
		return Host.Expires(item.TTL)
	}
	return 0
}

// Fail ends the item alone.
func (item *WriteItem) Fail(status int32, text string) {
	item.Error = Host.ItemError(status, text)
	item.Status = status
}

// Fail ends the item alone.
func (item *ReadItem) Fail(status int32, text string) {
	item.Error = Host.ItemError(status, text)
	item.Status = status
}

// Sum is the incremented value; nil: the item has its status.
func (item *WriteItem) Sum(v *WriteVector, old []byte) []byte {
	var sum []byte
	if sum, item.Status = Host.Increment(v, item, old); item.Status != OK {
		return nil
	}
	return bytes.Clone(sum)
}

// stops says that the item keeps an atomic vector from going. A touch of a missing key is no condition.
func (item *WriteItem) stops() bool {
	return item.Status != Pending && item.Status != NotFound
}

// abortOthers is for an atomic vector of which one item does not go.
func (v *WriteVector) abortOthers(one *WriteItem) {
	for i := 0; i < v.Len(); i++ {
		if item := v.At(i); item != one {
			item.Status = Aborted
		}
	}
}

// Run has each item done, in order; those of an atomic vector are judged before.
func (v *WriteVector) Run(do func(v *WriteVector, item *WriteItem, judgeOnly bool) error) error {
	for i := 0; i < v.Len() && v.Flags&Atomic != 0; i++ {
		item := v.At(i)
		if err := do(v, item, true); err != nil {
			return err
		}
		if item.stops() {
			v.abortOthers(item)
			return nil
		}
	}
	for i := 0; i < v.Len(); i++ {
		item := v.At(i)
		if item.Status != Pending {
			continue
		}
		if err := do(v, item, false); err != nil {
			return err
		}
	}
	return nil
}

// Run has each item taken, in order.
func (v *ReadVector) Run(take func(v *ReadVector, item *ReadItem) error) error {
	for i := 0; i < v.Len(); i++ {
		item := v.At(i)
		if item.Status != Pending {
			continue
		}
		if err := take(v, item); err != nil {
			return err
		}
	}
	return nil
}

// Undo makes the items as they were: nothing was applied, or nobody knows. Failures of items stay, they would fail again.
func (v *WriteVector) Undo(uncertain bool) {
	for i := 0; i < v.Len(); i++ {
		item := v.At(i)
		if item.Status > Pending && item.Status != Aborted {
			continue
		}
		item.Status, item.Sent = Pending, sent(uncertain)
	}
}

// Undo does the same for a take.
func (v *ReadVector) Undo(uncertain bool) {
	for i := 0; i < v.Len(); i++ {
		if item := v.At(i); item.Status <= Pending {
			item.Status, item.Sent = Pending, sent(uncertain)
		}
	}
}

func sent(uncertain bool) int32 {
	if uncertain {
		return SentWholly
	}
	return SentNothing
}
