package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"
)

// A snapshot begins with a label: what raft keeps beside it in a file, meta.json,
// that has no checksum of itself. One flipped bit there is another address of a
// member, which the node would believe; and as leader it would send it to others
// with its snapshot, and they would believe it too. The label is under the
// checksum of the content, and goes where that goes.

const (
	contentFile = "state.bin" // the library's
	labelMagic  = "lockd-snapshot-1"
	// labelFixed is what follows: version, index, term, the configuration's index
	// and length.
	labelFixed = 1 + 8 + 8 + 8 + 4
	// labelConfigurationMax: nine members take less than a thousandth of it.
	labelConfigurationMax = 1 << 20
)

func snapshotLabel(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration, configurationIndex uint64) []byte {
	encoded := raft.EncodeConfiguration(configuration)
	b := append([]byte(labelMagic), byte(version))
	b = binary.LittleEndian.AppendUint64(b, index)
	b = binary.LittleEndian.AppendUint64(b, term)
	b = binary.LittleEndian.AppendUint64(b, configurationIndex)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(encoded)))
	return append(b, encoded...)
}

// labelled is a sink of a snapshot that knows its label. Whoever takes a snapshot
// writes it first; one that comes from a leader has one already.
type labelled interface{ writeLabel() error }

// A labelledContent is read from the label on.
type labelledContent struct {
	io.Reader
	io.Closer
}

// errMeta is about a snapshot whose content is good.
var errMeta = errors.New("meta.json is not what the snapshot says of itself")

// checkLabel wants the content, in dir, to be of the snapshot that meta says it is,
// and returns it whole.
func checkLabel(meta *raft.SnapshotMeta, content io.ReadCloser, dir string) (io.ReadCloser, error) {
	if info, err := os.Stat(filepath.Join(dir, contentFile)); err != nil {
		return nil, err
	} else if info.Size() != meta.Size || filepath.Base(dir) != meta.ID {
		return nil, errMeta
	}
	want := snapshotLabel(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(content, got); err != nil {
		return nil, fmt.Errorf("label: %w", err)
	}
	if !bytes.Equal(got, want) {
		return nil, errMeta
	}
	return labelledContent{io.MultiReader(bytes.NewReader(got), content), content}, nil
}

// skipLabel reads up to what the machine wrote.
func skipLabel(content io.Reader) error {
	var head [len(labelMagic) + labelFixed]byte
	if _, err := io.ReadFull(content, head[:]); err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if string(head[:len(labelMagic)]) != labelMagic {
		return fmt.Errorf("label: it begins with %q", head[:len(labelMagic)])
	}
	length := binary.LittleEndian.Uint32(head[len(head)-4:])
	if length > labelConfigurationMax {
		return fmt.Errorf("label: a configuration of %d bytes", length)
	}
	_, err := io.CopyN(io.Discard, content, int64(length))
	return err
}
