// Package sizing says how long a build takes on a number of workers, from what each of its actions took, read and wrote.
package sizing

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// An Action is one that ran.
type Action struct {
	Label    string // of its target
	Mnemonic string
	Duration time.Duration // of its execution
	Inputs   []int32       // blobs, by their number in Build.Blobs
	Outputs  []int32
	Needs    []int32 // actions that made its inputs, by their number in Build.Actions, all smaller than its own
}

// A Build is what Bazel's log of executions says.
type Build struct {
	Actions []Action
	Blobs   []int64 // size in bytes of each: a file, or a folder that is one input
	Unknown int     // more actions, which were taken from a cache, and nobody knows what they had taken
}

// Took says what an action took when it ran, before its result was taken from a cache; an error that is fs.ErrNotExist
// when it does not know.
type Took func(digest string) (time.Duration, error)

// Read reads what Bazel writes by --execution_log_compact_file: ExecLogEntry messages (spawn.proto of Bazel 7.7), each
// after its length, packed by zstd. Runs of tests are left out.
func Read(r io.Reader, took Took) (*Build, error) {
	unpacked, err := zstd.NewReader(r)
	if err != nil {
		return nil, err
	}
	defer unpacked.Close()
	buffered := bufio.NewReaderSize(unpacked, 1<<20)
	l := reader{build: &Build{}, took: took, entries: map[uint64]entry{}, blobs: map[string]int32{}, makers: map[string]int32{}, makersOf: map[int32]int32{}}
	for n := 0; ; n++ {
		length, err := binary.ReadUvarint(buffered)
		if err == io.EOF {
			return l.build, nil
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", n, err)
		}
		message := make([]byte, length)
		if _, err := io.ReadFull(buffered, message); err != nil {
			return nil, fmt.Errorf("message %d of %d bytes: %w", n, length, err)
		}
		if err := l.message(message); err != nil {
			return nil, fmt.Errorf("message %d: %w", n, err)
		}
	}
}

// reader knows what was read so far. Bazel writes an entry before those that name it, and an action when it has ended: the
// maker of an input before who reads it.
type reader struct {
	build    *Build
	took     Took
	entries  map[uint64]entry
	blobs    map[string]int32 // content -> number in build.Blobs
	makers   map[string]int32 // path -> the action that made it
	makersOf map[int32]int32  // blob -> the same
}

// An entry is what others name by its number: a file or folder (path), or a set of entries.
type entry struct {
	path    string
	blob    int32
	entries []uint64
}

// Field numbers of spawn.proto.
const (
	entryID, entryFile, entryDirectory, entryInputSet, entrySpawn, entrySymlinks, entryRunfiles = 1, 3, 4, 6, 7, 9, 10

	filePath, fileDigest                        = 1, 2
	directoryPath, directoryFile                = 1, 2
	digestHash, digestSize                      = 1, 2
	setSets, setInputs                          = 4, 5
	symlinksEntry, symlinksSets, symlinksTarget = 1, 2, 2
	runfilesSet, runfilesLinks, runfilesRoot    = 2, 3, 4

	spawnInputs, spawnTools, spawnOutput, spawnLabel, spawnMnemonic, spawnCacheHit, spawnDigest, spawnMetrics = 4, 5, 6, 7, 8, 12, 16, 18

	outputID         = 5
	metricsExecution = 8
	seconds, nanos   = 1, 2
)

func (l *reader) message(message []byte) error {
	var id uint64
	var e entry
	err := fields(message, func(field int, value uint64, text []byte) (err error) {
		switch field {
		case entryID:
			id = value
		case entryFile:
			var content string
			var size int64
			e.path, content, size, err = file(text)
			e.blob = l.blob(content, size)
		case entryDirectory:
			e, err = l.directory(text)
		case entryInputSet:
			e.entries, err = numbers(text, setSets, setInputs)
		case entryRunfiles:
			e.entries, err = numbers(text, runfilesSet, runfilesLinks, runfilesRoot)
		case entrySymlinks:
			e.entries, err = symlinks(text)
		case entrySpawn:
			err = l.spawn(text)
		}
		return err
	})
	if id != 0 {
		l.entries[id] = e
	}
	return err
}

