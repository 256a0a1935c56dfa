package badgerdir

import (
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kivi/engines/bridge"
)

// A flush is what Badger's log says of tables that it cannot write: it tries again each second, for ever, also in Close.
type flush struct {
	closing atomic.Bool
	failed  atomic.Int64 // UnixNano
	errno   atomic.Int64
}

const flushing = "error flushing memtable to disk" // how Badger begins to say so

// Errorf is called by the goroutine that writes the tables. It ends where the directory is to be closed: what it could not
// write stays in its log on disk, which the next open reads.
func (f *flush) Errorf(format string, values ...interface{}) {
	if !strings.HasPrefix(format, flushing) {
		return
	}
	if f.closing.Load() {
		runtime.Goexit()
	}
	errno := syscall.EIO
	for _, value := range values {
		if err, is := value.(error); is && bridge.Errno(err) != 0 {
			errno = bridge.Errno(err)
		}
	}
	f.errno.Store(int64(errno))
	f.failed.Store(time.Now().UnixNano())
}

func (f *flush) Warningf(string, ...interface{}) {}
func (f *flush) Infof(string, ...interface{})    {}
func (f *flush) Debugf(string, ...interface{})   {}

// Twice as long as Badger waits before it tries again, and some.
const lasting = 3 * time.Second

// refused keeps writes from filling all the memory there is for tables, where the next would wait without end.
func (f *flush) refused(path string) error {
	failed := f.failed.Load()
	if failed == 0 || time.Since(time.Unix(0, failed)) > lasting {
		return nil
	}
	errno := syscall.Errno(f.errno.Load())
	return bridge.Fail(bridge.IO, bridge.RetryLater, int64(errno), "%s: cannot write a table: %s", path, errno.Error())
}
