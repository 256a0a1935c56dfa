// Package kept holds read transactions that are at rest until the next write: to begin one costs as much as a get. Between
// writes they keep nothing from being used again.
package kept

import "sync/atomic"

const most = 16

// Reads are what a file keeps. T is a transaction, and what was found out when it began.
type Reads[T any] struct {
	epoch atomic.Uint64 // one more at each begin and end of a write: odd while one goes on
	at    [most]atomic.Pointer[Read[T]]
}

// Read is one that is in use by one call, or at rest.
type Read[T any] struct {
	epoch uint64 // when it began
	T     T
}

// Take returns one that fits, or what `begin` makes.
func (r *Reads[T]) Take(fits func(*T) bool, begin func() (T, error)) (*Read[T], error) {
	for i := range r.at {
		at := &r.at[i]
		if found := at.Load(); found != nil && fits(&found.T) && at.CompareAndSwap(found, nil) {
			return found, nil
		}
	}
	epoch := r.epoch.Load()
	made, err := begin()
	if err != nil {
		return nil, err
	}
	return &Read[T]{epoch, made}, nil
}

// Give keeps it, unless a write has begun since: that drops those that it finds, and whoever comes later his own.
func (r *Reads[T]) Give(read *Read[T], drop func(*T)) {
	for i := range r.at {
		at := &r.at[i]
		if r.epoch.Load() != read.epoch || read.epoch%2 != 0 {
			break
		}
		if at.Load() != nil || !at.CompareAndSwap(nil, read) {
			continue
		}
		if r.epoch.Load() != read.epoch && at.CompareAndSwap(read, nil) {
			break
		}
		return
	}
	drop(&read.T)
}

// Drop ends those at rest that fit.
func (r *Reads[T]) Drop(fits func(*T) bool, drop func(*T)) {
	for i := range r.at {
		if found := r.at[i].Load(); found != nil && fits(&found.T) && r.at[i].CompareAndSwap(found, nil) {
			drop(&found.T)
		}
	}
}

// BeginWrite drops all that are at rest; what is read meanwhile is not kept. One writer at a time.
func (r *Reads[T]) BeginWrite(drop func(*T)) {
	r.epoch.Add(1)
	r.Drop(func(*T) bool { return true }, drop)
}

func (r *Reads[T]) EndWrite() { r.epoch.Add(1) }
