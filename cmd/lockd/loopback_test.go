package main

import (
	"log/slog"
	"strings"
	"testing"
)

// What others may reach wants a key and the word that no TLS is fine: all addresses of
// this machine, and each name but localhost, whatever it points to today.
func TestOffLoopback(t *testing.T) {
	for address, loopback := range map[string]bool{
		"127.0.0.1:7600": true, "127.8.8.8:7600": true, "[::1]:7600": true, "localhost:7600": true,
		":7600": false, "0.0.0.0:7600": false, "[::]:7600": false, "10.0.0.1:7600": false,
		"node-1:7600": false, "localhost.example:7600": false, "loopback:7600": false,
	} {
		if onLoopback(address) != loopback {
			t.Errorf("%s is on loopback: %v", address, !loopback)
		}
		for _, flags := range []serveFlags{{}, {insecure: true}} {
			for _, set := range []func(){
				func() { flags.config.Listen, flags.config.Advertise = address, "" },
				func() { flags.config.Listen, flags.config.Advertise = "127.0.0.1:7600", address },
			} {
				set()
				flags.config.ID, flags.config.DataDir, flags.config.Logger = "a", "data", slog.New(slog.DiscardHandler)
				err, wanted := flags.check(), "--insecure"
				if flags.insecure {
					wanted = "--gossip-key-file"
				}
				if loopback && err != nil || !loopback && (err == nil || !strings.Contains(err.Error(), wanted)) {
					t.Errorf("%+v: %v", flags.config, err)
				}
			}
		}
	}
}
