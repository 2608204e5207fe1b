package caddymodule_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// newRPCApp is a server of gRPC. A call says how it is to end: "<messages> <code> <price>".
func newRPCApp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		asked := new(wrapperspb.StringValue)
		if err := stream.RecvMsg(asked); err != nil {
			return err
		}
		var messages int
		var code uint32
		var price string
		_, _ = fmt.Sscan(asked.Value, &messages, &code, &price)
		if method, _ := grpc.MethodFromServerStream(stream); method == "/test.App/Header" {
			_ = stream.SetHeader(metadata.Pairs("x-charge-credits", price))
		} else if price != "" {
			stream.SetTrailer(metadata.Pairs("x-charge-credits", price))
		}
		for range messages {
			if err := stream.SendMsg(wrapperspb.String("paid")); err != nil {
				return err
			}
		}
		if method, _ := grpc.MethodFromServerStream(stream); method == "/test.App/Talk" {
			if err := stream.RecvMsg(asked); err != nil {
				return err
			}
		}
		if code == 99 { // waits for the client's time limit
			<-stream.Context().Done()
			return status.FromContextError(stream.Context().Err()).Err()
		}
		return status.Error(codes.Code(code), "as asked")
	}))
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// rpc makes a call and reads its messages to the end.
func rpc(t *testing.T, conn *grpc.ClientConn, ctx context.Context, method, how string) (messages int, header, trailer metadata.MD, err error) {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.App/"+method)
	if err != nil {
		return 0, nil, nil, err
	}
	if err := stream.SendMsg(wrapperspb.String(how)); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, nil, err
	}
	_ = stream.CloseSend()
	for {
		if err = stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			break
		}
		messages++
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	header, _ = stream.Header()
	return messages, header, stream.Trailer(), err
}

// dialRPC is a client of gRPC at the bench's port.
func dialRPC(t *testing.T, b *bench) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///127.0.0.1:"+b.Port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func rpcContext(t *testing.T, pairs ...string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func rpcSite(t *testing.T, charge string) *bench {
	b := newSecureBench(t)
	b.mustLoad(everyProtocol(rich(usualDodo), "", usualGateway+charge+"\n\treverse_proxy h2c://"+newRPCApp(t)))
	return b
}

// A call of gRPC costs credits only if it succeeds, which it tells behind its messages,
// over a status of HTTP that is always 200.
func TestChargeOfCalls(t *testing.T) {
	b := rpcSite(t, `
	dodo_charge 2 {
		max 9
	}`)
	conn := dialRPC(t, b)
	for i, tt := range []struct {
		method, how string
		messages    int
		code        codes.Code
		charged     int64
	}{
		{"Call", "1 0", 1, codes.OK, 2},
		{"Call", "0 0", 0, codes.OK, 2},
		{"Call", "3 0 7", 3, codes.OK, 7},
		{"Call", "1 0 0", 1, codes.OK, 0},
		{"Call", "1 0 x", 1, codes.OK, 2},
		{"Header", "1 0 7", 1, codes.OK, 7},
		{"Call", "0 13", 0, codes.Internal, 0},
		{"Call", "0 5 7", 0, codes.NotFound, 0},
		{"Call", "2 14", 2, codes.Unavailable, 2}, // a client can make most failures
		{"Call", "2 8 7", 2, codes.ResourceExhausted, 7},
		{"Call", "2 13 0", 2, codes.Internal, 0},
		{"Header", "1 3 7", 1, codes.InvalidArgument, 7},
		{"Call", "0 4", 0, codes.DeadlineExceeded, 0},
		{"Call", "2 4", 2, codes.DeadlineExceeded, 2},
	} {
		user := fmt.Sprint("user", i)
		messages, header, trailer, err := rpc(t, conn, rpcContext(t, "x-test-user", user), tt.method, tt.how)
		if messages != tt.messages || status.Code(err) != tt.code {
			t.Errorf("%s: %d messages, %v", tt.how, messages, err)
		}
		told := append(header["x-credits-charged"], trailer["x-credits-charged"]...)
		if want := fmt.Sprint(tt.charged); len(told) == 0 || told[len(told)-1] != want {
			t.Errorf("%s: told %v, want %s", tt.how, told, want)
		}
		if header["x-charge-credits"] != nil || trailer["x-charge-credits"] != nil {
			t.Errorf("%s: the price reached the client: %v %v", tt.how, header, trailer)
		}
		b.leaves(user, 100-tt.charged)
	}
}

