package sizing_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

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

func file(path, hash string, size uint64) string {
	return string(message(nil).text(1, path).text(2, string(message(nil).text(1, hash).number(2, size))))
}

func spawn(mnemonic string, seconds, nanos uint64, inputs, outputs []string) message {
	m := message(nil).text(10, mnemonic)
	for _, input := range inputs {
		m = m.text(4, input)
	}
	for _, output := range outputs {
		m = m.text(11, output)
	}
	return m.text(20, string(message(nil).text(1, "").text(8, string(message(nil).number(1, seconds).number(2, nanos)))))
}

func log(messages ...message) *bytes.Buffer {
	var b bytes.Buffer
	for _, m := range messages {
		b.Write(binary.AppendUvarint(nil, uint64(len(m))))
		b.Write(m)
	}
	return &b
}

func TestRead(t *testing.T) {
	build, err := sizing.Read(log(
		spawn("Compile", 1, 500_000_000, []string{file("a.go", "hash of a", 7)}, []string{file("bazel-out/a.o", "hash of o", 20)}),
		spawn("Link", 2, 0, []string{file("bazel-out/a.o", "hash of o", 20)}, []string{file("bazel-out/program", "hash of p", 30)}),
		spawn("Link", 0, 0, nil, []string{file("bazel-out/other/program", "hash of p", 30)}).number(13, 1),
		spawn("Check", 3, 0, []string{file("bazel-out/link/to/program", "hash of p", 30), file("policy", "hash of y", 5)}, nil),
	))
	if err != nil {
		t.Fatal(err)
	}
	if len(build.Actions) != 3 || len(build.Actions[0].Needs) != 0 || len(build.Actions[1].Needs) != 1 || build.Actions[1].Needs[0] != 0 {
		t.Errorf("linking has to need compiling: %+v", build.Actions)
	}
	if needs := build.Actions[2].Needs; len(needs) != 1 || needs[0] != 1 {
		t.Errorf("checking has to need linking, by content: %v", needs)
	}
	if build.Hits != 1 {
		t.Errorf("%d hits, want 1", build.Hits)
	}
	if work := build.Work(); work != 6500*time.Millisecond {
		t.Errorf("work = %v", work)
	}
	if sources, made := build.Bytes(); sources != 12 || made != 50 {
		t.Errorf("%d bytes of sources and %d made, want 12 and 50", sources, made)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, content := range map[string]*bytes.Buffer{
		"another format": bytes.NewBufferString("{\"mnemonic\": \"Link\"}"),
		"the end is cut": bytes.NewBuffer(log(spawn("Link", 1, 0, nil, nil)).Bytes()[:10]),
	} {
		if _, err := sizing.Read(content); err == nil || !strings.Contains(err.Error(), "message 0") {
			t.Errorf("%s: %v", name, err)
		}
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
