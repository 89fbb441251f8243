package lockapi_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
)

// TestLockJSON holds the text that users script against, key by key.
func TestLockJSON(t *testing.T) {
	for _, c := range []struct {
		view fsm.LockView
		want string
	}{
		{
			fsm.LockView{Name: "idle"},
			`{"name":"idle","kind":"","limit":0,"holder_count":0,"waiter_count":0,"holders":[],"waiters":[]}`,
		},
		{
			fsm.LockView{
				Name: "a/b", Kind: fsm.KindLock, Holds: 1, Waits: 1,
				Holders: []fsm.HolderView{{
					Session: 1<<63 + 1, Label: "host/1/x", Owner: "~1.1", Mode: fsm.Exclusive, Count: 2,
					Token: 32<<48 | 7, Held: 1999 * fsm.Millisecond, Expires: -fsm.Second,
				}},
				Waiters: []fsm.WaiterView{{
					Session: 9, Label: "host/2/x", Owner: "me", Mode: fsm.Shared, Position: 1, Waiting: fsm.Second + 1,
				}},
			},
			`{"name":"a/b","kind":"lock","limit":0,"holder_count":1,"waiter_count":1,"holders":[{"session":"9223372036854775809","label":"host/1/x",` +
				`"owner":"","mode":"exclusive","permits":0,"count":2,"token":"9007199254740999","held_ms":1999,"expires_in_ms":0}],` +
				`"waiters":[{"session":"9","label":"host/2/x","owner":"me","mode":"shared","permits":0,"position":1,"waiting_ms":1000}]}`,
		},
		{
			fsm.LockView{
				Name: "s", Kind: fsm.KindSemaphore, Limit: 5, Holds: 70000, Waits: 2,
				Holders: []fsm.HolderView{{Session: 1, Mode: fsm.Counted, Permits: 3, Count: 1, Token: 4, Expires: fsm.Second}},
				Waiters: []fsm.WaiterView{{Session: 2, Mode: 77, Position: 1}},
			},
			`{"name":"s","kind":"semaphore","limit":5,"holder_count":70000,"waiter_count":2,"holders":[{"session":"1","label":"","owner":"","mode":"permits","permits":3,` +
				`"count":1,"token":"4","held_ms":0,"expires_in_ms":1000}],` +
				`"waiters":[{"session":"2","label":"","owner":"","mode":"","permits":0,"position":1,"waiting_ms":0}]}`,
		},
	} {
		document := lockapi.LockJSON(c.view)
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(text)); diff != "" {
			t.Error(diff)
		}
		var back lockapi.LockDocument
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(document, back); diff != "" {
			t.Error(diff)
		}
	}
}
