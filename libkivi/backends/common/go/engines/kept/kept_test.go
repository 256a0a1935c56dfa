package kept

import (
	"sync"
	"sync/atomic"
	"testing"
)

func fits(*int) bool { return true }

func TestKeptUntilTheNextWrite(t *testing.T) {
	var r Reads[int]
	began, dropped := 0, 0
	begin := func() (int, error) { began++; return began, nil }
	drop := func(*int) { dropped++ }
	first, _ := r.Take(fits, begin)
	r.Give(first, drop)
	second, _ := r.Take(fits, begin)
	if second != first || began != 1 || dropped != 0 {
		t.Fatal("it was not kept")
	}
	r.BeginWrite(drop)
	during, _ := r.Take(fits, begin)
	r.Give(during, drop)
	r.EndWrite()
	r.Give(second, drop) // older than the write
	third, _ := r.Take(fits, begin)
	if third == second || third == during || dropped != 2 || began != 3 {
		t.Fatal("one from before the write was kept")
	}
}

// What a reader gets is never older than the last write that had ended when it asked.
func TestNeverStale(t *testing.T) {
	var r Reads[int64]
	var written, stale, open atomic.Int64
	var group sync.WaitGroup
	fits := func(*int64) bool { return true }
	drop := func(*int64) { open.Add(-1) }
	stop := make(chan struct{})
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := written.Load()
				read, _ := r.Take(fits, func() (int64, error) { open.Add(1); return written.Load(), nil })
				if read.T < least {
					stale.Add(1)
				}
				r.Give(read, drop)
			}
		}()
	}
	for i := int64(1); i <= 20000; i++ {
		r.BeginWrite(drop)
		written.Store(i)
		r.EndWrite()
	}
	close(stop)
	group.Wait()
	r.Drop(fits, drop)
	if stale.Load() != 0 || open.Load() != 0 {
		t.Fatalf("%d were stale, %d were left open", stale.Load(), open.Load())
	}
}
