package main

// logFaults are those of Raft's log on the disk.
func logFaults() []fault {
	const pkg = "./cluster/raftlog"
	return []fault{
		{
			name: "log: an append is not flushed", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/append.go", old: "if err := flush(l.tail.file); err != nil {", new: "if err := error(nil); err != nil {",
			pkg: pkg, test: "TestAppendIsFlushed",
		},
		{
			name: "log: a segment is not flushed", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/segment.go", old: "{\"flush\", file.Sync},", new: "{\"flush\", func() error { return nil }},",
			pkg: pkg, test: "TestSegmentIsFlushed",
		},
		{
			name: "log: a segment's name is not flushed", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/segment.go", old: "func() error { return flushDir(directory) }},", new: "func() error { return nil }},",
			pkg: pkg, test: "TestSegmentIsFlushed",
		},
		{
			name: "log: a record is of any segment", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/record.go", old: "crc32.Update(crc32.Update(seed, castagnoli, place[:])", new: "crc32.Update(crc32.Update(0*seed, castagnoli, place[:])",
			pkg: pkg, test: "TestRecordIsOfItsPlace",
		},
		{
			name: "log: a record is of any place", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/record.go", old: "binary.LittleEndian.PutUint64(place[:], uint64(offset))", new: "binary.LittleEndian.PutUint64(place[:], uint64(0*offset))",
			pkg: pkg, test: "TestRecordIsOfItsPlace",
		},
		{
			name: "log: what follows a damaged write is not looked at", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "err == nil && h.write > r.log.write+1", new: "err == nil && h.write > r.log.write+1<<40",
			pkg: pkg, test: "TestDamageIsNoShorterLog",
		},
		{
			name: "log: writes need not be numbered without gaps", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "if h.write != l.write+1 {", new: "if h.write == 0 {",
			pkg: pkg, test: "TestWritesAreNumbered",
		},
		{
			name: "log: segments need not follow each other", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "if s.first != l.write+1 {", new: "if s.first == 0 {",
			pkg: pkg, test: "TestSegmentsFollowEachOther",
		},
		{
			name: "log: whatever is at its place is the entry", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/log.go", old: "err != nil || h.index != index", new: "err != nil",
			pkg: pkg, test: "TestEntryIsTheOneAskedFor",
		},
		{
			name: "log: extensions are as long as they say", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/record.go", old: "h.extensions > h.size ||", new: "h.extensions > payloadMax ||",
			pkg: pkg, test: "TestExtensionsArePartOfThePayload",
		},
		{
			name: "log: a torn write is kept", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "if h.flags&flagLast == 0 {", new: "if h.flags&flagLast == 0 && len(write) > 9 {",
			pkg: pkg, test: "TestTornWriteIsDropped|TestLogProperties",
		},
		{
			name: "log: what a torn write left stays", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "end > l.offset {\n\t\ttorn", new: "end < 0 {\n\t\ttorn",
			pkg: pkg, test: "TestTornWriteLeavesNothing",
		},
		{
			name: "log: a segment that is lost was never there", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "case ended && len(rest) == 0:", new: "case ended && len(rest) > 9:",
			pkg: pkg, test: "TestDamageOfFiles",
		},
		{
			name: "log: a segment without its end is the last", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "case len(rest) > 0:", new: "case len(rest) > 9:",
			pkg: pkg, test: "TestDamageIsNoShorterLog",
		},
		{
			name: "log: it goes on after a write that failed", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/append.go", old: "if l.failed != nil {", new: "if false {",
			pkg: pkg, test: "TestCrashAtEveryStepOfRotation",
		},
		{
			name: "log: the next segment is made when it is needed", property: "a sound node does not stop",
			file: "cluster/raftlog/append.go", old: "l.offset < l.tail.size/2 {", new: "l.offset < l.tail.size*2 {",
			pkg: pkg, test: "TestLogGoesOnWithoutDescriptors",
		},
		{
			name: "log: what it had no descriptors for is the end", property: "a sound node does not stop",
			file: "cluster/raftlog/append.go", old: "l.rotate(size); OutOfDescriptors(err) {", new: "l.rotate(size); err == errClosed {",
			pkg: pkg, test: "TestLogGoesOnWithoutDescriptors",
		},
		{
			name: "log: all of its segments are open", property: "a sound node does not stop",
			file: "cluster/raftlog/open.go", old: "if err = errors.Join(err, s.close()); err != nil {", new: "if err != nil {",
			pkg: pkg, test: "TestLogTakesFewDescriptors",
		},
		{
			name: "log: another's segments are taken", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/segment.go", old: "if !bytes.Equal(header[32:48], mark[:]) {", new: "if !bytes.Equal(mark[:], mark[:]) {",
			pkg: pkg, test: "TestLogOfAnother",
		},
		{
			name: "log: the end of a segment is not flushed once more", property: "S4: nothing acknowledged is lost",
			file: "cluster/raftlog/open.go", old: "if len(rest) == 1 {", new: "if len(rest) > 9 {",
			pkg: pkg, test: "TestEndOfASegmentIsDurable",
		},
	}
}
