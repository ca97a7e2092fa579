package sizing_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"kubefips.internal/tools/cluster-build/simulate/sizing"
)

func TestRun(t *testing.T) {
	act := func(seconds int, needs ...int32) sizing.Action {
		return sizing.Action{Duration: time.Duration(seconds) * time.Second, Needs: needs, Inputs: []int32{0}, Outputs: []int32{1}}
	}
	chain := []sizing.Action{act(1), act(2, 0), act(3, 1)}
	wide := []sizing.Action{act(4), act(4), act(4), act(4)}
	diamond := []sizing.Action{act(1), act(2, 0), act(5, 0), act(1, 1, 2)}
	blobs := []int64{100, 10}
	for _, test := range []struct {
		name     string
		actions  []sizing.Action
		workers  int
		costs    sizing.Costs
		want     time.Duration
		critical time.Duration
		fetched  int64
	}{
		{"a chain gains nothing", chain, 8, sizing.Costs{}, 6 * time.Second, 6 * time.Second, 100},
		{"one worker does all", wide, 1, sizing.Costs{}, 16 * time.Second, 4 * time.Second, 100},
		{"three workers leave one over", wide, 3, sizing.Costs{}, 8 * time.Second, 4 * time.Second, 300},
		{"four workers fetch four times", wide, 4, sizing.Costs{}, 4 * time.Second, 4 * time.Second, 400},
		{"what is needed comes first", diamond, 2, sizing.Costs{}, 7 * time.Second, 7 * time.Second, 200},
		{"each action costs more", chain, 1, sizing.Costs{Action: time.Second}, 9 * time.Second, 9 * time.Second, 100},
		{"bytes take time", chain[:1], 1, sizing.Costs{Bandwidth: 110}, 2 * time.Second, time.Second, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			build := &sizing.Build{Actions: test.actions, Blobs: blobs}
			got, err := build.Run(test.workers, test.costs)
			if err != nil || got.Length != test.want || got.Fetched != test.fetched {
				t.Errorf("%+v, %v, want %v and %d bytes", got, err, test.want, test.fetched)
			}
			if critical, err := build.CriticalPath(test.costs); err != nil || critical != test.critical {
				t.Errorf("critical path %v, %v, want %v", critical, err, test.critical)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	for name, actions := range map[string][]sizing.Action{
		"no action": nil,
		"a cycle":   {{Needs: []int32{1}}, {Needs: []int32{0}}},
	} {
		if _, err := (&sizing.Build{Actions: actions}).Run(1, sizing.Costs{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A message is a protocol buffer that grows.
type message []byte

func (m message) text(field int, value string) message {
	m = binary.AppendUvarint(m, uint64(field)<<3|2)
	m = binary.AppendUvarint(m, uint64(len(value)))
	return append(m, value...)
}

func (m message) number(field int, value uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(field)<<3), value)
}

func digest(hash string, size uint64) string {
	return string(message(nil).text(1, hash).number(2, size))
}

func file(path, hash string, size uint64) string {
	return string(message(nil).text(1, path).text(2, digest(hash, size)))
}

// entry is a message of the log; kind is the field that says what it is.
func entry(id uint64, kind int, content string) message {
	return message(nil).number(1, id).text(kind, content)
}

// Kinds of entries.
const fileEntry, folderEntry, setEntry, spawnEntry, symlinksEntry, runfilesEntry = 3, 4, 6, 7, 9, 10

func set(sets, inputs string) string { return string(message(nil).text(4, sets).text(5, inputs)) }

func spawn(label, mnemonic, seconds string, inputs uint64, outputs ...uint64) message {
	d, err := time.ParseDuration(seconds)
	if err != nil {
		panic(err)
	}
	m := message(nil).number(4, inputs).text(7, label).text(8, mnemonic)
	for _, output := range outputs {
		m = m.text(6, string(message(nil).number(5, output)))
	}
	execution := string(message(nil).number(1, uint64(d/time.Second)).number(2, uint64(d%time.Second)))
	return m.text(18, string(message(nil).text(1, "").text(8, execution)))
}

func run(spawn message) message { return message(nil).text(spawnEntry, string(spawn)) }

func hit(spawn message, hash string) message {
	return run(spawn.number(12, 1).text(16, digest(hash, 99)))
}

func log(t *testing.T, messages ...message) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		w.Write(binary.AppendUvarint(nil, uint64(len(m))))
		w.Write(m)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// A build of a program and its check, and of another one, which comes from a cache, and its check.
func logOfBuild(t *testing.T) *bytes.Buffer {
	return log(t,
		entry(1, fileEntry, file("a.go", "hash of a", 7)),
		entry(2, folderEntry, string(message(nil).text(1, "sdk").text(2, file("x", "hash of x", 1000)).text(2, file("y", "hash of y", 500)).text(2, file("empty", "", 0)))),
		entry(3, setEntry, set("", "\x02")),
		entry(4, setEntry, set("\x03", "\x01")),
		entry(5, fileEntry, file("bazel-out/a.o", "hash of o", 20)),
		run(spawn("@@gazelle~//a:a", "Compile", "1.5s", 4, 5)),
		entry(6, setEntry, set("\x03", "\x05")),
		entry(7, fileEntry, file("bazel-out/program", "hash of p", 30)),
		run(spawn("//components/a:a", "Link", "2s", 6, 7)),
		entry(8, fileEntry, file("bazel-out/link/to/program", "hash of p", 30)),
		entry(9, symlinksEntry, string(message(nil).text(1, string(message(nil).text(1, "program").number(2, 8))))),
		entry(10, runfilesEntry, string(message(nil).text(1, "bazel-out/check.runfiles").number(2, 3).number(3, 9))),
		entry(11, setEntry, set("", "\x0a")),
		run(spawn("//tests:check", "Check", "3s", 11)),
		run(spawn("//tests:test", "TestRunner", "100s", 11)),
		entry(12, fileEntry, file("bazel-out/b", "hash of b", 40)),
		hit(spawn("//components/b:b", "Link", "0s", 6, 12), "known"),
		hit(spawn("//components/b:c", "Link", "0s", 6, 12), "unknown"),
		entry(13, setEntry, set("", "\x0c")),
		run(spawn("//tests/b:check", "Check", "1s", 13)),
	)
}

// took is what a cache knows of logOfBuild.
func took(digest string) (time.Duration, error) {
	if digest != "known" {
		return 0, fs.ErrNotExist
	}
	return 4 * time.Second, nil
}

func TestRead(t *testing.T) {
	build, err := sizing.Read(logOfBuild(t), took)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range build.Actions {
		got = append(got, fmt.Sprint(a.Label, " ", a.Mnemonic, " ", a.Duration, " needs ", a.Needs))
	}
	want := []string{
		"gazelle~//a:a Compile 1.5s needs []",
		"//components/a:a Link 2s needs [0]",
		"//tests:check Check 3s needs [1]", // by content: Bazel made the link
		"//components/b:b Link 4s needs [0]",
		"//tests/b:check Check 1s needs [3]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if build.Unknown != 1 {
		t.Errorf("%d unknown, want 1", build.Unknown)
	}
	// The folder is one blob of 1500 bytes.
	if sources, made := build.Bytes(); sources != 1507 || made != 90 || len(build.Blobs) != 5 {
		t.Errorf("%d bytes of sources and %d made, want 1507 and 90, in %d blobs, want 5", sources, made, len(build.Blobs))
	}
}

func TestReadRefuses(t *testing.T) {
	whole := logOfBuild(t).Bytes()
	for name, test := range map[string]struct {
		log  *bytes.Buffer
		says string
	}{
		"another format":         {bytes.NewBufferString("{\"mnemonic\": \"Link\"}"), "message 0"},
		"the end is cut":         {bytes.NewBuffer(whole[:len(whole)-20]), "message"},
		"not such messages":      {log(t, message("{\"mnemonic\"}")), "--execution_log_compact_file"},
		"an input is not there":  {log(t, run(spawn("//a", "Link", "1s", 1))), "entry 1"},
		"an output is not there": {log(t, run(spawn("//a", "Link", "1s", 0, 2))), "entry 2"},
	} {
		if _, err := sizing.Read(test.log, took); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnly(t *testing.T) {
	build, err := sizing.Read(logOfBuild(t), took)
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]string{
		"//...":              "Compile[] Link[0] Check[1] Link[0] Check[3]",
		"//components/...":   "Compile[] Link[0] Link[0]",
		"//components/b/...": "Compile[] Link[0]",
		"//tests/b/...":      "Compile[] Link[0] Check[1]",
	} {
		only, err := build.Only(pattern)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range only.Actions {
			got = append(got, fmt.Sprint(a.Mnemonic, a.Needs))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	for _, pattern := range []string{"components", "//component/...", "//components/a"} {
		if _, err := build.Only(pattern); err == nil || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestDiskCache(t *testing.T) {
	dir := t.TempDir()
	stamp := func(seconds, nanos uint64) string { return string(message(nil).number(1, seconds).number(2, nanos)) }
	write := func(digest string, content message) {
		t.Helper()
		file := filepath.Join(dir, "ac", digest[:2], digest)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("abcd", message(nil).text(2, "an output").text(9, string(message(nil).text(7, stamp(1700000000, 900_000_000)).text(8, stamp(1700000003, 400_000_000)))))
	write("abce", message(nil).text(2, "an output"))
	write("abcf", message("{\"outputs\"}"))
	took := sizing.DiskCache(dir)
	if d, err := took("abcd"); err != nil || d != 2500*time.Millisecond {
		t.Errorf("it took %v, %v, want 2.5s", d, err)
	}
	for _, digest := range []string{"", "abcc", "abce"} {
		if _, err := took(digest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, want one that it is not there", digest, err)
		}
	}
	if _, err := took("abcf"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a broken result: %v", err)
	}
}

func TestReport(t *testing.T) {
	build := &sizing.Build{Actions: make([]sizing.Action, 8), Blobs: []int64{1 << 30}}
	for i := range build.Actions {
		build.Actions[i] = sizing.Action{Duration: time.Minute, Inputs: []int32{0}}
	}
	report, err := sizing.NewReport(build, 4, sizing.Costs{})
	if err != nil {
		t.Fatal(err)
	}
	var table, plot strings.Builder
	if err := report.Table(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"8 actions of 0:08:00 in all; critical path 0:01:00; 1.0 GiB of sources and tools, 0.0 GiB made.",
		"| 1 | 0:08:00 | 1.0 | 100 % | 1.0 GiB |",
		"| 4 | 0:02:00 | 4.0 | 100 % | 4.0 GiB |",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in\n%s", want, table.String())
		}
	}
	if err := report.Plot(&plot); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(plot.String(), "<circle"); n != 3 {
		t.Errorf("%d points, want 3:\n%s", n, plot.String())
	}
}
