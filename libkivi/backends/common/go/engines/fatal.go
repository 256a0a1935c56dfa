package main

import (
	"log"
	"os"
	"runtime"
	"strings"
)

// Badger ends the process by log.Fatal where it finds what cannot be. In a call of C's that is a panic, and so an answer; in a
// goroutine of Badger's own there is nobody to answer, and what it says goes where it went before.
type fatal struct{}

func (fatal) Write(text []byte) (int, error) {
	if inCall() {
		panic("the engine gave up")
	}
	return os.Stderr.Write(text)
}

func inCall() bool {
	at := make([]uintptr, 64)
	frames := runtime.CallersFrames(at[:runtime.Callers(1, at)])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "main.kvi_go_") {
			return true
		}
		if !more {
			return false
		}
	}
}

func init() { log.SetOutput(fatal{}) }
