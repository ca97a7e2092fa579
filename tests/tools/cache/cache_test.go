package cache_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubefips.internal/tests/internal/proc"
)

func TestServesUntilStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	address := fmt.Sprintf("127.0.0.1:%d", proc.FreePort(t))
	cmd := exec.Command(proc.Runfile(t, os.Getenv("CACHE")), "--dir="+dir, "--max-size=1", "--address="+address)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	proc.Eventually(t, time.Minute, func() error {
		_, err := do(http.MethodGet, "http://"+address+"/status", "")
		return err
	})
	blob := "a blob"
	url := fmt.Sprintf("http://%s/cas/%x", address, sha256.Sum256([]byte(blob)))
	if _, err := do(http.MethodPut, url, blob); err != nil {
		t.Fatal(err)
	}
	if got, err := do(http.MethodGet, url, ""); err != nil || got != blob {
		t.Errorf("GET after PUT = %q, %v", got, err)
	}
	if metrics, err := do(http.MethodGet, "http://"+address+"/metrics", ""); err != nil || !strings.Contains(metrics, "bazel_remote_disk_cache_size_bytes") {
		t.Errorf("no figures: %v", err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "cas.v2", "*", "*")); err != nil || len(files) != 1 {
		t.Errorf("files in the folder: %q, %v", files, err)
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct{ flag, says string }{
		{"--address=0.0.0.0:8980", "not a loopback address"},
		{"--address=:8980", "not a loopback address"},
		{"--address=127.0.0.1", "missing port"},
		{"--max-size=0", "at least 1 GiB"},
	} {
		out, err := proc.Output(proc.Runfile(t, os.Getenv("CACHE")), "--dir="+t.TempDir(), c.flag)
		if err == nil || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v, want an error that says %q:\n%s", c.flag, err, c.says, out)
		}
	}
}

func do(method, url, body string) (string, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, got)
	}
	return string(got), err
}
