package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const small = `{"schema": "fipscheck.report/v1", "artifacts": [
  {"name": "cni/loopback", "kind": "binary", "release": "v1.9.0", "measured": "none", "verdict": "pass", "evidence": {"goVersion": "go1.25.12-X:boringcrypto", "size": 2500000}, "findings": []},
  {"name": "etcd/etcd", "kind": "binary", "release": "v3.7.3", "measured": "boring", "verdict": "pass",
   "evidence": {"goVersion": "go1.26.10 X:boringcrypto", "size": 26143288, "boringModules": [{"module": {"version": "fips-20220613"}}]},
   "findings": [{"check": "B17", "status": "excepted"}, {"check": "B17", "status": "excepted"}, {"check": "B03", "status": "pass"}]},
  {"name": "etcd/etcdctl", "kind": "binary", "release": "v3.7.3", "measured": "boring", "verdict": "fail", "evidence": {"size": 100000}, "findings": []},
  {"name": "etcd/etcd", "kind": "binary", "parent": "images/etcd", "verdict": "pass", "evidence": {"size": 1}, "findings": []},
  {"name": "fipscheck/fipscheck", "kind": "binary", "release": "v0", "measured": "none", "verdict": "pass", "evidence": {"main": "kubefips.internal/tools/fipscheck", "size": 0}, "findings": []},
  {"name": "images/etcd", "kind": "image", "verdict": "pass", "findings": []}]}`

func TestUpdate(t *testing.T) {
	readme := "# x\n" + begin + "\nold\n" + end + "\nafter\n"
	got, err := update([]byte(readme), []byte(small))
	if err != nil {
		t.Fatal(err)
	}
	want := "# x\n" + begin + `

| component | program | version | Go | cryptography | verdict | MB |
|---|---|---|---|---|---|--:|
| [cni](components/cni) | loopback | v1.9.0 | 1.25.12 | none | pass | 2.5 |
| [etcd](components/etcd) | etcd | v3.7.3 | 1.26.10 | fips-20220613 | pass, 2 excepted | 26.1 |
|  | etcdctl | v3.7.3 |  | boring | fail | 0.1 |
| fipscheck | fipscheck | v0 |  | none | pass | <0.1 |

` + end + "\nafter\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	again, err := update(got, []byte(small))
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("the second time it differs: %v\n%s", err, again)
	}
	for name, in := range map[string][2]string{
		"no marker": {"# x\n", small}, "no end": {begin + "\n", small}, "no report": {readme, "{}"}, "no programs": {readme, `{"schema": "fipscheck.report/v1"}`},
	} {
		if _, err := update([]byte(in[0]), []byte(in[1])); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAComponentThatIsNotInTheReport(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"etcd": "fips_go_binary(", "cni": "fips_go_binary(", "nothing": "alias("} {
		if err := os.MkdirAll(filepath.Join(dir, "components", name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "components", name, "BUILD.bazel"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := complete(dir, []byte("| [etcd](components/etcd) | etcd |"))
	if err == nil || !strings.Contains(err.Error(), "no program of cni:") {
		t.Errorf("%v", err)
	}
}

// The README says what the build gives. Bazel names the files; elsewhere they
// are those of the last build.
func TestREADMEIsCurrent(t *testing.T) {
	readme, files := os.Getenv("README"), strings.Fields(os.Getenv("REPORT"))
	if readme == "" {
		readme, files = "../../README.md", []string{"../../bazel-bin/images/fips_report.json"}
	}
	reportJSON, err := readReport(files)
	if err != nil {
		t.Fatalf("%v: build //:fips_report first", err)
	}
	old, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	want, err := update(old, reportJSON)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old, want) {
		return
	}
	is, should := strings.Split(string(old), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(is), len(should)) {
		if is[i] != should[i] {
			t.Errorf("README.md:%d\n  is    %s\n  wants %s", i+1, is[i], should[i])
			break
		}
	}
	t.Error("README.md is not what the build gives: run `tools/bazel run //tools/readme`")
}
