package containerd_1_7_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tests/internal/container/guest"
	"kubefips.internal/tests/internal/proc"
)

// shim is a connection to containerd-shim, which speaks ttrpc: a header of ten bytes, then a protobuf message. What upstream has
// for that is in the component's own module graph; the few strings of this test are written by hand.
type shim struct {
	conn   net.Conn
	stream uint32 // of the next call; a client's are odd
}

// call calls a method of upstream's runtime/v1/shim/v1/shim.proto and returns the fields of its response.
func (s *shim) call(t *testing.T, method string, request ...[]byte) map[uint64]string {
	t.Helper()
	const kindRequest, noFlags = 1, 0
	body := slices.Concat(text(1, "containerd.runtime.linux.shim.v1.Shim"), text(2, method), text(3, string(slices.Concat(request...))))
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	frame = binary.BigEndian.AppendUint32(frame, s.stream)
	frame = append(append(frame, kindRequest, noFlags), body...)
	s.stream += 2

	_, err := s.conn.Write(frame)
	header := make([]byte, 10)
	if err == nil {
		_, err = io.ReadFull(s.conn, header)
	}
	if err == nil {
		body = make([]byte, binary.BigEndian.Uint32(header))
		_, err = io.ReadFull(s.conn, body)
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	response, err := fields(body)
	if err == nil && response[1] != "" { // a google.rpc.Status
		err = errors.New(response[1])
	}
	var result map[uint64]string
	if err == nil {
		result, err = fields([]byte(response[2]))
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return result
}

// text is a protobuf field that holds a string or a message.
func text(number byte, value string) []byte {
	return append(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(value))), value...)
}

// fields splits a protobuf message by the numbers of its fields: what a string or message holds, or the bytes of an integer.
func fields(message []byte) (map[uint64]string, error) {
	all := map[uint64]string{}
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		value, m := binary.Uvarint(message[max(n, 0):])
		start, end := n, n+m
		if key&7 == 2 {
			start, end = end, end+int(value)
		}
		if n <= 0 || m <= 0 || key&7 != 0 && key&7 != 2 || end < start || end > len(message) {
			return nil, fmt.Errorf("no protobuf message of strings and integers: %q", message)
		}
		all[key>>3] = string(message[start:end])
		message = message[end:]
	}
	return all, nil
}

// bundle makes an OCI bundle whose root file system has nothing but the guest program, which reports.
func bundle(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program, err := os.ReadFile(proc.Runfile(t, os.Getenv("GUEST")))
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "rootfs"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rootfs", "guest"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	proc.Run(t, proc.Runfile(t, os.Getenv("RUNC")), "spec", "--rootless", "--bundle", dir) // the other template has groups that a user namespace may lack
	file := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer(`"terminal": true`, `"terminal": false`, `"sh"`, `"/guest", "report"`, `"hostname": "runc"`, `"hostname": "by-shim"`)
	if err := os.WriteFile(file, []byte(edit.Replace(string(config))), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// No containerd of today starts this shim, so the test does what one did: it creates, starts, awaits and deletes a container.
func TestShimRunsContainer(t *testing.T) {
	const socket = "/run/shim.sock"
	dir := bundle(t)
	// Nobody is told of its events.
	proc.Start(t, proc.Runfile(t, os.Getenv("SHIM")), "-namespace=test", "-workdir="+t.TempDir(), "-containerd-binary=none", "-socket=unix://"+socket)
	s := shim{stream: 1}
	proc.Eventually(t, 30*time.Second, func() (err error) { s.conn, err = net.Dial("unix", socket); return err })
	defer s.conn.Close()
	if err := s.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}

	output := filepath.Join(t.TempDir(), "output")
	stdout, stderr := text(7, "file://"+output), text(8, "file://"+output)
	s.call(t, "Create", text(1, "c1"), text(2, dir), text(3, proc.Runfile(t, os.Getenv("RUNC"))), stdout, stderr)
	s.call(t, "Start", text(1, "c1"))
	if status, failed := s.call(t, "Wait", text(1, "c1"))[1]; failed {
		t.Errorf("the container's exit status is %v, want 0", []byte(status))
	}
	s.call(t, "Delete")

	printed, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	if r := guest.Parse(t, string(printed)); r.PID != 1 || r.Hostname != "by-shim" {
		t.Errorf("the process is %d on %q, want 1 on by-shim", r.PID, r.Hostname)
	}
}
