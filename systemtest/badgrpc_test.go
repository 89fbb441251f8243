//go:build system

package systemtest

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
	statuses "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/lockd-io/lockd/fsm"
	"github.com/lockd-io/lockd/lockapi"
	"github.com/lockd-io/lockd/lockapi/remote"
)

// What is asked by gRPC: well formed commands that cannot be, and what is none.
func badGRPC(c *cluster) []refusal {
	acquire := func(wants ...fsm.Want) func(*testing.T) (string, string) {
		return c.raw(fsm.Command{Op: fsm.OpAcquire, Owner: "o", Wants: wants})
	}
	const inspect = "/lockd.v1.Lockd/Inspect"
	return []refusal{
		{"an empty name", acquire(lockapi.Exclusive("")), "invalid", "1..512 bytes"},
		{"a name that is not UTF-8", acquire(lockapi.Exclusive("\xff")), "invalid", "UTF-8"},
		{"a name twice", acquire(lockapi.Exclusive("a"), lockapi.Shared("a")), "invalid", "no name twice"},
		{"no name", acquire(), "invalid", "1..64"},
		{"a semaphore with another limit", acquire(lockapi.Permits("rooms", 1, 4)), "limit_conflict", "all must say the same limit"},
		{"a lock as a semaphore", acquire(lockapi.Permits("before", 1, 4)), "kind_conflict", "use another name"},
		{"no permits", acquire(lockapi.Permits("rooms", 0, 3)), "invalid", "permits"},
		{"releasing what is not held", c.raw(fsm.Command{Op: fsm.OpRelease, Grant: 1}), "not_held", "nothing was changed"},
		{"a TTL out of range", c.do(fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: 3}, Secret: fsm.Secret{1}, TTL: 1}), "invalid", "500ms..24h"},
		{"speaking for another session", c.do(fsm.Command{Op: fsm.OpClose, Session: 1, Incarnation: 1, Seq: 1}), "bad_secret", "wrong secret"},
		{"an unknown session", c.attach(999999), "refused", "session gone"},
		{"a message that is none", c.call(inspect, []byte("\xff\xff\xff")), "gRPC Internal", "unmarshal"},
		{"a message cut short", c.call(inspect, []byte("\x0a\x40abc")), "gRPC Internal", "unmarshal"},
		{"a message of 2 MiB", c.call(inspect, make([]byte, 2<<20)), "gRPC ResourceExhausted", "larger than max (2097152 vs. 1048576)"},
		{"a name of 513 bytes to look at", c.call(inspect, append([]byte("\x0a\x81\x04"), strings.Repeat("n", 513)...)), "gRPC InvalidArgument", "1..512 bytes"},
		{"a method that there is not", c.call("/lockd.v1.Lockd/Steal", nil), "gRPC Unimplemented", "unknown method Steal"},
		{"a service that there is not", c.call("/etcdserverpb.Lease/LeaseGrant", nil), "gRPC Unimplemented", "unknown service etcdserverpb.Lease"},
		{"who knows only how to ask by reflection", c.foreigner, "gRPC OK", "Inspect finds"},
	}
}

func (c *cluster) dial(t *testing.T) *remote.Backend {
	t.Helper()
	b, err := remote.Open(strings.Split(c.endpoints(), ","), remote.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// do sends one command, and tells the machine's word for how it ended.
func (c *cluster) do(command fsm.Command) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) { return answered(t, c.dial(t), command) }
}

// raw is do within a session of its own, which it closes.
func (c *cluster) raw(command fsm.Command) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		b := c.dial(t)
		opened, err := b.Do(t.Context(), fsm.Command{Op: fsm.OpOpen, Nonce: fsm.Nonce{Hi: 1, Lo: 2}, Secret: fsm.Secret{1}, TTL: fsm.Second})
		if err != nil || opened.Status != fsm.StatusOK {
			t.Fatalf("open: %+v, %v", opened, err)
		}
		command.Session, command.Incarnation, command.Seq = opened.Session, 1, 1
		outcome, message := answered(t, b, command)
		closing := fsm.Command{Op: fsm.OpClose, Session: opened.Session, Incarnation: 1, Seq: 2}
		if r, err := b.Do(t.Context(), closing); err != nil || r.Status != fsm.StatusOK {
			t.Errorf("close: %+v, %v", r, err)
		}
		return outcome, message
	}
}

