package layer_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubefips.internal/tools/oci/layer"
)

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func pack(t *testing.T, spec layer.Spec) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := layer.Write(spec, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// list unpacks a gzip layer: one line an entry, as tar -tv writes it but shorter.
func list(t *testing.T, data []byte) string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return lines.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uname+header.Gname != "" {
			t.Errorf("%s: time %v, owner %q %q", header.Name, header.ModTime, header.Uname, header.Gname)
		}
		fmt.Fprintf(&lines, "%v %d:%d %s %s\n", header.FileInfo().Mode(), header.Uid, header.Gid, header.Name, header.Linkname)
	}
}

func TestLayerHoldsWhatTheSpecSays(t *testing.T) {
	got := list(t, pack(t, layer.Spec{Compression: "gzip", Entries: []layer.Entry{
		{Path: "/usr/share/doc/b", Source: write(t, "b"), Mode: "0640", UID: 1, GID: 2},
		{Path: "usr/bin/x", Link: "../share/doc/b", Mode: "0777"},
		{Path: "/tmp", Mode: "1777"},
	}}))
	const want = `dtrwxrwxrwx 0:0 tmp/ 
drwxr-xr-x 0:0 usr/ 
drwxr-xr-x 0:0 usr/bin/ 
Lrwxrwxrwx 0:0 usr/bin/x ../share/doc/b
drwxr-xr-x 0:0 usr/share/ 
drwxr-xr-x 0:0 usr/share/doc/ 
-rw-r----- 1:2 usr/share/doc/b 
`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestPartsMakeUpOneFile(t *testing.T) {
	packed := pack(t, layer.Spec{Compression: "none", Entries: []layer.Entry{
		{Path: "/bundle", Parts: []string{write(t, "one\n"), write(t, "two\n")}, Mode: "0644"},
	}})
	archive := tar.NewReader(bytes.NewReader(packed))
	if _, err := archive.Next(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(archive); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCapabilityIsThatOfSetcap(t *testing.T) {
	packed := pack(t, layer.Spec{Compression: "none", Entries: []layer.Entry{
		{Path: "/program", Source: write(t, "program"), Mode: "0755", Capability: "cap_net_bind_service"},
	}})
	header, err := tar.NewReader(bytes.NewReader(packed)).Next()
	if err != nil {
		t.Fatal(err)
	}
	// As read from a file after `setcap cap_net_bind_service=ep`.
	const want = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if got := header.PAXRecords["SCHILY.xattr.security.capability"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLayerDoesNotDependOnTimeModeOrOrder(t *testing.T) {
	for _, compression := range []string{"gzip", "zstd", "none"} {
		t.Run(compression, func(t *testing.T) {
			var first []byte
			for run := range 4 {
				spec := layer.Spec{Compression: compression}
				for i := range 20 {
					file := write(t, strings.Repeat(fmt.Sprintf("content %d\n", i), 5000))
					age := time.Now().Add(-time.Duration(run*i) * time.Hour)
					if err := errors.Join(os.Chmod(file, fs.FileMode(0o400|run)), os.Chtimes(file, age, age)); err != nil {
						t.Fatal(err)
					}
					spec.Entries = append(spec.Entries, layer.Entry{Path: fmt.Sprintf("/d%d/f%d", i%3, i), Source: file, Mode: "0644"})
				}
				rand.Shuffle(len(spec.Entries), func(i, j int) {
					spec.Entries[i], spec.Entries[j] = spec.Entries[j], spec.Entries[i]
				})
				got := pack(t, spec)
				if first == nil {
					first = got
				}
				if !bytes.Equal(got, first) {
					t.Fatalf("run %d differs", run)
				}
			}
		})
	}
}

func verdict(digest, outcome string) string {
	return fmt.Sprintf(`{"schema":"fipscheck.report/v1","verdict":%q,"artifacts":[{"digest":%q,"verdict":%q}]}`, outcome, digest, outcome)
}

func TestProgramsNeedAVerdictOnTheirBytes(t *testing.T) {
	const program = "\x7fELF and the rest"
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(program)))
	for name, test := range map[string]struct {
		verdict string // content of the verdict file, none when empty
		want    string // part of the error, none when empty
	}{
		"judged":                 {verdict(digest, "pass"), ""},
		"not judged":             {"", "put it into `binaries`"},
		"refused":                {verdict(digest, "fail"), "fipscheck refused"},
		"another program judged": {verdict("sha256:00", "pass"), "is not about"},
		"nothing judged":         {`{"schema":"fipscheck.report/v1","verdict":"pass"}`, "is not about"},
		"unknown format":         {`{}`, "schema"},
		"garbage":                {`garbage`, "verdict"},
	} {
		t.Run(name, func(t *testing.T) {
			entry := layer.Entry{Path: "/bin/p", Source: write(t, program), Mode: "0755"}
			if test.verdict != "" {
				entry.Verdict = write(t, test.verdict)
			}
			err := layer.Write(layer.Spec{Compression: "none", Entries: []layer.Entry{entry}}, io.Discard)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got error %v, want %q", err, test.want)
			}
		})
	}
}

func TestForeignProgramsAreLeftToTheImagesVerdict(t *testing.T) {
	entry := layer.Entry{Path: "/usr/sbin/p", Source: write(t, "\x7fELF and the rest"), Mode: "0755", Foreign: true}
	if got := list(t, pack(t, layer.Spec{Compression: "gzip", Entries: []layer.Entry{entry}})); !strings.Contains(got, "-rwxr-xr-x 0:0 usr/sbin/p") {
		t.Errorf("got:\n%s", got)
	}
}

func TestWriteRefuses(t *testing.T) {
	file := write(t, "content")
	for name, test := range map[string]struct {
		entries []layer.Entry
		want    string
	}{
		"a path given twice":      {[]layer.Entry{{Path: "/a", Source: file, Mode: "0644"}, {Path: "a", Link: "b", Mode: "0777"}}, "/a is given twice"},
		"a path out of the image": {[]layer.Entry{{Path: "/a/../../b", Source: file, Mode: "0644"}}, "no path inside an image"},
		"the root":                {[]layer.Entry{{Path: "/", Mode: "0755"}}, "no path inside an image"},
		"a path below a file":     {[]layer.Entry{{Path: "/a", Source: file, Mode: "0644"}, {Path: "/a/b", Source: file, Mode: "0644"}}, "not a folder"},
		"source and parts":        {[]layer.Entry{{Path: "/a", Source: file, Parts: []string{file}, Mode: "0644"}}, "both a source and parts"},
		"a program among parts":   {[]layer.Entry{{Path: "/a", Parts: []string{file, write(t, "\x7fELF")}, Mode: "0644"}}, "put it into `binaries`"},
		"an unknown capability":   {[]layer.Entry{{Path: "/a", Source: file, Mode: "0755", Capability: "cap_all"}}, "unknown capability"},
		"a bad mode":              {[]layer.Entry{{Path: "/a", Source: file, Mode: "rwx"}}, "octal"},
		"a missing file":          {[]layer.Entry{{Path: "/a", Source: file + "?", Mode: "0644"}}, "no such file"},
		"a folder as a file":      {[]layer.Entry{{Path: "/a", Source: filepath.Dir(file), Mode: "0644"}}, "not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := layer.Write(layer.Spec{Compression: "gzip", Entries: test.entries}, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestUnknownCompression(t *testing.T) {
	if err := layer.Write(layer.Spec{Compression: "lzma"}, io.Discard); err == nil || !strings.Contains(err.Error(), "gzip, zstd or none") {
		t.Errorf("got error %v", err)
	}
}
