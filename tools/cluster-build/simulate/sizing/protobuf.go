package sizing

import (
	"encoding/binary"
	"errors"
	"slices"
)

// numbers returns the numbers in some fields of a message, packed or not.
func numbers(message []byte, wanted ...int) (found []uint64, err error) {
	err = fields(message, func(field int, value uint64, text []byte) error {
		if !slices.Contains(wanted, field) {
			return nil
		}
		if text == nil {
			found = append(found, value)
		}
		for len(text) > 0 {
			value, n := binary.Uvarint(text)
			if n <= 0 {
				return errTruncated
			}
			found, text = append(found, value), text[n:]
		}
		return nil
	})
	return found, err
}

var errTruncated = errors.New("a field is cut off, or this is not a log of --execution_log_compact_file")

// fields calls do for each field of a protocol buffer, with its number or its bytes.
func fields(message []byte, do func(field int, value uint64, text []byte) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return errTruncated
		}
		message = message[n:]
		var value uint64
		var text []byte
		switch tag & 7 {
		case 0:
			if value, n = binary.Uvarint(message); n <= 0 {
				return errTruncated
			}
			message = message[n:]
		case 2:
			length, n := binary.Uvarint(message)
			if n <= 0 || length > uint64(len(message)-n) {
				return errTruncated
			}
			text, message = message[n:n+int(length)], message[n+int(length):]
		default:
			return errTruncated
		}
		if err := do(int(tag>>3), value, text); err != nil {
			return err
		}
	}
	return nil
}
