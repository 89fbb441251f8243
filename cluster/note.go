package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// Notes are what is said on a raft or forward stream before it is given to
// those who speak over it: a length u16 and JSON. They are read to the byte,
// unlike frames, because what follows is another's to read.
const noteSizeMax = 4096

func writeNote(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > noteSizeMax {
		return fmt.Errorf("%w: a note of %d bytes, at most %d are allowed", errBadMessage, len(data), noteSizeMax)
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint16(nil, uint16(len(data))), data...))
	return err
}

func readNote(r io.Reader, v any) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint16(size[:])
	if n > noteSizeMax {
		return fmt.Errorf("%w: a note of %d bytes, at most %d are allowed", errBadMessage, n, noteSizeMax)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", errBadMessage, err)
	}
	return nil
}

// examineTimeout is for an announcement and its verdict, the call back included.
const examineTimeout = 2 * controlTimeout

// within runs run, which speaks over c, until its deadline or the end of ctx.
func within(ctx context.Context, c net.Conn, run func() error) error {
	if err := c.SetDeadline(time.Now().Add(examineTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := run()
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}
