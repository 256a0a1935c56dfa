package badgerdir

import (
	"os"
	"path/filepath"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2"
	"github.com/dgraph-io/ristretto/v2/z"

	"kivi/engines/bridge"
)

// Badger opens and compacts tables in goroutines of its own, where a damaged one ends the process. So each is opened here
// first, where a panic is an answer, and with `check` read whole.
func checkTables(o badger.Options, whole bool) error {
	lock, err := lockDirectory(o.Dir, o.ReadOnly)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	manifestFile, err := os.Open(filepath.Join(o.Dir, badger.ManifestFilename))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer manifestFile.Close()
	manifest, _, err := badger.ReplayManifestFile(manifestFile, 0, o)
	if err != nil {
		return err
	}
	keys, err := openKeys(o)
	if err != nil {
		return err
	}
	defer keys.Close()
	indexes, err := ristretto.NewCache(&ristretto.Config[uint64, *fb.TableIndex]{NumCounters: 1000, MaxCost: 1 << 20, BufferItems: 64})
	if err != nil {
		return err
	}
	defer indexes.Close()
	for id, about := range manifest.Tables {
		key, err := keys.DataKey(about.KeyID)
		if err != nil {
			return err
		}
		t := table.Options{BlockSize: o.BlockSize, Compression: about.Compression, DataKey: key, IndexCache: indexes, ChkMode: options.OnBlockRead, ReadOnly: true}
		if err := checkTable(table.NewFilename(id, o.Dir), t, whole); err != nil {
			return err
		}
	}
	return nil
}

func openKeys(o badger.Options) (*badger.KeyRegistry, error) {
	return badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: o.Dir, ReadOnly: true, EncryptionKey: o.EncryptionKey,
		EncryptionKeyRotationDuration: o.EncryptionKeyRotationDuration})
}

func checkTable(name string, o table.Options, whole bool) error {
	file, err := z.OpenMmapFile(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close(-1)
	t, err := table.OpenTable(file, o)
	if err != nil || !whole {
		return err
	}
	return t.VerifyChecksum()
}

// While it is looked at nobody changes it. Nil: it is not there.
func lockDirectory(path string, shared bool) (*os.File, error) {
	directory, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	err = syscall.Flock(int(directory.Fd()), how|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		err = bridge.Fail(bridge.Busy, bridge.RetryYes, int64(syscall.EWOULDBLOCK), "%s: another process has the directory open", path)
	}
	if err != nil {
		directory.Close()
		return nil, err
	}
	return directory, nil
}
