package child

import "golang.org/x/sys/unix"

// EndBy ends this process by a signal, without a core. If typed, the rest of its
// process group gets the signal first, as it would have from the terminal. It
// returns if the signal does not end anybody here.
func EndBy(sig unix.Signal, typed bool) {
	noCore()
	if typed {
		signalOthers(unix.Getpgrp(), sig)
	}
	byDefault(sig)
}
