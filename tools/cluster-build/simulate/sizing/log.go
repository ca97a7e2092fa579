// Package sizing says how long a build takes on a number of workers, from what each of its actions took, read and wrote.
package sizing

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// An Action is one that ran.
type Action struct {
	Mnemonic string
	Duration time.Duration // of its execution
	Inputs   []int32       // blobs, by their number in Build.Blobs
	Outputs  []int32
	Needs    []int32 // actions that made its inputs, by their number in Build.Actions
}

// A Build is what Bazel's log of executions says.
type Build struct {
	Actions []Action
	Blobs   []int64 // size in bytes of each
	Hits    int     // more actions, which were taken from a cache: with the same inputs, another one had run
}

// Read reads what Bazel writes by --execution_log_binary_file: SpawnExec messages (spawn.proto of Bazel 7.7), each after
// its length.
func Read(r io.Reader) (*Build, error) {
	b := &Build{}
	reader := reader{build: b, blobs: map[string]int32{}, paths: map[string]int32{}, makers: map[int32]int32{}, makersOf: map[int32]int32{}}
	buffered := bufio.NewReaderSize(r, 1<<20)
	for {
		length, err := binary.ReadUvarint(buffered)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", len(b.Actions), err)
		}
		message := make([]byte, length)
		if _, err := io.ReadFull(buffered, message); err != nil {
			return nil, fmt.Errorf("message %d of %d bytes: %w", len(b.Actions), length, err)
		}
		if err := reader.spawn(message); err != nil {
			return nil, fmt.Errorf("message %d: %w", len(b.Actions), err)
		}
	}
	reader.link()
	return b, nil
}

type reader struct {
	build    *Build
	blobs    map[string]int32 // hash -> number in build.Blobs
	paths    map[string]int32
	inputs   [][]file        // of each action, those that may have a maker
	makers   map[int32]int32 // path -> the action that made it
	makersOf map[int32]int32 // blob -> the same
}

type file struct{ path, blob int32 }

// Field numbers of spawn.proto.
const (
	spawnInput, spawnMnemonic, spawnOutput, spawnCacheHit, spawnMetrics = 4, 10, 11, 13, 20

	filePath, fileDigest   = 1, 2
	digestHash, digestSize = 1, 2
	metricsExecution       = 8
	seconds, nanos         = 1, 2
)

func (r *reader) spawn(message []byte) error {
	number := int32(len(r.build.Actions))
	var a Action
	var inputs, outputs []file
	cached := false
	err := fields(message, func(field int, value uint64, text []byte) error {
		switch field {
		case spawnMnemonic:
			a.Mnemonic = string(text)
		case spawnCacheHit:
			cached = value != 0
		case spawnInput:
			path, f, err := r.file(text)
			if err != nil {
				return err
			}
			a.Inputs = append(a.Inputs, f.blob)
			if strings.HasPrefix(path, "bazel-out/") {
				inputs = append(inputs, f)
			}
		case spawnOutput:
			_, f, err := r.file(text)
			if err != nil {
				return err
			}
			a.Outputs = append(a.Outputs, f.blob)
			outputs = append(outputs, f)
		case spawnMetrics:
			return fields(text, func(field int, _ uint64, text []byte) error {
				if field != metricsExecution {
					return nil
				}
				return fields(text, func(field int, value uint64, _ []byte) error {
					switch field {
					case seconds:
						a.Duration += time.Duration(value) * time.Second
					case nanos:
						a.Duration += time.Duration(value)
					}
					return nil
				})
			})
		}
		return nil
	})
	if cached {
		r.build.Hits++
		return err
	}
	for _, output := range outputs {
		r.makers[output.path] = number
		if r.build.Blobs[output.blob] > 0 {
			r.makersOf[output.blob] = number
		}
	}
	r.build.Actions = append(r.build.Actions, a)
	r.inputs = append(r.inputs, inputs)
	return err
}

func (r *reader) file(message []byte) (path string, f file, err error) {
	var hash string
	var size int64
	err = fields(message, func(field int, _ uint64, text []byte) error {
		switch field {
		case filePath:
			path = string(text)
		case fileDigest:
			return fields(text, func(field int, value uint64, text []byte) error {
				switch field {
				case digestHash:
					hash = string(text)
				case digestSize:
					size = int64(value)
				}
				return nil
			})
		}
		return nil
	})
	var known bool
	if f.path, known = r.paths[path]; !known {
		f.path = int32(len(r.paths))
		r.paths[path] = f.path
	}
	if f.blob, known = r.blobs[hash]; !known {
		f.blob = int32(len(r.build.Blobs))
		r.blobs[hash] = f.blob
		r.build.Blobs = append(r.build.Blobs, size)
	}
	return path, f, err
}

// link finds the makers of inputs: by path, or by content where Bazel itself has put a file at another path.
func (r *reader) link() {
	for i := range r.build.Actions {
		seen := map[int32]bool{int32(i): true}
		for _, input := range r.inputs[i] {
			maker, known := r.makers[input.path]
			if !known {
				maker, known = r.makersOf[input.blob]
			}
			if known && !seen[maker] {
				seen[maker] = true
				r.build.Actions[i].Needs = append(r.build.Actions[i].Needs, maker)
			}
		}
	}
}

var errTruncated = errors.New("a field is cut off, or this is not a log of --execution_log_binary_file")

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
