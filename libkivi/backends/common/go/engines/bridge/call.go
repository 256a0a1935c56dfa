package bridge

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// Host is what the core does for an engine; package main fills it in. Nothing in it blocks.
var Host struct {
	Clock     func() int64
	Expires   func(ttl int64) int64
	ItemError func(status int32, text string) unsafe.Pointer
	// Increment has no `old` (nil) where the key is missing. What it returns is good until the next call.
	Increment func(v *WriteVector, item *WriteItem, old []byte) (sum []byte, status int32)
	Deliver   func(v *ReadVector, item *ReadItem, value []byte) int32
	Flush     func(s *Scan) int32
	Pair      func(s *Scan, key, value []byte, ttl int64) int32
}

// File is an engine's open file or directory, shared by the stores on it.
type File interface {
	// Attach makes a store of what lies under a name. It may be closed with the file alone.
	Attach(name string) (store Store, foreign bool, failure error)
	Close()
	// Break says that the engine panicked in it: nothing calls it any more. It gives up what others may wait for.
	Break()
	Path() string
	Opened() Opened
}

// Opened is what an open file says of itself.
type Opened struct {
	FD                 int
	MaxItems, MaxBytes uint64
}

// Store has the verbs. Reads and scans come from any number of threads, takes and writes from one at a time.
type Store interface {
	File() File
	Detach()
	Read(r *Read) error
	Take(v *ReadVector, change *Change) error
	Write(v *WriteVector, change *Change) error
	Scan(s *Scan) error
	Count(s *Scan) error
}

// Failure ends a verb.
type Failure struct {
	Status, Retryable int32
	Native            int64
	Text              string
}

func (f *Failure) Error() string { return f.Text }

// Fail makes a failure; its text never holds a key, a value, or what an engine says.
func Fail(status, retryable int32, native int64, format string, args ...any) *Failure {
	return &Failure{status, retryable, native, fmt.Sprintf(format, args...)}
}

// What engines that make text of an error leave of it.
var told = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EACCES, syscall.EPERM, syscall.EROFS,
	syscall.ENOTDIR, syscall.ENOENT, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.EIO}

// Errno is the system's number within an error, or 0.
func Errno(err error) syscall.Errno {
	var errno syscall.Errno
	if err == nil || errors.As(err, &errno) {
		return errno
	}
	text := err.Error()
	for _, errno := range told {
		if strings.Contains(text, errno.Error()) {
			return errno
		}
	}
	return 0
}

// System is the failure of a call of the system's; nil where `err` is none.
func System(path, what string, err error) error {
	errno := Errno(err)
	status, retryable := int32(IO), int32(RetryNo)
	switch errno {
	case 0:
		return nil
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		status = Denied
	case syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EEXIST:
		status = Invalid
	case syscall.ENOMEM:
		status, retryable = NoMemory, RetryYes
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EMFILE, syscall.ENFILE:
		retryable = RetryLater
	}
	return Fail(status, retryable, int64(errno), "%s: %s: %s", path, what, errno.Error())
}

// A Clock is read once a verb, and only where a key has an expiry.
type Clock struct{ now int64 }

func (c *Clock) Now() int64 {
	if c.now == 0 {
		c.now = Host.Clock()
	}
	return c.now
}

// TTLLeft is what a reader is told: `when` is the last ms, 0 never.
func TTLLeft(when, now int64) int64 {
	if when == 0 {
		return TTLNone
	}
	if when > now {
		return when - now
	}
	return 1
}
