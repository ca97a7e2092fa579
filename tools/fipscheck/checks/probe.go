package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"kubefips.internal/tools/fipscheck/measure"
)

// probeTime is how long a program may run; the answer comes before main.
const probeTime = 5 * time.Second

// Probe starts a program once with GODEBUG=fips140=on (B19): BoringCrypto and
// the native module exclude each other, so a real boring binary panics at once
// and a fallback runs.
func Probe(file string, b *measure.Binary) Finding {
	var l Findings
	switch {
	case b.Kind != measure.Go:
		l.Add("B19", Skipped, "", "not a Go program")
	case b.Platform != runtime.GOOS+"/"+runtime.GOARCH:
		l.Add("B19", Skipped, "", "for %s, this machine is %s/%s", b.Platform, runtime.GOOS, runtime.GOARCH)
	case b.Mode() == measure.None:
		l.Add("B19", Skipped, "", "no cryptography, so no self-test to provoke")
	default:
		l.probe(file, b.Mode())
	}
	return l[0]
}

func (l *Findings) probe(file string, mode measure.Mode) {
	abs, err := filepath.Abs(file)
	if err != nil {
		l.Add("B19", Warn, "", "%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, abs, "--version")
	cmd.Env = []string{"GODEBUG=fips140=on"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		l.Add("B19", Warn, "", "could not be started: %v", err)
		return
	}
	refused := bytes.Contains(out.b, []byte("incompatible with GOEXPERIMENT=boringcrypto"))
	switch {
	case mode == measure.Boring && refused:
		l.Add("B19", Pass, "", "refuses GODEBUG=fips140=on: BoringCrypto is in use")
	case mode == measure.Boring:
		l.Add("B19", Warn, "", "did not refuse GODEBUG=fips140=on: %s", fmt.Sprintf("%.80q", out.b))
	case refused:
		l.Add("B19", Warn, "", "refuses GODEBUG=fips140=on as a boring binary does, but was measured %s", mode)
	default:
		l.Add("B19", Pass, "", "runs with GODEBUG=fips140=on, as measured: %s", mode)
	}
}

// head keeps the first bytes of a program's output.
type head struct{ b []byte }

func (h *head) Write(p []byte) (int, error) {
	if room := 64<<10 - len(h.b); room > 0 {
		h.b = append(h.b, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
