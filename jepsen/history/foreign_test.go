package history

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"olympos.io/encoding/edn"
)

// One history in the forms in which it comes: a map a line, a vector, records.
func TestFromEDN(t *testing.T) {
	lines := []string{
		`{:type :invoke, :f :acquire, :process 3, :time 10, :value nil, :index 0}`,
		`{:type :info, :f :start, :process :nemesis, :time 11, :value #{:n1 "n2" \] 0.5}, :index 1}`,
		`{:type :invoke, :f :release, :process 1, :time 9, :index 2}`,
		`{:type :ok, :f :acquire, :process 3, :time 20, :value {:fence 7}, :index 3}`,
		`{:type :fail, :f :release, :process 1, :time 30, :error [:not-held "says \"it\"\n"], :index 4}`,
		`{:type :invoke, :f :release, :process 3, :time 40N, :index 5}`,
		`{:type :info, :f :release, :process 3, :time 50, :error #error {:cause "no answer"}, :index 6}`,
	}
	want := History{
		{ID: 0, Client: 3, Kind: Acquire, Session: 3, Owner: "0", Wants: []Want{{Name: "lock", Mode: Exclusive}}, Wait: -1, Grant: 1,
			Call: 10, Return: 20, Status: OK, Tokens: []uint64{7}},
		{ID: 2, Client: 1, Kind: Release, Session: 1, Grant: 1, Call: 11, Return: 30, Status: Fail, Code: "not_held"},
		{ID: 5, Client: 3, Kind: Release, Session: 3, Grant: 1, Call: 40, Status: Unknown},
	}
	for name, text := range map[string]string{
		"lines":    strings.Join(lines, "\n"),
		"a vector": "; of a run\n[" + strings.Join(lines, ",\n ") + "]\n",
		"a list":   "(" + strings.Join(lines, "#_ {:left out} ") + ")",
		"records":  "#jepsen.history.Op" + strings.Join(lines, "\n#jepsen.history.Op"),
	} {
		got, err := FromEDN(strings.NewReader(text), Lock{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, want)
		}
	}
}

// Who holds what, by what the caller says of the lock and the maps of the client.
func TestFromEDNOfClients(t *testing.T) {
	const text = `
{:process 0 :type :invoke :f :acquire :value ["x" nil]}
{:process 0 :type :info :f :acquire :value ["x" {:client "n1"}]}
{:process 1 :type :invoke :f :acquire :value [:y nil]}
{:process 1 :type :ok :f :acquire :value [:y {:client "n2"}]}
{:process 2 :type :invoke :f :release :value ["x" nil] :client "n1"}
{:process 2 :type :ok :f :release :value ["x" nil]}
{:process 1 :type :invoke :f :acquire :value ["x" nil]}`
	h, err := FromEDN(strings.NewReader(text), Lock{Keyed: true, Reentrant: true, Limit: 4})
	if err != nil || len(h) != 4 {
		t.Fatal(h, err)
	}
	x := []Want{{Name: "x", Mode: Permits, Permits: 1, Limit: 4}}
	switch {
	case !reflect.DeepEqual(h[0].Wants, x) || h[0].Owner != "":
		t.Error(h[0])
	case h[0].Session != h[2].Session, h[0].Client == h[2].Client: // one client, two processes
		t.Error(h[0], h[2])
	case h[1].Session == h[0].Session, h[1].Session == h[3].Session: // two clients, two locks
		t.Error(h[0], h[1], h[3])
	case h[3].Status != Unknown || h[3].Return != 0:
		t.Error(h[3])
	}
}

func TestFromEDNRefuses(t *testing.T) {
	const ask = "{:process 1 :type :invoke :f :acquire}\n"
	for name, c := range map[string]struct {
		text, want string
		lock       Lock
	}{
		"no map":                 {text: "[1]", want: "number 0 is none"},
		"half a map":             {text: ask + "{:process 1", want: "line 2"},
		"a key alone":            {text: "{:process}", want: "no value"},
		"another bracket":        {text: "{:process 1]", want: "without what it ends"},
		"a string without end":   {text: `{:error "x`, want: "without an end"},
		"an escape of nothing":   {text: `{:error "\q"}`, want: "no meaning"},
		"a tag of nothing":       {text: "# ", want: "without a tag"},
		"a tag at the end":       {text: "#inst", want: "where a value should be"},
		"nested too deep":        {text: strings.Repeat("[", 100), want: "too deep"},
		"tags without an end":    {text: strings.Repeat("#a ", 100), want: "too deep"},
		"what is no lock's":      {text: "{:process 1 :type :invoke :f :read}", want: ":f is read"},
		"no type":                {text: "{:process 1 :f :acquire}", want: ":type is"},
		"two things at once":     {text: ask + ask, want: "not had an answer to operation 0"},
		"an answer to nobody":    {text: "{:process 1 :type :ok :f :acquire}", want: "did not ask for"},
		"an answer to another":   {text: ask + "{:process 1 :type :ok :f :release}", want: "did not ask for"},
		"more after the unknown": {text: ask + "{:process 1 :type :info :f :acquire}" + ask, want: "has not had an answer"},
		"no key":                 {text: ask, want: "want [name value]", lock: Lock{Keyed: true}},
		"two clients":            {text: "{:process 1 :client 1}{:process 1 :client 2}", want: "client 1 and client 2"},
		"no client":              {text: "{:process 1 :client 1}{:process 2}", want: "process 2 never says"},
	} {
		if h, err := FromEDN(strings.NewReader(c.text), c.lock); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v %v, want %q", name, h, err, c.want)
		}
	}
}

// What WriteEDN writes is read as another reader of EDN reads it.
func TestReadersAgree(t *testing.T) {
	var file bytes.Buffer
	if err := WriteEDN(&file, all()); err != nil {
		t.Fatal(err)
	}
	var want []map[edn.Keyword]any
	if err := edn.Unmarshal(file.Bytes(), &want); err != nil {
		t.Fatal(err)
	}
	got, err := ednMaps(file.Bytes())
	if err != nil || len(got) != len(want) || len(got) == 0 {
		t.Fatal(len(got), len(want), err)
	}
	for i := range want {
		owner := func(v any) any { return v.(map[any]any)[edn.Keyword("owner")] }(want[i]["value"])
		inner := got[i].get("value").(ednMap)
		switch {
		case got[i].get("time") != want[i]["time"], got[i].get("index") != want[i]["index"], inner.get("owner") != owner,
			string(got[i].get("f").(keyword)) != string(want[i]["f"].(edn.Keyword)):
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
}

// Bytes from elsewhere never panic, and what is read is a history.
func FuzzFromEDN(f *testing.F) {
	f.Add([]byte(`[{:process 1 :type :invoke :f :acquire} {:process 1 :type :ok :f :acquire :value ["k" {:fence 2}]}]`), true)
	f.Add([]byte(`#jepsen.history.Op{:process 0, :type :fail :error [:x "\u0041"] #_ \} :value #{1 2.5}} ; end`), false)
	f.Fuzz(func(t *testing.T, text []byte, keyed bool) {
		h, err := FromEDN(bytes.NewReader(text), Lock{Keyed: keyed})
		if err != nil {
			return
		}
		if err := h.Validate(); err != nil {
			t.Fatal(err)
		}
		if err := Save(&bytes.Buffer{}, h); err != nil {
			t.Fatal(err)
		}
	})
}
