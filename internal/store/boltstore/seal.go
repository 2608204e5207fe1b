package boltstore

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/dodogate/dodogate/internal/book"
)

// A value of an account is sealed: a mark, a checksum of account, key and value, and the value.
// No value of the first format begins with the mark, so those are read as they are, and sealed
// when they are written.
const (
	sealMark = 0xc5
	sealSize = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(account string, key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, append(append(make([]byte, 0, 64), account...), 0))
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, value)
}

func seal(account string, key, value []byte) []byte {
	sealed := append(make([]byte, 0, sealSize+len(value)), sealMark)
	return append(binary.BigEndian.AppendUint32(sealed, checksum(account, key, value)), value...)
}

// unseal is the value in what the file has under a key. It reports a value that seal did not write
// like this, or not for this key.
func unseal(account string, key, stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != sealMark {
		return stored, nil
	}
	if len(stored) < sealSize || binary.BigEndian.Uint32(stored[1:]) != checksum(account, key, stored[sealSize:]) {
		return nil, book.Damaged("the checksum of record %s is wrong", keyText(key))
	}
	return stored[sealSize:], nil
}
