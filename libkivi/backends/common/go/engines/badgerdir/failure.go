package badgerdir

import (
	"errors"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"kivi/engines/bridge"
)

// Badger wraps most errors as text. What the text holds is never passed on: it may be a dump of keys and values.
var words = []struct {
	text              string
	status, retryable int32
	says              string
}{
	{"Another process is using this Badger database", bridge.Busy, bridge.RetryYes, "another process has the directory open"},
	{"Encryption key mismatch", bridge.Denied, bridge.RetryNo, "the encryption key is another one, or missing"},
	{"checksum mismatch", bridge.Corrupt, bridge.RetryNo, "damaged: a checksum is wrong; restore it from a backup"},
	{"manifest has unsupported version", bridge.Unsupported, bridge.RetryNo, "made by another version of Badger"},
	{"manifest has bad magic", bridge.Corrupt, bridge.RetryNo, "damaged: its MANIFEST is none of Badger's"},
	{"MANIFEST", bridge.Corrupt, bridge.RetryNo, "damaged: its MANIFEST does not fit its files"},
	{"file does not exist for table", bridge.Corrupt, bridge.RetryNo, "damaged: a table is missing"},
	{"Unable to parse", bridge.Corrupt, bridge.RetryNo, "damaged: a file is none of Badger's"},
	{"failed to", bridge.Corrupt, bridge.RetryNo, "damaged: a file cannot be read as one of Badger's"},
	{"while opening memtables", bridge.Corrupt, bridge.RetryNo, "damaged: a log cannot be replayed"},
	{"During db.vlog.open", bridge.Corrupt, bridge.RetryNo, "damaged: a value log cannot be opened"},
	{"EOF", bridge.Corrupt, bridge.RetryNo, "damaged: a file is shorter than it says"},
	{"snappy: corrupt", bridge.Corrupt, bridge.RetryNo, "damaged: a block cannot be decompressed"},
}

const opening = "cannot open"

func fail(path, what string, err error) error {
	var failure *bridge.Failure
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.Is(err, badger.ErrTxnTooBig):
		return bridge.Fail(bridge.TooLarge, bridge.RetryYes, 0, "%s: too much for one transaction", path)
	case errors.Is(err, badger.ErrBlockedWrites), errors.Is(err, badger.ErrDBClosed):
		return bridge.Fail(bridge.Internal, bridge.RetryNo, 0, "%s: %s: Badger takes no more writes", path, what)
	case errors.Is(err, badger.ErrInvalidEncryptionKey):
		return bridge.Fail(bridge.Invalid, bridge.RetryNo, 0, "%s: an encryption key has 16, 24 or 32 bytes", path)
	case errors.Is(err, y.ErrChecksumMismatch):
		return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: damaged: a checksum is wrong; restore it from a backup", path)
	}
	text := err.Error()
	for _, w := range words[:1] { // before the system's own words in it
		if strings.Contains(text, w.text) {
			return bridge.Fail(w.status, w.retryable, int64(syscall.EWOULDBLOCK), "%s: %s", path, w.says)
		}
	}
	if errno := bridge.Errno(err); errno != 0 {
		return bridge.System(path, what, errno)
	}
	for _, w := range words {
		if strings.Contains(text, w.text) {
			return bridge.Fail(w.status, w.retryable, 0, "%s: %s", path, w.says)
		}
	}
	if what == opening { // all else that can be in its way was told apart above
		return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: damaged: a file is not as Badger writes it; restore it from a backup", path)
	}
	return bridge.Fail(bridge.Internal, bridge.RetryNo, 0, "%s: %s: Badger's reason is not told, as it may hold data", path, what)
}
