package cluster

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// identityDocument is the file: saved with a checksum over it, because a bit
// that flips in a promise would be a second promise.
type identityDocument struct {
	Identity json.RawMessage `json:"identity"`
	Check    string          `json:"crc32c"`
}

func encodeIdentity(s saved) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(identityDocument{Identity: body, Check: identityCheck(body)})
	return append(data, '\n'), err
}

func identityCheck(body []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli))
}

// readIdentity reads the identity in dir. It is fs.ErrNotExist if there is none.
func readIdentity(dir string) (saved, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return saved{}, fmt.Errorf("cluster: identity: %w", err)
	}
	var doc identityDocument
	var s saved
	if err := json.Unmarshal(data, &doc); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: %w (%s)", path, err, damaged)
	}
	if identityCheck(doc.Identity) != doc.Check {
		return saved{}, fmt.Errorf("cluster: %s is damaged: its checksum differs (%s)", path, damaged)
	}
	if err := json.Unmarshal(doc.Identity, &s); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: %w (%s)", path, err, damaged)
	}
	if s.Version != identityVersion {
		return saved{}, fmt.Errorf("cluster: %s has version %d, this program knows %d", path, s.Version, identityVersion)
	}
	if err := validID(s.ID); err != nil {
		return saved{}, fmt.Errorf("cluster: %s is damaged: node id: %w (%s)", path, err, damaged)
	}
	return s, nil
}
