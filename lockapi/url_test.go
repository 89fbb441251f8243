package lockapi

import "testing"

func TestParseURL(t *testing.T) {
	for raw, want := range map[string]string{
		"lockd://a:1":                                          "a:1",
		"lockd://a:1,b:2":                                      "a:1,b:2",
		"lockd://[::1]:7600":                                   "[::1]:7600",
		"lockd://[::1]:7600,[::1]:7610":                        "[::1]:7600,[::1]:7610",
		"lockd://10.0.0.1:1,[2001:db8::1]:2,c:3":               "10.0.0.1:1,[2001:db8::1]:2,c:3",
		"lockd://[fe80::1%25eth0]:1,[fe80::2%25e]:2/?spread=1": "[fe80::1%eth0]:1,[fe80::2%e]:2",
		"redis://user:a,b@[::1]:1,b:2":                         "[::1]:1,b:2",
		"mem:":                                                 "",
		"mem://":                                               "",
	} {
		u, err := parseURL(raw)
		if err != nil || u.Host != want {
			t.Errorf("%s: host %v, want %s (%v)", raw, u, want, err)
		}
	}
	if u, err := parseURL("redis://user:a,b@[::1]:1,b:2/0?x=y,z#f"); err != nil || u.User.String() != "user:a,b" || u.Path != "/0" || u.RawQuery != "x=y,z" || u.Fragment != "f" {
		t.Errorf("%+v %v", u, err)
	}
	for _, raw := range []string{"lockd://[::1:7600,b:1", "lockd://b:1,[::1:7600", "lockd://a:1,b:x", "lockd://a:1,%zz", ":"} {
		if u, err := parseURL(raw); err == nil {
			t.Errorf("%s: taken as %v", raw, u)
		}
	}
}
