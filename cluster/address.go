package cluster

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"

	"github.com/lockd-io/lockd/fsm"
)

// validID tells what is wrong with a node id. The set of characters is small so
// that an id is the same in a flag, a URL, a log line and a metric.
func validID(id string) error {
	if id == "" {
		return errors.New("required")
	}
	if len(id) > fsm.MemberSizeMax {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(id), fsm.MemberSizeMax)
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return fmt.Errorf("%q: only letters, digits, '.', '_' and '-' are allowed", id)
		}
	}
	return nil
}

// purpose is what an address is for.
type purpose uint8

const (
	_          purpose = iota
	listenable         // port 0 and all addresses are fine
	dialable           // it must name one host and one port
)

// validAddress tells what is wrong with a HOST:PORT.
func validAddress(address string, p purpose) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return errors.New("not HOST:PORT")
	}
	if len(address) > fsm.MemberSizeMax {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(address), fsm.MemberSizeMax)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q is not a number in 0..65535", port)
	}
	if p == listenable {
		return nil
	}
	if number == 0 {
		return errors.New("port 0 cannot be dialled")
	}
	if unspecified(address) {
		return fmt.Errorf("%q is every host and so none", host)
	}
	return nil
}

// unspecified tells whether address names all addresses of a machine.
func unspecified(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// portAbove is address with the port after its own, where gossip is if address is
// a node's.
func portAbove(address string) (string, bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	number, err := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(number+1)), err == nil && number > 0 && number < math.MaxUint16
}

// portBeneath is address with the port before its own.
func portBeneath(address string) (string, bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	number, err := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(number-1)), err == nil && number > 1
}
