package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"kubefips.internal/tools/oci/contents"
)

// imageTable lists what //images:digests has: what a pull of each transfers, and its digest, which any other build has to give too.
func imageTable(digestsJSON []byte) ([]byte, error) {
	var digests contents.Digests
	if err := json.Unmarshal(digestsJSON, &digests); err != nil {
		return nil, fmt.Errorf("reading the digests: %w", err)
	}
	if len(digests.Images) == 0 {
		return nil, errors.New("the list of digests has no images")
	}
	var b bytes.Buffer
	b.WriteString("| image or chart | version | MB | digest |\n|---|---|--:|---|\n")
	var sum int64
	for _, each := range append(digests.Images, digests.Charts...) {
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", each.Name, each.Version, megabytes(each.Size), each.Digest)
		sum += each.Size
	}
	fmt.Fprintf(&b, "| all, each by itself | | %s | |\n", megabytes(sum))
	return b.Bytes(), nil
}
