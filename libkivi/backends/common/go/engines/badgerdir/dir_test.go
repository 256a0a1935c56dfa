package badgerdir

import (
	"testing"

	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
)

func settings(path string, secret []byte) *bridge.Settings {
	return &bridge.Settings{Path: path, Create: true, Check: true, Secret: secret, Compression: "snappy",
		MemtableSize: 4 << 20, TableSize: 2 << 20, ValueThreshold: 1 << 10, ValueLogSize: 16 << 20, BlockCache: 8 << 20, IndexCache: 8 << 20}
}

// What was closed in order is opened again, read whole first, with and without a key.
func TestSoundTablesPass(t *testing.T) {
	for _, secret := range [][]byte{nil, []byte("0123456789abcdef")} {
		s := settings(t.TempDir(), secret)
		for round := 0; round < 3; round++ {
			d, err := Open(s)
			if err != nil {
				t.Fatal(err)
			}
			err = d.db.Update(func(txn *badger.Txn) error { return txn.Set([]byte{byte(round)}, make([]byte, 3000)) })
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
	}
}

// The end that is kept is never before the end that was asked for, and at most a step behind it.
func TestExpiriesAreKeptToAStep(t *testing.T) {
	db, err := badger.Open(badger.DefaultOptions(t.TempDir()).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for when := int64(4102444800000); when < 4102444800000+2001; when++ {
		e := badger.NewEntry([]byte("key"), nil)
		setWhen(e, when)
		var kept int64
		err := db.Update(func(txn *badger.Txn) error { return txn.SetEntry(e) })
		if err == nil {
			err = db.View(func(txn *badger.Txn) error {
				item, err := txn.Get([]byte("key"))
				if err == nil {
					kept = whenOf(item)
				}
				return err
			})
		}
		if err != nil || kept < when || kept >= when+step {
			t.Fatalf("%d is kept as %d: %v", when, kept, err)
		}
		if int64(e.ExpiresAt)*seconds <= kept {
			t.Fatalf("Badger drops at %d s what is there until %d ms", e.ExpiresAt, kept)
		}
	}
}
