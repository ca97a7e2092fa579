package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// run runs the command in a folder, and returns what it printed.
func run(t *testing.T, dir, line string) (string, error) {
	t.Helper()
	t.Chdir(dir)
	var out strings.Builder
	cmd := command()
	cmd.SetArgs(strings.Fields(line))
	cmd.SetOut(&out)
	err := cmd.Execute()
	return out.String(), err
}

func read(t *testing.T, file string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(content)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestMakesWhatIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	if _, err := run(t, dir, "ca --name authority --key p384 --days 100 below/authority"); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(read(t, filepath.Join(dir, "below/authority/ca.crt")))
	const server, client = x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, test := range []struct {
		flags  string
		key    x509.PublicKeyAlgorithm
		usages []x509.ExtKeyUsage
		days   int
		name   string // for which it is accepted; "" for none
	}{
		{"--dns a.example,b.example --days 30", x509.ECDSA, []x509.ExtKeyUsage{server}, 30, "b.example"},
		{"--ip 10.0.0.7 --ip fd00::7 --key rsa3072 --days 1", x509.RSA, []x509.ExtKeyUsage{server}, 1, "fd00::7"},
		{"--usage client --days 99 --org developers", x509.ECDSA, []x509.ExtKeyUsage{client}, 99, ""},
		{"--usage both --dns localhost --days 99", x509.ECDSA, []x509.ExtKeyUsage{server, client}, 99, "localhost"},
	} {
		t.Run(test.flags, func(t *testing.T) {
			if _, err := run(t, dir, "issue --ca below/authority --cn jane --force "+test.flags+" out/leaf"); err != nil {
				t.Fatal(err)
			}
			cert := read(t, filepath.Join(dir, "out/leaf.crt"))
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: test.name, KeyUsages: test.usages[:1]}); err != nil {
				t.Error(err)
			}
			if cert.Subject.CommonName != "jane" || strings.Contains(test.flags, "--org") != slices.Equal(cert.Subject.Organization, []string{"developers"}) {
				t.Errorf("subject %s", cert.Subject)
			}
			if cert.PublicKeyAlgorithm != test.key || !slices.Equal(cert.ExtKeyUsage, test.usages) {
				t.Errorf("key %s for %v, want %s for %v", cert.PublicKeyAlgorithm, cert.ExtKeyUsage, test.key, test.usages)
			}
			if want := time.Now().AddDate(0, 0, test.days); cert.NotAfter.Sub(want).Abs() > time.Minute {
				t.Errorf("it ends at %s, want %s", cert.NotAfter, want)
			}
			if info, err := os.Stat(filepath.Join(dir, "out/leaf.key")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the key's file: %v, %v", info, err)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, line := range []string{"ca --name authority --days 10 ca", "issue --ca ca --cn api --dns api.example --days 1 api"} {
		if _, err := run(t, dir, line); err != nil {
			t.Fatal(err)
		}
	}
	const issue = "issue --ca ca --cn api --days 1 "
	for line, want := range map[string]string{
		"ca --name authority ca":                      "ca/ca.crt: file already exists; --force replaces it",
		issue + "--dns api.example api":               "api.crt: file already exists; --force replaces it",
		"ca --name authority --key rsa2048 new":       "use p256, p384, rsa3072 or rsa4096: NIST SP 800-57",
		issue + "--dns api.example --key ed25519 new": "use p256, p384, rsa3072 or rsa4096: BoringCrypto does not do Ed25519",
		issue + "--dns api.example --key p224 new":    "crypto/tls/fipsonly refuses certificates on P-224",
		issue + "new":                                            "give --dns or --ip, or --usage client",
		issue + "--dns https://api.example new":                  "neither scheme nor port",
		issue + "--ip 10.0.0 new":                                "10.0.0",
		issue + "--dns api.example --usage peer new":             "--usage peer: want server, client or both",
		issue + "--dns api.example ca":                           "ca is a folder",
		"issue --ca ca --cn api --dns api.example --days 0 new":  "--days 0: want 1 to 36500",
		"issue --ca ca --cn api --dns api.example --days 11 new": "its authority only until",
		"issue --ca none --cn api --dns api.example new":         "none/ca.crt: no such file or directory; `pki ca` makes an authority",
		"issue --ca ca --dns api.example new":                    `required flag(s) "cn" not set`,
		"ca new":                                                 `required flag(s) "name" not set`,
	} {
		if out, err := run(t, dir, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pki %s: %v, want an error that says %q:\n%s", line, err, want, out)
		}
	}
	if files, err := filepath.Glob(filepath.Join(dir, "new*")); err != nil || len(files) > 0 {
		t.Errorf("a refused command left %q, %v", files, err)
	}
}
