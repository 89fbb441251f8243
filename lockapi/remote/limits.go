package remote

import "time"

const (
	// endpointsMax: addresses to try, given and learnt. A cluster has at most
	// 64 members.
	endpointsMax = 128
	// placesMax: addresses of one name that are tried, far above the nodes that
	// one name is given to.
	placesMax = 32
	// introduceMin, introduceMax: between two questions to endpoints that have not
	// said yet to which cluster they belong; twice as long each time.
	introduceMin = 5 * time.Second
	introduceMax = time.Minute
	// sessionsKept: sessions that nobody has spoken for in a while are forgotten
	// when there are more than this.
	sessionsKept = 1 << 14
	// opensMax: sessions that are opened at a time; more wait for their turn, so
	// that what the first ones say next is not behind the last one's opening.
	opensMax = 1024
	// feedBuffered: events in a session's channel; feedQueueMax: further ones
	// that wait for it. What is beyond is dropped, and comes again with the
	// next renewal. One entry of the log may grant to hundreds of waiters of
	// one session.
	feedBuffered = 32
	feedQueueMax = 4096

	// helloTimeout: from dialling to the first frame. Nodes answer at once or
	// are no use.
	helloTimeout = 1500 * time.Millisecond
	// stagger: between the dialling of one endpoint and the next, so that a
	// healthy first one is not raced by all the rest.
	stagger = 20 * time.Millisecond
	// patience: how long a node that does not lead waits for the one that does,
	// and how long the first link waits for the other endpoints to say to which
	// cluster they belong.
	patience = 500 * time.Millisecond
	// look: how often the link is looked at.
	look = 250 * time.Millisecond
	// quietLooks: looks without a frame, while something waits for an answer,
	// after which the link is given up: a second. Links given up in a row
	// double it, up to quietDoublings times, so that a cluster without a
	// leader is not buried in repetitions.
	quietLooks     = 4
	quietDoublings = 4
	// sessionsALook: a link may be silent for one look more for each so many
	// sessions, two seconds more when it is full.
	sessionsALook = 4096
	// idleLooks: looks without a word, while sessions hold or wait and nothing is
	// asked, after which the node is asked for a sign of life: two seconds.
	idleLooks = 8
	// leaderlessLooks: looks at a node that knows of no leader, after which another
	// is sought: longer than an election takes. It doubles as quietLooks does.
	leaderlessLooks = 16
	// doubtAfter: a link younger than this is not doubted yet.
	doubtAfter = 250 * time.Millisecond
	// avoidMin, avoidMax: how long an address that has failed is the last
	// choice; twice as long each time.
	avoidMin = time.Second
	avoidMax = 30 * time.Second
	// forgiveAfter: a link that has lived for this long clears its address.
	forgiveAfter = 5 * time.Second
	// backoffMin, backoffMax: between two rounds over all endpoints.
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Second
	// inspectTimeout: for one node to answer an Inspect or Status.
	inspectTimeout = 3 * time.Second
	// windowSize: bytes that a node may send ahead.
	windowSize = 1 << 20
)
