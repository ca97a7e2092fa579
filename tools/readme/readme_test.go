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

func tabled(readme []byte, reportJSON string) ([]byte, error) {
	t, err := table([]byte(reportJSON))
	if err != nil {
		return nil, err
	}
	return update(readme, t)
}

func TestUpdate(t *testing.T) {
	readme := "# x\n" + begin + "\nold\n" + end + "\nafter\n"
	got, err := tabled([]byte(readme), small)
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
	again, err := tabled(got, small)
	if err != nil || !bytes.Equal(again, got) {
		t.Errorf("the second time it differs: %v\n%s", err, again)
	}
	for name, in := range map[string][2]string{
		"no marker": {"# x\n", small}, "no end": {begin + "\n", small}, "no report": {readme, "{}"}, "no programs": {readme, `{"schema": "fipscheck.report/v1"}`},
	} {
		if _, err := tabled([]byte(in[0]), in[1]); err == nil {
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

func TestImageTable(t *testing.T) {
	got, err := imageTable([]byte(`{"images": [{"name": "etcd", "version": "v3", "size": 24700001, "digest": "sha256:1"}, {"name": "pause", "version": "3.10", "size": 9000, "digest": "sha256:2"}],
		"charts": [{"name": "charts/x", "version": "1.0.0", "size": 1, "digest": "sha256:3"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "| image or chart | version | MB | digest |\n|---|---|--:|---|\n" +
		"| etcd | v3 | 24.7 | `sha256:1` |\n| pause | 3.10 | <0.1 | `sha256:2` |\n| charts/x | 1.0.0 | <0.1 | `sha256:3` |\n| all, each by itself | | 24.7 | |\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := imageTable([]byte("{}")); err == nil {
		t.Error("a list without images was taken")
	}
}

// The READMEs say what the build gives, the digests among it, so that each build anywhere is compared with the one that wrote them. Bazel names
// the files; elsewhere they are those of the last build.
func TestREADMEsAreCurrent(t *testing.T) {
	root, files := ".", strings.Fields(os.Getenv("BUILT"))
	if len(files) == 0 {
		root, files = "../..", []string{"../../bazel-bin/images/fips_report.json", "../../bazel-bin/images/digests.json"}
	}
	for _, each := range readmes {
		old, err := os.ReadFile(filepath.Join(root, each.name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := each.update(old, files)
		if err != nil {
			t.Fatalf("%v: build //:fips_report and //images:digests first", err)
		}
		if bytes.Equal(old, want) {
			continue
		}
		is, should := strings.Split(string(old), "\n"), strings.Split(string(want), "\n")
		for i := range min(len(is), len(should)) {
			if is[i] != should[i] {
				t.Errorf("%s:%d\n  is    %s\n  wants %s", each.name, i+1, is[i], should[i])
			}
		}
		t.Errorf("%s is not what this build gives. After a change: run `tools/bazel run //tools/readme`. Without one: what was built is not the same "+
			"as elsewhere; docs/architecture.md has what may differ", each.name)
	}
}
