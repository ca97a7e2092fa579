package layer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Unpack returns the tar archive in a layer, and the compression as media types name it: gzip, zstd or nothing.
func Unpack(packed io.Reader) (io.ReadCloser, string, error) {
	buffered := bufio.NewReader(packed)
	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, "", fmt.Errorf("unpacking gzip: %w", err)
		}
		return unpacked, "gzip", nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		unpacked, err := zstd.NewReader(buffered)
		if err != nil {
			return nil, "", fmt.Errorf("unpacking zstd: %w", err)
		}
		return unpacked.IOReadCloser(), "zstd", nil
	}
	return io.NopCloser(buffered), "", nil
}
