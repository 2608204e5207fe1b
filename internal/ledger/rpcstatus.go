package ledger

import "strconv"

// rpcStatuses are the HTTP statuses that stand for the codes of gRPC, as Google's APIs map
// them (google/rpc/code.proto).
var rpcStatuses = [...]int{
	0:  200, // OK
	1:  499, // CANCELLED
	2:  500, // UNKNOWN
	3:  400, // INVALID_ARGUMENT
	4:  504, // DEADLINE_EXCEEDED
	5:  404, // NOT_FOUND
	6:  409, // ALREADY_EXISTS
	7:  403, // PERMISSION_DENIED
	8:  429, // RESOURCE_EXHAUSTED
	9:  400, // FAILED_PRECONDITION
	10: 409, // ABORTED
	11: 400, // OUT_OF_RANGE
	12: 501, // UNIMPLEMENTED
	13: 500, // INTERNAL
	14: 503, // UNAVAILABLE
	15: 500, // DATA_LOSS
	16: 401, // UNAUTHENTICATED
}

// RPCStatus is the HTTP status that stands for what a gRPC call says in grpc-status: 0 for
// nothing, and 500 for what cannot be read.
func RPCStatus(values []string) int {
	if len(values) == 0 {
		return 0
	}
	code, err := strconv.ParseUint(values[0], 10, 8)
	if err != nil || len(values) > 1 || int(code) >= len(rpcStatuses) {
		return 500
	}
	return rpcStatuses[code]
}