func answered(t *testing.T, b *remote.Backend, command fsm.Command) (string, string) {
	t.Helper()
	r, err := b.Do(t.Context(), command)
	if err != nil {
		return "refused", err.Error()
	}
	why := lockapi.ErrorOf(r)
	if command.Op == fsm.OpAcquire {
		why = lockapi.Refusal(command.Wants, r)
	}
	return r.Status.String(), fmt.Sprint(why)
}

func (c *cluster) attach(id fsm.SessionID) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		_, err := c.dial(t).Attach(t.Context(), lockapi.Attachment{Session: id, Incarnation: 1, Renewal: 1})
		return "refused", fmt.Sprint(err)
	}
}

// bytesCodec sends bytes as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error)   { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(b []byte, v any) error { *v.(*[]byte) = b; return nil }
func (bytesCodec) Name() string                    { return "proto" }

func (c *cluster) conn(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(c.nodes[1].listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call sends the bytes as a message.
func (c *cluster) call(method string, message []byte) func(*testing.T) (string, string) {
	return func(t *testing.T) (string, string) {
		var answer []byte
		err := c.conn(t).Invoke(t.Context(), method, &message, &answer, grpc.ForceCodec(bytesCodec{}))
		return "gRPC " + statuses.Code(err).String(), statuses.Convert(err).Message()
	}
}

// foreigner has nothing of ours: it asks which services there are and what their
// messages look like, and reads a lock with that.
func (c *cluster) foreigner(t *testing.T) (string, string) {
	conn := c.conn(t)
	names, files := reflected(t, conn)
	found, err := files.FindDescriptorByName("lockd.v1.Lockd")
	if err != nil {
		t.Fatalf("among %v: %v", names, err)
	}
	method := found.(protoreflect.ServiceDescriptor).Methods().ByName("Inspect")
	ask, answer := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	ask.Set(method.Input().Fields().ByName("name"), protoreflect.ValueOfString("before"))
	if err := conn.Invoke(t.Context(), "/lockd.v1.Lockd/Inspect", ask, answer); err != nil {
		return "gRPC " + statuses.Code(err).String(), statuses.Convert(err).Message()
	}
	token := uint64(0)
	locks := answer.Get(method.Output().Fields().ByName("locks")).List()
	for i := range locks.Len() {
		lock := locks.Get(i).Message()
		holders := lock.Get(lock.Descriptor().Fields().ByName("holders")).List()
		for k := range holders.Len() {
			holder := holders.Get(k).Message()
			token = holder.Get(holder.Descriptor().Fields().ByName("token")).Uint()
		}
	}
	if want := number(t, c.show("before").Holders[0].Token); token != want {
		t.Errorf("it finds token %d, not %d, in %v", token, want, answer)
	}
	return "gRPC " + codes.OK.String(), fmt.Sprintf("among %v Inspect finds token %d", names, token)
}

// reflected asks for the names of all services, and for the files of ours.
func reflected(t *testing.T, conn *grpc.ClientConn) ([]string, *protoregistry.Files) {
	t.Helper()
	stream, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := func(ask *reflection.ServerReflectionRequest) *reflection.ServerReflectionResponse {
		if err := stream.Send(ask); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var names []string
	list := &reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}
	for _, s := range asked(list).GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	symbol := &reflection.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "lockd.v1.Lockd"}
	var set descriptorpb.FileDescriptorSet
	for _, b := range asked(&reflection.ServerReflectionRequest{MessageRequest: symbol}).GetFileDescriptorResponse().GetFileDescriptorProto() {
		var file descriptorpb.FileDescriptorProto
		if err := proto.Unmarshal(b, &file); err != nil {
			t.Fatal(err)
		}
		set.File = append(set.File, &file)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	return names, files
}
