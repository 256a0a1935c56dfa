package main

/*
#include "bridge.h"
*/
import "C"

import "kivi/engines/bridge"

func damaged(path string) error {
	return bridge.Fail(bridge.Corrupt, bridge.RetryNo, 0, "%s: damaged: its engine gave up on it; restore it from a backup", path)
}

// caught makes a panic of an engine the answer of the call: none ever unwinds into C. `file` is nil while one is opened.
func caught(file *opened, path string, f *C.kvi_go_failure, status *C.int32_t) {
	if recover() == nil {
		return
	}
	*status = broke(file, path, f)
}

// caughtWriting does the same for a write. A commit may have been on its way to the disk.
func caughtWriting(file *opened, f *C.kvi_go_failure, status *C.int32_t, undo func(uncertain bool)) {
	if recover() == nil {
		return
	}
	*status = broke(file, "", f)
	undo(true)
}

func broke(file *opened, path string, f *C.kvi_go_failure) C.int32_t {
	if file != nil {
		path = file.Path()
		if !file.broken.Swap(true) {
			file.Break()
		}
	}
	return say(f, damaged(path))
}
