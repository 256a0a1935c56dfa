package badgerdir

import (
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"

	"kivi/engines/bridge"
)

// space keeps a full disk from being met in a map of a file, where it ends the process: a write is refused while there is
// less left than Badger may need for what it does behind it.
type space struct {
	left    int64 // what may be written before the disk is asked again
	checked time.Time
}

const (
	stretch = 1 << 20
	reserve = 16 << 20
	waiting = 2           // tables in memory that wait for their file
	pending = waiting + 2 // with the one that is being written, and the one that is filled
)

// merging is what merges of tables may write before they remove what they read: all there is, or what the compactors can
// have at a time. One of them takes a table and what it overlaps on the level below, which is ten times as wide.
func merging(levels []badger.LevelInfo, fresh int64, compactors int64) int64 {
	const overlap = 11
	total, first, widest := fresh, fresh, int64(0)
	for _, level := range levels {
		total += level.Size
		if level.Level == 0 || level.IsBaseLevel {
			first += level.Size // the whole of both, by one compactor
		}
		widest = max(widest, level.TargetFileSize)
	}
	return min(total, first+compactors*(1+overlap)*widest)
}

func (d *Dir) hasRoom(bytes int64) error {
	if err := d.flush.refused(d.path); err != nil {
		return err
	}
	s := &d.space
	now := time.Now()
	if s.left >= bytes && now.Sub(s.checked) < 100*time.Millisecond {
		s.left -= bytes
		return nil
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(d.path, &disk); err != nil {
		return fail(d.path, "cannot write", err)
	}
	fresh := pending * d.settings.MemTableSize
	wanted := bytes + stretch + reserve + fresh + merging(d.db.Levels(), fresh, int64(d.settings.NumCompactors))
	if int64(disk.Bavail)*disk.Bsize < wanted {
		return bridge.System(d.path, "cannot write", syscall.ENOSPC)
	}
	s.left, s.checked = stretch, now
	return nil
}
