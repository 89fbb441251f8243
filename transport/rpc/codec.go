package rpc

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

var errMalformed = errors.New("malformed frame")

// Codec is the encoding of messages that both ends of a stream use: protobuf,
// with the frames of streams encoded by hand. Servers in this module have it;
// clients that send with a Packer and receive into a Frame must be given it
// with grpc.ForceCodecV2.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(proto.Name)} }

type codec struct{ messages encoding.CodecV2 }

// Name implements encoding.CodecV2. On the wire it is protobuf.
func (codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if p, ok := v.(*Packed); ok {
		return mem.BufferSlice{mem.NewBuffer(p.data, p.pool)}, nil
	}
	return c.messages.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	var decode func([]byte) error
	switch f := v.(type) {
	case *commandFrame:
		decode = f.decode
	case *Frame:
		decode = f.decode
	default:
		return c.messages.Unmarshal(data, v)
	}
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	if err := decode(whole.ReadOnlyData()); err != nil {
		return fmt.Errorf("lockd.v1: %w", err)
	}
	return nil
}