func (l *reader) spawn(message []byte) error {
	number := int32(len(l.build.Actions))
	var a Action
	var inputs []uint64
	var outputs []entry
	var hash string
	cached := false
	err := fields(message, func(field int, value uint64, text []byte) (err error) {
		switch field {
		case spawnLabel:
			a.Label = strings.TrimLeft(string(text), "@")
		case spawnMnemonic:
			a.Mnemonic = string(text)
		case spawnCacheHit:
			cached = value != 0
		case spawnInputs, spawnTools:
			inputs = append(inputs, value)
		case spawnOutput:
			var ids []uint64
			ids, err = numbers(text, outputID)
			for _, id := range ids {
				e, known := l.entries[id]
				if !known {
					return fmt.Errorf("entry %d is not there yet", id)
				}
				outputs = append(outputs, e)
				a.Outputs = append(a.Outputs, e.blob)
			}
		case spawnDigest:
			hash, _, err = digest(text)
		case spawnMetrics:
			a.Duration, err = execution(text)
		}
		return err
	})
	if err != nil {
		return err
	}
	if a.Mnemonic == "TestRunner" {
		return nil
	}
	if cached {
		a.Duration, err = l.took(hash)
		if errors.Is(err, fs.ErrNotExist) {
			l.build.Unknown++
			return nil
		}
		if err != nil {
			return err
		}
	}
	if err := l.inputs(&a, inputs); err != nil {
		return err
	}
	for _, output := range outputs {
		l.makers[output.path] = number
		if _, known := l.makersOf[output.blob]; !known && l.build.Blobs[output.blob] > 0 {
			l.makersOf[output.blob] = number
		}
	}
	l.build.Actions = append(l.build.Actions, a)
	return nil
}

// inputs looks up what is in sets of entries, and who made it: by path, or by content where Bazel itself has put a file at
// another path, or has taken it from a cache.
func (l *reader) inputs(a *Action, ids []uint64) error {
	seen := map[uint64]bool{0: true}
	needs, blobs := map[int32]bool{}, map[int32]bool{}
	for len(ids) > 0 {
		id := ids[len(ids)-1]
		ids = ids[:len(ids)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		e, known := l.entries[id]
		if !known {
			return fmt.Errorf("entry %d is not there yet", id)
		}
		ids = append(ids, e.entries...)
		if e.path == "" {
			continue
		}
		if !blobs[e.blob] {
			blobs[e.blob] = true
			a.Inputs = append(a.Inputs, e.blob)
		}
		if !strings.HasPrefix(e.path, "bazel-out/") {
			continue
		}
		maker, known := l.makers[e.path]
		if !known {
			maker, known = l.makersOf[e.blob]
		}
		if known && !needs[maker] {
			needs[maker] = true
			a.Needs = append(a.Needs, maker)
		}
	}
	return nil
}

// directory reads a folder: its content is that of all its files.
func (l *reader) directory(message []byte) (e entry, err error) {
	sum := sha256.New()
	var size int64
	err = fields(message, func(field int, _ uint64, text []byte) error {
		switch field {
		case directoryPath:
			e.path = string(text)
		case directoryFile:
			sum.Write(text)
			_, _, n, err := file(text)
			size += n
			return err
		}
		return nil
	})
	e.blob = l.blob(string(sum.Sum(nil)), size)
	return e, err
}

// blob returns the number of a content.
func (l *reader) blob(content string, size int64) int32 {
	number, known := l.blobs[content]
	if !known {
		number = int32(len(l.build.Blobs))
		l.blobs[content] = number
		l.build.Blobs = append(l.build.Blobs, size)
	}
	return number
}

func file(message []byte) (path, hash string, size int64, err error) {
	err = fields(message, func(field int, _ uint64, text []byte) (err error) {
		switch field {
		case filePath:
			path = string(text)
		case fileDigest: // an empty file has none
			hash, size, err = digest(text)
		}
		return err
	})
	return path, hash, size, err
}

func digest(message []byte) (hash string, size int64, err error) {
	err = fields(message, func(field int, value uint64, text []byte) error {
		switch field {
		case digestHash:
			hash = string(text)
		case digestSize:
			size = int64(value)
		}
		return nil
	})
	return hash, size, err
}

// symlinks reads the entries that links of a runfiles tree point to.
func symlinks(message []byte) ([]uint64, error) {
	entries, err := numbers(message, symlinksSets)
	return entries, errors.Join(err, fields(message, func(field int, _ uint64, text []byte) error {
		if field != symlinksEntry {
			return nil
		}
		target, err := numbers(text, symlinksTarget)
		entries = append(entries, target...)
		return err
	}))
}

func execution(metrics []byte) (d time.Duration, err error) {
	err = fields(metrics, func(field int, _ uint64, text []byte) (err error) {
		if field == metricsExecution {
			d, err = duration(text)
		}
		return err
	})
	return d, err
}

// duration reads a Duration, or a Timestamp as the time since 1970.
func duration(message []byte) (d time.Duration, err error) {
	err = fields(message, func(field int, value uint64, _ []byte) error {
		switch field {
		case seconds:
			d += time.Duration(value) * time.Second
		case nanos:
			d += time.Duration(value)
		}
		return nil
	})
	return d, err
}