// A client that leaves a stream behind a part of it, or sets a limit to its time, pays
// for the part.
func TestChargeOfCallsThatBreakOff(t *testing.T) {
	b := rpcSite(t, "\n\tdodo_charge 2 {\n\t\tmax 9\n\t}")
	conn := dialRPC(t, b)
	ctx, cancel := context.WithCancel(rpcContext(t, "x-test-user", "alice"))
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.App/Call")
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(wrapperspb.String("1 99 7"))
	_ = stream.CloseSend()
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
		t.Fatal(err)
	}
	cancel()
	b.leaves("alice", 98)
}

// A call that is refused gets a status of gRPC, with HTTP's 200.
func TestRefusedCalls(t *testing.T) {
	b := rpcSite(t, `
	dodo_require /test.App/Paid paid
	dodo_charge /test.App/Dear 101
	dodo_charge /test.App/Keyed 1`)
	conn := dialRPC(t, b)
	for _, tt := range []struct {
		method, user, key string
		code              codes.Code
		message           string
	}{
		{"Paid", "", "", codes.Unauthenticated, "unauthenticated: "},
		{"Paid", "alice", "", codes.PermissionDenied, "payment_required: "},
		{"Dear", "", "", codes.Unauthenticated, "unauthenticated: "},
		{"Dear", "alice", "", codes.ResourceExhausted, "insufficient_credits: This needs 101 credits, and you have 100."},
		{"Keyed", "alice", "a b", codes.InvalidArgument, "invalid_idempotency_key: "},
		{"Keyed", "alice", "k", codes.OK, ""},
		{"Keyed", "alice", "k", codes.AlreadyExists, "idempotency_key_finished: "},
	} {
		pairs := []string{"x-test-user", tt.user}
		if tt.key != "" {
			pairs = append(pairs, "idempotency-key", tt.key)
		}
		_, _, _, err := rpc(t, conn, rpcContext(t, pairs...), tt.method, "1 0")
		if got := status.Convert(err); got.Code() != tt.code || !strings.HasPrefix(got.Message(), tt.message) {
			t.Errorf("%+v: %v", tt, err)
		}
		if tt.code == codes.OK {
			b.leaves("alice", 99)
		}
	}

	// gRPC-Web is told in headers; the routes of the gateway itself speak HTTP.
	for path, want := range map[string]struct {
		contentType string
		status      int
		rpc         string
	}{
		"/test.App/Dear":    {"application/grpc-web-text+proto; charset=utf-8", 200, "8"},
		"/test.App/Paid":    {"Application/gRPC+json", 200, "7"},
		"/test.App/./Dear":  {"application/grpcx", 402, ""},
		"/payments/webhook": {"application/grpc", 400, ""},
	} {
		a := b.do("POST", path, "", "X-Test-User", "alice", "Content-Type", want.contentType)
		if a.status != want.status && (want.rpc != "" || a.status < 400) || a.header.Get("Grpc-Status") != want.rpc {
			t.Errorf("%s: %d %v %s", path, a.status, a.header, a.body)
		}
	}
}

// What a client sends behind a part of the answer can make a call fail in many ways.
func TestChargeOfCallsThatTheClientSpoils(t *testing.T) {
	b := rpcSite(t, "\n\tdodo_charge 2 {\n\t\tmax 9\n\t}")
	stream, err := dialRPC(t, b).NewStream(rpcContext(t, "x-test-user", "alice"), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.App/Talk")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(wrapperspb.String("3 0")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			t.Fatal(err)
		}
	}
	_ = stream.SendMsg(wrapperspb.String(strings.Repeat("x", 5<<20))) // more than servers read
	if err := stream.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.ResourceExhausted {
		t.Fatal(err)
	}
	b.leaves("alice", 98)
}
