package main

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// A manager is the systemd that has started this process and waits to hear that it
// is ready (Type=notify): a datagram to the socket that NOTIFY_SOCKET names, see
// sd_notify(3). nil is none.
//
// It is told nothing of a watchdog: a node whose disk hangs or whose state is not
// to be trusted ends by itself, and to end one that is only slow costs an election.
type manager struct{ conn *net.UnixConn }

// systemd finds it. What this process starts in turn must not speak for it.
func systemd() (*manager, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	_ = os.Unsetenv("NOTIFY_SOCKET")
	if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") { // an abstract one: net knows the @
		return nil, fmt.Errorf("NOTIFY_SOCKET=%s: not the path of a socket; only systemd should set it", path)
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: %w; only systemd should set it", err)
	}
	return &manager{conn}, nil
}

// tell says it once; a manager that is gone is no reason to stop.
func (m *manager) tell(state string) {
	if m != nil {
		_, _ = m.conn.Write([]byte(state))
	}
}

func (m *manager) close() {
	if m != nil {
		_ = m.conn.Close()
	}
}
