package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"kubefips.internal/tools/internal/debian"
)

func TestBazelrcNamesEveryModuleOnce(t *testing.T) {
	rc := string(bazelrc("/cache/bazelroot-1", "/cache", "root-1", "/memory", map[string]string{"a": "/debian/a", "b": "/debian/b"}, map[string]string{"b": "/ours/b"}))
	for _, want := range []string{
		"startup --output_user_root=/cache/bazel\n",
		// Another root is another option, for which Bazel stops its server.
		"startup --host_jvm_args=-Dkubefips.root=root-1\n",
		"startup --host_jvm_args=-XX:+UseCompactObjectHeaders\n",
		"common --repo_env=GOCACHE=/cache/go-build\n",
		"common --repo_env=GOMODCACHE=/cache/go-mod\n",
		"common --repo_env=REPO_CONTENTS_CACHE=/cache/repo-contents\n",
		"common --repo_env=REPO_CONTENTS_PROGRAM=/cache/bazelroot-1\n",
		"build --sandbox_base=/memory\n",
		"common --override_module=a=/debian/a\n",
		"common --override_module=b=/ours/b\n",
	} {
		if strings.Count(rc, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, rc)
		}
	}
	if strings.Contains(rc, "/debian/b") {
		t.Errorf("a stand-in must come before Debian's module:\n%s", rc)
	}
}

func TestSandboxesAreInMemoryOrWhereBazelWants(t *testing.T) {
	for _, dir := range []string{"/proc", "/nonexistent"} {
		if got := sandboxBase(dir); got != "" {
			t.Errorf("%s is taken for sandboxes, as %q", dir, got)
		}
	}
	if rc := string(bazelrc("/cache/bazelroot-1", "/cache", "root-1", "", nil)); strings.Contains(rc, "sandbox_base") {
		t.Errorf("without a folder in memory Bazel is told one:\n%s", rc)
	}
}

func TestStandInsAreFolders(t *testing.T) {
	dir := t.TempDir()
	if _, err := standIns(dir); err == nil {
		t.Error("a tree without stand-ins was accepted")
	}
	for _, name := range []string{"zlib/MODULE.bazel", "zlib/x/MODULE.bazel", "other/BUILD.bazel"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := standIns(dir)
	if err != nil || len(got) != 1 || got["zlib"] != filepath.Join(dir, "zlib") {
		t.Errorf("got %v, %v; want zlib", got, err)
	}
}

func TestCertificatesReachJava(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "bundle")
	want := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, append([]byte("# comment\n"), want...), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", file)
	bundle, store, err := certificates()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(bundle), string(want)) {
		t.Errorf("bundle is %q", bundle)
	}
	certs, err := pkcs12.DecodeTrustStore(store, "")
	if err != nil || len(certs) != 1 || !certs[0].Equal(s.Certificate()) {
		t.Errorf("Java's store has %d certificates, %v; want the one of the bundle", len(certs), err)
	}
}

func TestEnvironmentFitsTheRoot(t *testing.T) {
	t.Setenv(debian.MirrorEnv, "http://a.test/debian http://b.test/debian")
	t.Setenv("HTTPS_PROXY", "http://proxy.test")
	t.Setenv("LD_LIBRARY_PATH", "/machine")
	t.Setenv("PATH", "/machine")
	env := (&setup{goEnv: map[string]string{"GOPROXY": "http://go.test", "GOMODCACHE": "/mod"}}).environment()
	for _, want := range []string{"BAZEL_REAL=" + bazel, "GOPROXY=http://go.test", "HTTPS_PROXY=http://proxy.test",
		"DEBIAN_MIRROR=http://a.test/debian,http://b.test/debian"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
	for _, kv := range env {
		if strings.Contains(kv, "/machine") {
			t.Errorf("%s is of the machine's userland", kv)
		}
	}
}
