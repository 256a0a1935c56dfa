// Package badgerdir keeps pairs in directories of Badger, as they are, with Badger's own expiries.
package badgerdir

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"kivi/engines/bridge"
	"kivi/engines/kept"
)

// Dir is an open directory, of which this process is the one user.
type Dir struct {
	db       *badger.DB
	path     string
	settings badger.Options
	space    space
	flush    flush
	reads    kept.Reads[*badger.Txn]
	busy     atomic.Int64 // UnixNano of the last verb, for the collector
	stop     chan struct{}
	stopped  chan struct{}
}

var compressions = map[string]options.CompressionType{"none": options.None, "snappy": options.Snappy, "zstd": options.ZSTD}

func optionsOf(s *bridge.Settings) badger.Options {
	o := badger.DefaultOptions(s.Path).
		WithLogger(nil).
		WithMetricsEnabled(false).
		WithDetectConflicts(false). // one writer at a time
		WithSyncWrites(s.Sync).
		WithReadOnly(s.ReadOnly).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithCompression(compressions[s.Compression]).
		WithMemTableSize(s.MemtableSize).
		WithNumMemtables(waiting).
		WithBaseTableSize(s.TableSize).
		WithValueThreshold(s.ValueThreshold).
		WithValueLogFileSize(s.ValueLogSize).
		WithBlockCacheSize(s.BlockCache).
		WithIndexCacheSize(s.IndexCache)
	if len(s.Secret) > 0 {
		o = o.WithEncryptionKey(s.Secret)
	}
	return o
}

// check keeps Badger from filling a directory that is somebody's for another purpose.
func check(s *bridge.Settings) error {
	entries, err := os.ReadDir(s.Path)
	switch {
	case os.IsNotExist(err) && s.Create && !s.ReadOnly:
		return nil
	case err != nil:
		return fail(s.Path, opening, err)
	}
	if _, err := os.Stat(filepath.Join(s.Path, badger.ManifestFilename)); err == nil {
		// Badger opens one of its files for writing even where it only reads.
		if err := syscall.Access(s.Path, 2); err != nil {
			return fail(s.Path, "cannot write, which Badger wants also to read", err)
		}
		return nil
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "LOCK" && name != "lost+found" {
			return bridge.Fail(bridge.Invalid, bridge.RetryNo, 0, "%s: not a directory of Badger, nor an empty one", s.Path)
		}
	}
	if s.Create && !s.ReadOnly {
		return nil
	}
	return bridge.Fail(bridge.Invalid, bridge.RetryNo, int64(syscall.ENOENT), "%s: holds no data of Badger, and is not to be made", s.Path)
}

// Open never waits: a directory that another process has open is Busy.
func Open(s *bridge.Settings) (*Dir, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	o := optionsOf(s)
	if err := checkTables(o, s.Check); err != nil {
		return nil, fail(s.Path, opening, err)
	}
	d := &Dir{path: s.Path, settings: o}
	db, err := badger.Open(o.WithLogger(&d.flush))
	if err != nil {
		return nil, fail(s.Path, opening, err)
	}
	d.db = db
	if s.Collect && !s.ReadOnly {
		d.collect()
	}
	if !s.ReadOnly {
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.collectInIdleTime()
	}
	return d, nil
}

func (d *Dir) Path() string { return d.path }

// Opened says what a transaction holds: less than Badger's own limit, which counts some bytes for each entry.
func (d *Dir) Opened() bridge.Opened {
	return bridge.Opened{FD: -1, MaxItems: uint64(d.db.MaxBatchCount()) / 2, MaxBytes: uint64(d.db.MaxBatchSize()) / 2}
}

func (d *Dir) Close() {
	if d.stop != nil {
		close(d.stop)
		<-d.stopped
	}
	d.reads.Drop(anyTxn, discard)
	d.flush.closing.Store(true)
	d.db.Close()
}

// Break has nothing to give up: the lock goes with the process.
func (d *Dir) Break() {}

func (d *Dir) Attach(string) (bridge.Store, bool, error) { return &Store{d}, false, nil }

// A collector looks for value logs of which half is of no use.
const (
	useless  = 0.5
	idle     = 5 * time.Second
	interval = time.Minute
)

func (d *Dir) collect() {
	for d.db.RunValueLogGC(useless) == nil {
	}
}

func (d *Dir) collectInIdleTime() {
	defer close(d.stopped)
	var seen int64
	for {
		select {
		case <-d.stop:
			return
		case <-time.After(interval):
		}
		busy := d.busy.Load()
		if busy == seen || time.Since(time.Unix(0, busy)) < idle {
			continue
		}
		seen = busy
		d.collect()
	}
}
