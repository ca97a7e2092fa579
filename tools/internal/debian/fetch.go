package debian

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// attempts is how often a mirror is asked when the connection breaks.
	attempts = 3
	// stall is how long a mirror may send nothing.
	stall = time.Minute
)

// Fetcher gets files of an archive.
type Fetcher struct {
	Mirrors *Mirrors
	// Client is http.DefaultClient when nil.
	Client *http.Client
	// Progress, when set, is called with every count of bytes received, or
	// found to be there already.
	Progress func(n int)
}

// errStatus is an answer other than 200: asking again would not help.
type errStatus struct{ status string }

func (e errStatus) Error() string { return e.status }

// Download writes f to dir, named by its sha256, and returns its path. The
// file appears only when whole and verified; one that is there is not fetched
// again.
func (f *Fetcher) Download(ctx context.Context, file File, dir string) (string, error) {
	target := filepath.Join(dir, file.SHA256)
	if _, err := os.Stat(target); err == nil {
		f.progress(int(file.Size))
		return target, nil
	}
	tmp, err := os.CreateTemp(dir, "partial-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	err = f.tryAll(ctx, file.Archive, file.Path, func(body io.Reader) error {
		if _, err := tmp.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := tmp.Truncate(0); err != nil {
			return err
		}
		sum := sha256.New()
		// One byte more than expected is enough to know that it is another file.
		n, err := io.Copy(io.MultiWriter(tmp, sum), io.LimitReader(body, file.Size+1))
		if err != nil {
			return err
		}
		if got := hex.EncodeToString(sum.Sum(nil)); n != file.Size || got != file.SHA256 {
			return fmt.Errorf("got %d bytes with sha256 %s, the lock has %d bytes with %s", n, got, file.Size, file.SHA256)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := tmp.Close(); err != nil {
		return "", err
	}
	return target, os.Rename(tmp.Name(), target)
}

// Get returns the whole of a file whose content is verified by the caller.
func (f *Fetcher) Get(ctx context.Context, archive, path string) ([]byte, error) {
	var data []byte
	err := f.tryAll(ctx, archive, path, func(body io.Reader) (err error) {
		data, err = io.ReadAll(body)
		return err
	})
	return data, err
}

// tryAll asks one mirror after the other until read succeeds.
func (f *Fetcher) tryAll(ctx context.Context, archive, path string, read func(io.Reader) error) error {
	var failures []error
	for _, u := range f.Mirrors.URLs(archive, path) {
		for i := range attempts {
			err := f.try(ctx, u, read)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			var status errStatus
			if i+1 == attempts || errors.As(err, &status) {
				failures = append(failures, fmt.Errorf("%s: %w", u, err))
				break
			}
			time.Sleep(time.Duration(i+1) * 200 * time.Millisecond)
		}
	}
	return &FetchError{Archive: archive, Path: path, Failures: failures}
}

func (f *Fetcher) try(ctx context.Context, u string, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing received for %v", stall)) })
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	client := f.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errStatus{resp.Status}
	}
	err = read(readerFunc(func(p []byte) (int, error) {
		n, err := resp.Body.Read(p)
		watch.Reset(stall)
		f.progress(n)
		return n, err
	}))
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (f *Fetcher) progress(n int) {
	if f.Progress != nil {
		f.Progress(n)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FetchError says that no mirror has a file, and why each of them failed.
type FetchError struct {
	Archive, Path string
	Failures      []error
}

func (e *FetchError) Error() string {
	lines := []string{fmt.Sprintf("no archive has %s of %s:", e.Path, e.Archive)}
	for _, f := range e.Failures {
		lines = append(lines, "  "+f.Error())
	}
	return strings.Join(lines, "\n")
}

// Gone tells whether every mirror answered and none has the file: it has left
// the archive.
func (e *FetchError) Gone() bool {
	for _, f := range e.Failures {
		var status errStatus
		if !errors.As(f, &status) || !(strings.HasPrefix(status.status, "404") || strings.HasPrefix(status.status, "410")) {
			return false
		}
	}
	return len(e.Failures) > 0
}
