package main

import "slices"

// childFaults are of what keeps a command under its lock. Most of them let two
// holders run.
func childFaults() []fault {
	all := slices.Concat(lossFaults(), familyFaults(), signalFaults(), terminalFaults())
	for i := range all {
		all[i].property = "nothing of a command runs without its lock, and a terminal is as without one"
		all[i].file = "cmd/lockd/internal/child/" + all[i].file
		all[i].pkg = "./cmd/lockd/internal/child"
	}
	return all
}

// lossFaults are of the schedule of a loss.
func lossFaults() []fault {
	return []fault{
		{
			name: "run: no SIGKILL when validity is past",
			file: "supervisor.go",
			old:  "case left <= 0:\n\t\ts.kill()",
			new:  "case left <= 0:",
			test: "TestKillAtTheEnd|TestKillAtOnceWhenPast",
		},
		{
			name: "run: the command outlives its runner",
			file: "process_linux.go",
			old:  "Pdeathsig: syscall.SIGKILL",
			new:  "",
			test: "TestRunnerDies",
		},
		{
			name: "run: a renewal moves the kill of a command that was told to end",
			file: "supervisor.go",
			old:  "if s.ending && s.killAt.Before(until) {",
			new:  "if s.killed() {",
			test: "TestToldToEndIsNotToldOtherwise",
		},
		{
			name: "run: the kill does not come earlier when validity does",
			file: "supervisor.go",
			old:  "if s.ending && s.killAt.Before(until) {",
			new:  "if s.ending {",
			test: "TestKillMovesWithTheEnd",
		},
		{
			name: "run: a loss ends the command only if it was ending",
			file: "supervisor.go",
			old:  "lost = nil\n\t\t\ts.kill()",
			new:  "if lost = nil; s.ending {\n\t\t\t\ts.kill()\n\t\t\t}",
			test: "TestLossEndsAtOnce",
		},
		{
			name: "run: no look before the command goes on",
			file: "suspend.go",
			old:  "\ts.look()\n\tif s.killed() {",
			new:  "\tif s.killed() {",
			test: "TestLookBeforeItGoesOn",
		},
		{
			name: "run: a command that ended too late leaves something running",
			file: "supervisor.go",
			old:  "if ending.Lost {\n\t\ts.killAll()",
			new:  "if ending.Lost {",
			test: "TestNothingIsLeftByALostCommand",
		},
		{
			name: "run: an end after the end of validity is a good one",
			file: "supervisor.go",
			old:  " || time.Until(s.grant.ValidUntil()) <= 0",
			new:  "",
			test: "TestNothingIsLeftByALostCommand",
		},
	}
}

// familyFaults are of who belongs to a command, and stops with it.
func familyFaults() []fault {
	return []fault{
		{
			name: "run: the runner stops, its command does not",
			file: "suspend.go",
			old:  "if s.lost() || !s.process.freeze() {",
			new:  "if s.lost() {",
			test: "TestStopSignals|TestSilence/no_input",
		},
		{
			name: "run: the runner stops whoever refuses to",
			file: "family_linux.go",
			old:  "case running == 0:",
			new:  "case refused > 0, running == 0:",
			test: "TestRefusedStop",
		},
		{
			name: "run: what has a group of its own is forgotten",
			file: "family_linux.go",
			old:  "if up.parent == self || r.group == p.pid {",
			new:  "if r.group == p.pid {",
			test: "TestSignalsEndAll|TestStopSignals",
		},
		{
			name: "run: orphans with a group of their own are forgotten",
			file: "process_linux.go",
			old:  "unix.PR_SET_CHILD_SUBREAPER, 1",
			new:  "unix.PR_SET_CHILD_SUBREAPER, 0",
			test: "TestSignalsEndAll",
		},
	}
}

// signalFaults are of what signals end.
func signalFaults() []fault {
	return []fault{
		{
			name: "run: what a signalled command has left goes on",
			file: "supervisor.go",
			old:  "if !s.lost() && byUser {",
			new:  "if !s.lost() && byUser && had {",
			test: "TestSignalsEndAll",
		},
		{
			name: "run: who ignores the signal is waited for, for ever",
			file: "supervisor.go",
			old:  "left, refused := s.process.kill()\n\t\tif left == 0 {",
			new:  "left, refused := s.process.left(), 0\n\t\tif left == 0 {",
			test: "TestGraceOfWhatIsLeft",
		},
		{
			name: "run: a refused kill is taken for one",
			file: "supervisor.go",
			old:  "s.refused = refused > 0",
			new:  "s.refused = refused < 0",
			test: "TestRefusedKill",
		},
		{
			name: "run: a signal that does not arrive is not told of",
			file: "supervisor.go",
			old:  "errors.Is(err, unix.EPERM)",
			new:  "errors.Is(err, unix.EINVAL)",
			test: "TestRefusedKill",
		},
		{
			name: "run: USR1 ends the runner alone",
			file: "signals.go",
			old:  "case unix.SIGCHLD, unix.SIGCONT, unix.SIGWINCH:",
			new:  "case unix.SIGCHLD, unix.SIGCONT, unix.SIGWINCH, unix.SIGUSR1:",
			test: "TestSignalsEndAll",
		},
	}
}

// terminalFaults are of who has the terminal.
func terminalFaults() []fault {
	return []fault{
		{
			name: "run: who asks on the terminal is left stopped",
			file: "suspend.go",
			old:  "case by == unix.SIGTTIN || by == unix.SIGTTOU:",
			new:  "case by == unix.SIGTTIN && s.warned:",
			test: "TestPrompt",
		},
		{
			name: "run: the terminal does not come back to the pager",
			file: "suspend.go",
			old:  "signalOthers(s.own, unix.SIGCONT)",
			new:  "_ = sig",
			test: "TestTerminalGoesRound",
		},
		{
			name: "run: Ctrl-C ends the command, and not the script",
			file: "supervisor.go",
			old:  "ending.Signal, ending.Typed = sig, true",
			new:  "ending.Signal = sig",
			test: "TestCtrlCEndsAll",
		},
		{
			name: "run: SIGQUIT leaves a core of the runner",
			file: "end.go",
			old:  "noCore()",
			new:  "_ = noCore",
			test: "TestQuitLeavesNoCore",
		},
	}
}
