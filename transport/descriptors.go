package transport

import "os"

// A room says whom there are descriptors for.
type room int

const (
	_         room = iota
	ample          // for everybody
	nodesOnly      // for the streams of nodes, and for files
	filesOnly      // for files
)

// Descriptors tells a server of connections whether the process may take more of
// them, whoever has those that are open. The zero value is ready; one goroutine at a
// time may use it.
type Descriptors struct {
	last   room // what was found when they were last counted
	credit int  // how often that is still good
}

// Crowded tells, of a connection that was accepted, that the process has no
// descriptors left but for its files and for nodes that have proved themselves:
// whoever may be anybody is to be closed.
func (d *Descriptors) Crowded() bool { return d.left() != ample }

// left counts what is open. That takes a while when it is much, so it is not done for
// each connection: where there is room, not before a part of it can be gone, and where
// there is none, for one in many, since others go for those that come.
func (d *Descriptors) left() room {
	if d.credit > 0 {
		d.credit--
		return d.last
	}
	limit, limited := descriptorLimit()
	open, known := openDescriptors()
	if !limited || !known {
		d.last, d.credit = ample, uncounted
		return ample
	}
	d.last = roomOf(limit, open)
	d.credit = open / countedPart
	if d.last == ample {
		d.credit = (limit - open - DescriptorsOwn - descriptorsNodes(limit)) / roomPart
	}
	return d.last
}

func roomOf(limit, open int) room {
	switch {
	case open+DescriptorsOwn > limit:
		return filesOnly
	case open+DescriptorsOwn+descriptorsNodes(limit) > limit:
		return nodesOnly
	}
	return ample
}

func descriptorsNodes(limit int) int { return min(DescriptorsNodes, limit/4) }

// openDescriptors counts those of this process, where the system lists them.
func openDescriptors() (open int, known bool) {
	list, err := os.Open("/dev/fd")
	if err != nil {
		return 0, false
	}
	defer list.Close()
	names, err := list.Readdirnames(-1)
	return len(names) - 1, err == nil // but for list itself
}

// tellLimit says at the start that fewer connections will be served than o allows.
func (o *Options) tellLimit() {
	limit, limited := descriptorLimit()
	if wanted := o.ClientsMax + o.ProbationMax + DescriptorsOwn + DescriptorsNodes; limited && limit < wanted {
		o.Logger.Warn("the limit of open files is low: clients are refused before they are as many as a node serves; raise it "+
			"(ulimit -n, or LimitNOFILE= in a unit)", "limit", limit, "wanted", wanted)
	}
}
