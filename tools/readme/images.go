package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"kubefips.internal/tools/oci/contents"
)

// imageTable lists the images of //images:digests with what a pull of each transfers.
func imageTable(digestsJSON []byte) ([]byte, error) {
	var digests contents.Digests
	if err := json.Unmarshal(digestsJSON, &digests); err != nil {
		return nil, fmt.Errorf("reading the digests: %w", err)
	}
	if len(digests.Images) == 0 {
		return nil, errors.New("the list of digests has no images")
	}
	var b bytes.Buffer
	b.WriteString("| image | version | MB |\n|---|---|--:|\n")
	var sum int64
	for _, image := range digests.Images {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", image.Name, image.Version, megabytes(image.Size))
		sum += image.Size
	}
	fmt.Fprintf(&b, "| all, each by itself | | %s |\n", megabytes(sum))
	return b.Bytes(), nil
}
