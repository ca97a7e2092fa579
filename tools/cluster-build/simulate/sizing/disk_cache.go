package sizing

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Field numbers of remote_execution.proto: ActionResult and ExecutedActionMetadata.
const (
	resultMetadata                    = 9
	executionStart, executionComplete = 7, 8
)

// DiskCache looks up what actions took in a folder of Bazel's --disk_cache.
func DiskCache(dir string) Took {
	return func(digest string) (time.Duration, error) {
		if len(digest) < 2 {
			return 0, fs.ErrNotExist
		}
		file := filepath.Join(dir, "ac", digest[:2], digest)
		result, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		var start, end time.Duration // since 1970
		err = fields(result, func(field int, _ uint64, text []byte) error {
			if field != resultMetadata {
				return nil
			}
			return fields(text, func(field int, _ uint64, text []byte) (err error) {
				switch field {
				case executionStart:
					start, err = duration(text)
				case executionComplete:
					end, err = duration(text)
				}
				return err
			})
		})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		if start == 0 || end < start {
			return 0, fmt.Errorf("%s does not say what it took: %w", file, fs.ErrNotExist)
		}
		return end - start, nil
	}
}
