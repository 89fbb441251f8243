package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// profileHeaderTimeout: whoever asks is on this machine.
const profileHeaderTimeout = 5 * time.Second

// serveProfiles serves /debug/pprof/ on an address of its own, on loopback only:
// a profile tells names, and takes the process's time. "" serves nothing. stop ends
// it.
func serveProfiles(address string, logger *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil || !onLoopback(address) {
		return nil, usage("--pprof %s: HOST:PORT on loopback is wanted", address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, usage("--pprof: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: profileHeaderTimeout}
	go func() { _ = server.Serve(l) }() // it ends with stop
	logger.Info("profiles are served", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	return func() { _ = server.Close() }, nil
}
