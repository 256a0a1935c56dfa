// Package stack gives the goroutine of a call from C a stack on which handlers of signals have room: those of the program
// that do not ask for a stack of their own run on whatever stack the thread is on.
package stack

// Grow returns with 64 KiB free below. It touches none of them, and costs a comparison where they are there already.
func Grow()
