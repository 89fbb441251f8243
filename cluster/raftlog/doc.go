// Package raftlog keeps Raft's log on disk with one flush per append.
//
// A log is a directory of segments, files of a fixed size that are allocated
// when they are made, so that a flush has little more to write than the
// entries. An append is one write: its records back to back, then one flush. The file of
// the next is made when the last is half full; besides these two, one is open at a time,
// that which is read.
//
//	segment: header | record record ... | zeros
//	record:  header with a checksum | payload, padded to eight bytes
//
// Nothing on disk is ever changed: to delete a suffix is to append other
// entries under its indexes, to delete a prefix is to unlink segments once all
// of their entries are deleted. What is deleted and not yet replaced may be
// there again after a crash, as if the deletion had not been asked for. Raft
// acknowledges nothing in between.
//
// What a crash may leave is one write that is torn, at the end of the last
// segment; it was never acknowledged and is dropped, whole. Everything else
// that does not read as it was written is an error of Open and not a shorter
// log: a node that forgot what it acknowledged would let a majority forget it.
// Records bear the number of their write, so that a valid record of a later
// write after one that is not valid proves that an acknowledged one is damaged;
// their checksums cover the file and the place in it; and a segment that goes on
// in another says so, and knows whose it is. What cannot be told from a torn
// write is damage that reaches to the end of the log: to its very last write, or
// to the last few if no record behind the first of them is whole. That the log was
// closed in good order does not help, since nothing is written then (Alagappan et
// al., Protocol-Aware Recovery for Consensus-Based Storage, FAST 2018, section 3.3).
package raftlog
