package cluster

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

func testConfig() Config {
	return Config{ID: "n1", DataDir: "/data", Listen: "127.0.0.1:7600"}
}

func TestConfigReportsAllThatIsWrong(t *testing.T) {
	c := Config{
		ID: "a b", Listen: "nowhere", Advertise: "0.0.0.0:1", Join: []string{"10.0.0.1:7600", "10.0.0.1:0", "10.0.0.1", ":7600"},
		BootstrapExpect: 10, ClusterKey: []byte("short"), HeartbeatTimeout: time.Hour, SnapshotBytes: -1,
		SnapshotInterval: time.Millisecond, TrailingLogs: 1 << 20,
	}
	err := c.validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, field := range []string{
		"ID:", "DataDir:", "Listen \"nowhere\":", "Advertise \"0.0.0.0:1\":", "Join \"10.0.0.1:0\":", "Join \"10.0.0.1\":", "Join \":7600\":",
		"BootstrapExpect", "ClusterKey", "HeartbeatTimeout", "SnapshotBytes", "SnapshotInterval", "TrailingLogs",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("does not mention %s\n%v", field, err)
		}
	}
	if strings.Contains(err.Error(), `"10.0.0.1:7600"`) {
		t.Errorf("mentions an address that is right\n%v", err)
	}
}

func TestConfigFields(t *testing.T) {
	key := bytes.Repeat([]byte{1}, clusterKeySizeMin)
	long := strings.Repeat("x", 256)
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string // "" is fine
	}{
		{"least", func(c *Config) {}, ""},
		{"port 0", func(c *Config) { c.Listen = "127.0.0.1:0" }, ""},
		{"localhost", func(c *Config) { c.Listen = "localhost:7600" }, ""},
		{"IPv6", func(c *Config) { c.Listen, c.Advertise = "[::1]:7600", "[::1]:7600" }, ""},
		{"all addresses", func(c *Config) { c.Listen, c.ClusterKey = ":7600", key }, "Advertise: required"},
		{"all addresses, advertised", func(c *Config) { c.Listen, c.Advertise, c.ClusterKey = ":7600", "n1.example:7600", key }, ""},
		{"off loopback without key", func(c *Config) { c.Listen = "10.0.0.1:7600" }, "ClusterKey: required"},
		{"advertised off loopback without key", func(c *Config) { c.Advertise = "n1.example:7600" }, "ClusterKey: required"},
		{"off loopback", func(c *Config) { c.Listen, c.ClusterKey = "10.0.0.1:7600", key }, ""},
		{"no listen", func(c *Config) { c.Listen = "" }, "Listen: required"},
		{"no id", func(c *Config) { c.ID = "" }, "ID: required"},
		{"long id", func(c *Config) { c.ID = long }, "ID: 256 bytes"},
		{"id with umlaut", func(c *Config) { c.ID = "nö" }, "only letters"},
		{"id", func(c *Config) { c.ID = "A-z_0.9" }, ""},
		{"port name", func(c *Config) { c.Advertise = "127.0.0.1:http" }, "not a number"},
		{"long address", func(c *Config) { c.Join = []string{long + ":1"} }, "bytes, at most"},
		{"negative expect", func(c *Config) { c.BootstrapExpect = -1 }, "BootstrapExpect -1"},
		{"heartbeat", func(c *Config) { c.HeartbeatTimeout = heartbeatTimeoutMin }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig()
			tc.change(&c)
			err := c.validate()
			if tc.want == "" && err != nil {
				t.Fatal(err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	c := testConfig().withDefaults()
	if c.Logger == nil || c.HeartbeatTimeout != 700*time.Millisecond || c.SnapshotBytes != 64<<20 || c.SnapshotInterval != 0 || c.TrailingLogs != 1024 {
		t.Fatalf("%+v", c)
	}
	bound := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}
	if got := c.advertised(bound); got != "127.0.0.1:4711" {
		t.Fatal(got)
	}
	c.Advertise = "n1.example:7600"
	if got := c.advertised(bound); got != "n1.example:7600" {
		t.Fatal(got)
	}
}

func TestPortBeneath(t *testing.T) {
	for address, want := range map[string]string{"h:7601": "h:7600", "[::1]:2": "[::1]:1", "h:1": "", "h:x": "", "h": ""} {
		got, ok := portBeneath(address)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %t, want %q", address, got, ok, want)
		}
	}
}
