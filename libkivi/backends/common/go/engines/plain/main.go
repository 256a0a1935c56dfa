// Command plain uses the engines as any program written in Go does, and knows nothing of libkivi: the tests read with it what
// libkivi wrote, and write what libkivi reads.
//
//	plain bolt:FILE[#BUCKET] | badger:FOLDER  get KEY | set KEY VALUE [SECONDS] | delete KEY | list [PREFIX]
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	bolt "go.etcd.io/bbolt"
)

type pair struct{ key, value []byte }

// What a program does to its data.
type plain interface {
	get(key []byte) ([]byte, error)
	set(key, value []byte, seconds string) error
	delete(key []byte) error
	list(prefix []byte) ([]pair, error)
	close() error
}

var errMissing = errors.New("missing")

type boltFile struct {
	db     *bolt.DB
	bucket []byte
}

func openBolt(path string) (plain, error) {
	path, bucket, named := strings.Cut(path, "#")
	if !named {
		bucket = "kivigo"
	}
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	f := boltFile{db, []byte(bucket)}
	return f, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(f.bucket)
		return err
	})
}

func (f boltFile) get(key []byte) (value []byte, err error) {
	err = f.db.View(func(tx *bolt.Tx) error {
		value = bytes.Clone(tx.Bucket(f.bucket).Get(key))
		return nil
	})
	if err == nil && value == nil {
		err = errMissing
	}
	return
}

func (f boltFile) set(key, value []byte, seconds string) error {
	if seconds != "" {
		return errors.New("no expiries here")
	}
	return f.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(f.bucket).Put(key, value) })
}

func (f boltFile) delete(key []byte) error {
	return f.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(f.bucket).Delete(key) })
}

func (f boltFile) list(prefix []byte) (pairs []pair, err error) {
	err = f.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(f.bucket).Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			pairs = append(pairs, pair{bytes.Clone(k), bytes.Clone(v)})
		}
		return nil
	})
	return
}

func (f boltFile) close() error { return f.db.Close() }

type badgerFolder struct{ db *badger.DB }

func openBadger(path string) (plain, error) {
	db, err := badger.Open(badger.DefaultOptions(path).WithLoggingLevel(badger.ERROR))
	if err != nil {
		return nil, err
	}
	return badgerFolder{db}, nil
}

func (f badgerFolder) get(key []byte) (value []byte, err error) {
	err = f.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err == nil {
			value, err = item.ValueCopy(nil)
		}
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		err = errMissing
	}
	return
}

func (f badgerFolder) set(key, value []byte, seconds string) error {
	entry := badger.NewEntry(key, value)
	if seconds != "" {
		n, err := strconv.Atoi(seconds)
		if err != nil {
			return err
		}
		entry = entry.WithTTL(time.Duration(n) * time.Second)
	}
	return f.db.Update(func(txn *badger.Txn) error { return txn.SetEntry(entry) })
}

func (f badgerFolder) delete(key []byte) error {
	return f.db.Update(func(txn *badger.Txn) error { return txn.Delete(key) })
}

func (f badgerFolder) list(prefix []byte) (pairs []pair, err error) {
	err = f.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			pairs = append(pairs, pair{it.Item().KeyCopy(nil), value})
		}
		return nil
	})
	return
}

func (f badgerFolder) close() error { return f.db.Close() }

func open(url string) (plain, error) {
	kind, path, _ := strings.Cut(url, ":")
	switch kind {
	case "bolt":
		return openBolt(path)
	case "badger":
		return openBadger(path)
	}
	return nil, fmt.Errorf("%s: neither bolt: nor badger:", url)
}

func do(p plain, args []string) error {
	argument := func(i int) []byte {
		if i < len(args) {
			return []byte(args[i])
		}
		return nil
	}
	switch args[0] {
	case "get":
		value, err := p.get(argument(1))
		os.Stdout.Write(value)
		return err
	case "set":
		return p.set(argument(1), argument(2), string(argument(3)))
	case "delete":
		return p.delete(argument(1))
	case "list":
		pairs, err := p.list(argument(1))
		for _, at := range pairs {
			fmt.Printf("%s\t%s\n", at.key, at.value)
		}
		return err
	}
	return fmt.Errorf("%s: not a verb", args[0])
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: plain URL get|set|delete|list ...")
		os.Exit(2)
	}
	p, err := open(os.Args[1])
	if err == nil {
		err = errors.Join(do(p, os.Args[2:]), p.close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}
