package backendtest

import (
	"testing"

	"github.com/lockd-io/lockd/lockapi"
)

// Run holds a backend to its contract. open gives a backend that works, and
// sees to its end with t.Cleanup; what it holds already does not matter.
func Run(t *testing.T, open func(t *testing.T) lockapi.Backend) {
	b := open(t)
	for _, part := range []struct {
		name string
		test func(t *testing.T, b lockapi.Backend)
	}{
		{"open finds the session of its nonce", openTwice},
		{"a repeat gets the first answer", repeat},
		{"a repeat beside the first gets the same answer", repeatBeside},
		{"another command under a number ends the session", seqReused},
		{"refusals are answers", refusals},
		{"waits are first come first served", queue},
		{"tokens rise over all names", tokens},
		{"a wait times out", waitTimesOut},
		{"an abandoned wait leaves no place", abandonWaiting},
		{"an abandoned grant is released", abandonGranted},
		{"an abandon burns what has not arrived", abandonUnseen},
		{"max hold ends a grant and is told", maxHold},
		{"events come again until acknowledged", eventsAgain},
		{"attach needs the secret", attachSecret},
		{"attach replaces the attach before", attachReplaces},
		{"the channel closes with its context", attachContext},
		{"a session that is not renewed ends", expiry},
		{"a session that is renewed lives", renewal},
		{"close ends a session", closeSession},
		{"readers share, and stand behind a writer", sharedMode},
		{"permits are counted", permits},
		{"several names are held together or not at all", several},
		{"conflicts say with what", conflicts},
		{"a session is resumed", resume},
		{"a session shows itself to who has its secret", inspectSession},
		{"inspect shows what was acknowledged", inspectOne},
		{"inspect pages through names", inspectPages},
		{"a context that has ended", endedContext},
		{"submit is do", submit},
		{"capabilities", capabilities},
		{"clients exclude each other", clientsExclude},
		{"clients hand over and withdraw", clientsHandOver},
		{"clients share, count, and hold several names", clientsShare},
		{"a client goes on with the session of another", clientsResume},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
	t.Run("close", func(t *testing.T) { closeBackend(t, open(t)) })
}
