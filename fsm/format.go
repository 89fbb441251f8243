package fsm

import "strconv"

// String is the status as logs, metrics and storybooks say it.
func (s Status) String() string {
	if s > 0 && s < statusEnd {
		return statusNames[s]
	}
	return "status " + strconv.Itoa(int(s))
}

var statusNames = [statusEnd]string{
	StatusOK:           "ok",
	StatusQueued:       "queued",
	StatusBusy:         "busy",
	StatusTimeout:      "timeout",
	StatusAbandoned:    "abandoned",
	StatusNotHeld:      "not_held",
	StatusMaxHold:      "max_hold",
	StatusForced:       "forced",
	StatusSessionGone:  "session_gone",
	StatusFenced:       "fenced",
	StatusOldSeq:       "old_seq",
	StatusSeqReused:    "seq_reused",
	StatusWindow:       "window",
	StatusBadSecret:    "bad_secret",
	StatusLimit:        "limit",
	StatusInvalid:      "invalid",
	StatusKindConflict: "kind_conflict",
	StatusModeConflict: "mode_conflict",
	StatusLevel:        "level",

	StatusLimitConflict: "limit_conflict",
	StatusNobody:        "nobody",
}

// String is the op as logs, metrics and storybooks say it.
func (o Op) String() string {
	if o > 0 && o < opEnd {
		return opNames[o]
	}
	return "op " + strconv.Itoa(int(o))
}

var opNames = [opEnd]string{
	OpOpen:     "open",
	OpAttach:   "attach",
	OpRenew:    "renew",
	OpClose:    "close",
	OpAcquire:  "acquire",
	OpRelease:  "release",
	OpExtend:   "extend",
	OpAbandon:  "abandon",
	OpRead:     "read",
	OpTakeover: "takeover",
	OpMember:   "member",
	OpResume:   "resume",
}
