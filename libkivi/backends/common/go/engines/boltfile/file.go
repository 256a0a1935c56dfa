// Package boltfile keeps pairs in files of bbolt: a bucket holds them as they are, expiries lie in another.
package boltfile

import (
	"os"
	"strings"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"kivi/engines/bridge"
	"kivi/engines/kept"
)

// File is an open file, of which this process is the one writer.
type File struct {
	db      *bolt.DB
	path    string
	handle  *os.File
	mapped  uintptr
	mapSize int64
	views   kept.Reads[view]
}

// Open never waits: a file that another process has open is Busy.
func Open(s *bridge.Settings) (*File, error) {
	f := &File{path: s.Path, mapSize: s.MapSize}
	without := 0
	if !s.Create {
		without = os.O_CREATE
	}
	options := &bolt.Options{
		Timeout:         1, // one try
		InitialMmapSize: int(reserve(s.MapSize)),
		PageSize:        int(s.PageSize),
		NoSync:          !s.Sync,
		ReadOnly:        s.ReadOnly,
		FreelistType:    bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (file *os.File, err error) {
			file, err = os.OpenFile(name, flag&^without, mode)
			f.handle = file
			return
		},
	}
	defer func() { // also where bbolt panics
		if f.db == nil && f.handle != nil {
			f.Break()
		}
	}()
	db, err := bolt.Open(s.Path, os.FileMode(s.Mode), options)
	if err != nil {
		return nil, fail(s.Path, "cannot open", err)
	}
	f.db = db
	f.hideFromChildren()
	return f, nil
}

// Address space for the map, neither memory nor disk: a map that never moves keeps no write waiting for reads.
func reserve(wanted int64) int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) == nil {
		for uint64(wanted) > limit.Cur/4 && wanted > 1<<26 {
			wanted /= 2
		}
	}
	return wanted
}

// The map is no child's: it would keep the lock on the file alive there. Again whenever it has moved.
func (f *File) hideFromChildren() {
	const doNotFork = 10
	data := f.db.Info().Data
	if data == f.mapped {
		return
	}
	f.mapped = data
	size := uintptr(reserve(f.mapSize))
	if info, err := f.handle.Stat(); err == nil && uintptr(info.Size()) > size {
		size = uintptr(info.Size())
	}
	syscall.Syscall(syscall.SYS_MADVISE, data, size, doNotFork)
}

func (f *File) Path() string { return f.path }

func (f *File) Opened() bridge.Opened { return bridge.Opened{FD: int(f.handle.Fd())} }

func (f *File) Close() {
	f.views.Drop(func(*view) bool { return true }, end)
	f.db.Close()
}

// Break gives up the lock on the file, and leaves the rest as it lies: bbolt may hold locks for ever. The map would keep
// the file's lock, were that not taken off it.
func (f *File) Break() {
	syscall.Flock(int(f.handle.Fd()), syscall.LOCK_UN)
	f.handle.Close()
}

// fail puts errors of bbolt into words. Its own are not passed on.
func fail(path, what string, err error) error {
	switch err {
	case berrors.ErrTimeout:
		return bridge.Fail(bridge.Busy, bridge.RetryYes, int64(syscall.EWOULDBLOCK), "%s: another process has the file open", path)
	case berrors.ErrInvalid, berrors.ErrChecksum:
		return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: not a file of Bolt, or a damaged one", path)
	case berrors.ErrVersionMismatch:
		return bridge.Fail(bridge.Unsupported, bridge.RetryNo, 0, "%s: a file of another version of Bolt", path)
	case berrors.ErrIncompatibleValue, berrors.ErrKeyRequired, berrors.ErrKeyTooLarge, berrors.ErrBucketNotFound, berrors.ErrBucketExists:
		// All that a caller can cause was told apart before.
		return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: damaged: a page is not as bbolt writes it; restore it from a backup", path)
	case berrors.ErrDatabaseReadOnly:
		return bridge.Fail(bridge.Denied, bridge.RetryNo, int64(syscall.EACCES), "%s: opened with read_only=true", path)
	}
	if failure := bridge.System(path, what, err); failure != nil {
		return failure
	}
	switch text := err.Error(); {
	case text == "mmap too large":
		return bridge.Fail(bridge.TooLarge, bridge.RetryNo, 0, "%s: the file is larger than bbolt can map", path)
	case strings.HasPrefix(text, "file size too small"):
		return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: damaged: the file is cut; restore it from a backup", path)
	}
	return bridge.Fail(bridge.Internal, bridge.RetryNo, 0, "%s: %s: bbolt gives no reason", path, what)
}
