// Package child runs a command for as long as a grant is valid, and not a
// moment longer than the system lets it.
//
// # The schedule of a loss
//
// By the runner's own clock:
//
//	        grace
//	... ──┬────────┬─────────────┬──
//	  SIGTERM   SIGKILL       the system may expire the session
//	            ValidUntil    (the grant keeps a margin)
//
// A renewal moves the schedule, but only until SIGTERM is sent: a command
// that was told to end is not told otherwise. If at the first look (after the
// machine slept, say) validity is past, SIGKILL comes at once. If the runner
// dies, the kernel kills the command.
//
// # Groups
//
// The command always leads a process group of its own, which is no job of the
// shell's. Were it in the runner's group, a shell's fg would continue both at
// once: a command whose lock was lost while the job was stopped would run on,
// beside the next holder, until the runner has looked. As it is, nobody but
// the runner continues the command, and it looks first.
//
// The terminal is the controlling one (/dev/tty), whatever the command's
// standard input is. Which group is in its foreground depends on the shell's
// job:
//
//   - The runner is alone in its group, as when it is typed by itself: the
//     command's group has the terminal from the start. What is typed, Ctrl-C and
//     Ctrl-Z too, is for the command.
//   - Others share the runner's group (a pager behind a pipe, the shell of a
//     script): it keeps the terminal, or the kernel would stop the pager at its
//     first key, and Ctrl-C would not end the script. What signals come of what
//     is typed the runner passes on. A command that wants the terminal all the
//     same, to ask for a password, is stopped by the kernel (SIGTTIN, SIGTTOU);
//     the runner sees it, puts it into the foreground and continues it. It
//     takes the terminal back when one of the others asks in the same way.
//   - The runner's group is itself in the background: it stops like any job
//     that wants a terminal which is not its own, and the shell says so.
//
// # Stops
//
// Before the runner is stopped by a signal that can be caught (SIGTSTP,
// SIGTTIN, SIGTTOU) all of the command is: SIGTSTP, so that an editor can put
// the terminal in order, then SIGSTOP. Should something of it refuse, the
// runner does not stop. Nothing renews the grant meanwhile; the first thing
// after a continue is a look at it.
//
// # Signals
//
// Whatever ends a program by default, and SIGWINCH and SIGCONT, is passed on to
// the command's group. Not so SIGPIPE, SIGURG, SIGPROF and SIGCHLD, which
// befall the runner by its own doing, and 32 to 34, which are the C library's.
//
// When a command has ended by such a signal, or after one, what it left
// behind is ended before Run returns: SIGTERM, and SIGKILL a grace later. The
// same if it had the terminal and did not end well, for then nobody but it has
// seen what was typed. A command that ends by itself may leave something
// running, outside of the lock.
//
// # All of a command
//
// On Linux that is whoever descends from it in its session: a process that
// only has a group of its own, as under timeout(1) or in the jobs of a shell, does
// not escape. The runner is made the one to whom orphans fall (a subreaper), so
// that who lost its parent is found too. Who opened a session of his own
// (setsid, as daemons do) has left. Elsewhere it is the group.
//
// # What it never does
//
// Kill what left the session, or anything of a command that ended by itself
// while the grant was valid. It cannot kill a process of another user, what
// sudo is to an ordinary one; it says so, at once. A runner that is stopped by
// SIGSTOP cannot kill anybody until it is continued, nor can it if somebody
// else continues a command whose runner is stopped; the token is for that, and
// for a grant that an operator took away.
package child
